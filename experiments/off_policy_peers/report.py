"""The study on disk: results.json, its tables, and those of the README made from the same file.

`python -m experiments.off_policy_peers.report` writes the README's tables from the committed
results.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from experiments.off_policy_peers.config import PeersConfig
from experiments.off_policy_peers.peers import MISSING, peer_versions
from experiments.ope_coverage.report import filled
from routerjax.evaluation.off_policy import OFF_POLICY
from routerjax.records.logs import Log
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, plain, provenance

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"
MARK = "peers"
SAME = 1e-12
"""Differences below it are those of the order of sums."""

Record = dict[str, Any]


def write_results(
    path: Path, found: Record, config: PeersConfig, logs: tuple[Log, Log] | None
) -> Record:
    """Write one JSON document: provenance with the peers' versions, and the parts; returns it."""
    own = "no Open Bandit logs" if logs is None else " ".join(log.fingerprint for log in logs)
    head = provenance(config=config, seed=config.seed, data=f"{own}; the rest is drawn")
    results = {"provenance": {**head, "peers": peer_versions()}, **found}
    lines = [f'"{name}": {dumps(part)}' for name, part in results.items()]
    write_text(path, "{" + ",\n".join(lines) + "}\n")
    return plain(results)


def per_thousand(found: Record) -> str:
    """A value and its interval in clicks per thousand."""
    mean, low, high = (1_000 * found[key] for key in ("mean", "low", "high"))
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def bandit_table(found: Record) -> str:
    """Markdown: a direction, every estimator with and, where it matters, without the floor."""
    floors = found["floors"] if found["floors"][0]["raised"] > 0 else found["floors"][:1]
    head = ["estimator", "floor", "parameter", "value", "z", "OBP's value", "difference"]
    lines = [
        _bandit_line(name, at["floor"], at["estimators"][name])
        for at in floors
        for name in OFF_POLICY
    ]
    return markdown(head, lines)


def _bandit_line(name: str, floor: float, found: Record) -> list[str]:
    peer, parameter = found["peer"], ""
    if OFF_POLICY[name].parameters is not None:
        parameter = "∞" if found["parameter"] is None else f"{found['parameter']:.3g}"
    theirs = [MISSING, ""] if peer is None else [per_thousand(peer), _apart(peer)]
    return [
        f"`{name}`",
        f"{floor:g}",
        parameter,
        per_thousand(found),
        f"{found['z']:+.1f}",
        *theirs,
    ]


def _apart(peer: Record) -> str:
    return _difference(peer["largest difference"])


def _difference(value: float | None) -> str:
    if value is None:
        return ""
    return f"< {SAME:g}" if value < SAME else f"{value:.2g}"


def weights_table(bandit: Record) -> str:
    """Markdown: what the floor does to the weights, in both directions."""
    head = ["log", "floor", "rows raised", "mean weight", "largest", "ESS"]
    lines = [
        [
            direction,
            f"{at['floor']:g}",
            f"{at['raised']:.1%}",
            f"{at['mean weight']:.3f}",
            f"{at['largest weight']:.1f}",
            f"{at['effective']:,.0f}",
        ]
        for direction, found in bandit.items()
        for at in found["floors"]
    ]
    return markdown(head, lines)


def tuning_table(bandit: Record) -> str:
    """Markdown: the value at the parameter that everybody chooses of the same list."""
    head = ["log", "floor", "estimator", "ours", "OBP, SLOPE", "OBP, MSE"]
    lines = [
        [
            direction,
            f"{at['floor']:g}",
            f"`{name}`",
            *(f"{1_000 * value:.2f}" for value in (each["mean"], *_tuned(each["peer"]))),
        ]
        for direction, found in bandit.items()
        for at in found["floors"]
        for name, each in at["estimators"].items()
        if each["peer"] is not None and "by slope" in each["peer"]
    ]
    return markdown(head, lines)


def _tuned(peer: Record) -> tuple[float, float]:
    return peer["by slope"], peer["by mse"]


def effects_table(found: Record, quantity: str) -> str:
    """Markdown: a quantity by every estimator that has it."""
    head = ["estimator", "first log", "largest from ours", "mean from ours"]
    head += ["bias", "sd", "mean se", "coverage", "logs"]
    lines = []
    for name, each in found["estimators"].items():
        if quantity not in each:
            continue
        said = each[quantity]
        first, error, coverage = said["first"], said["standard_error"], said["coverage"]
        spread = first["standard_error"]
        lines.append(
            [
                name,
                f"{first['mean']:.3f}" + ("" if spread is None else f" ± {spread:.3f}"),
                "" if name == "ours" else _difference(said["largest difference"]),
                "" if name == "ours" else _paired(said),
                f"{said['bias']:+.3f}",
                f"{said['deviation']:.3f}",
                "none" if error is None else f"{error:.3f}",
                "" if coverage is None else f"{coverage:.3f}",
                str(each["logs"]),
            ]
        )
    return markdown(head, lines)


def _paired(said: Record) -> str:
    if said["largest difference"] < SAME:
        return ""
    return f"{said['mean difference']:+.3f} ± {said['error of the difference']:.3f}"


def tree_table(found: Record) -> str:
    """Markdown: everybody's word on the lead of EconML's tree."""
    head = ["who says", "mean", "bias", "root mean squared error", "mean se", "coverage"]
    lines = [
        [
            name,
            f"{each['mean']:.3f}",
            f"{each['bias']:+.3f} ± {each['error of the bias']:.3f}",
            f"{each['error']:.3f}",
            "none" if each["standard_error"] is None else f"{each['standard_error']:.3f}",
            "" if each["coverage"] is None else f"{each['coverage']:.3f}",
        ]
        for name, each in found["estimators"].items()
    ]
    return markdown(head, lines)


def seconds_table(effects: list[Record]) -> str:
    """Markdown: median CPU seconds a log of every estimator."""
    names = dict.fromkeys(name for found in effects for name in found["estimators"])
    head = ["estimator", *(f"{found['models']} models" for found in effects)]
    lines = []
    for name in names:
        every = [found["estimators"].get(name) for found in effects]
        times = ["" if each is None else f"{each['seconds']:.3f}" for each in every]
        lines.append([name, *times])
    return markdown(head, lines)


def gold_table(gold: list[Record]) -> str:
    """Markdown: coverage and mean half-width by the number of gold rows."""
    counts = list(dict.fromkeys(each["gold"] for each in gold))
    gold_columns = [f"{count} gold" for count in counts]
    head = ["predictions", "estimator", *gold_columns, "from ours", "draws"]
    lines = []
    for predictor in dict.fromkeys(each["predictor"] for each in gold):
        own = [each["estimators"] for each in gold if each["predictor"] == predictor]
        for name in own[0]:
            apart = max(each[name]["largest difference"] for each in own)
            cells = [f"{each[name]['coverage']:.3f}, {each[name]['reach']:.4f}" for each in own]
            far = "" if name == "ours" else _difference(apart)
            lines.append([predictor, name, *cells, far, str(own[0][name]["draws"])])
    return markdown(head, lines)


def spread_table(gold: list[Record]) -> str:
    """Markdown: the standard deviation of the estimates and the mean standard error."""
    counts = list(dict.fromkeys(each["gold"] for each in gold))
    head = ["predictions", "estimator", *(f"{count} gold" for count in counts)]
    lines = []
    for predictor in dict.fromkeys(each["predictor"] for each in gold):
        own = [each["estimators"] for each in gold if each["predictor"] == predictor]
        for name in own[0]:
            every = [each[name] for each in own]
            cells = [f"{each['deviation']:.4f}, {each['standard_error']:.4f}" for each in every]
            lines.append([predictor, name, *cells])
    return markdown(head, lines)


def weights_of_gold(gold: list[Record]) -> str:
    """Markdown: the weights 1/e of gold rows where e is estimated, means over draws."""
    head = ["gold rows", "even weight", "largest weight", "mean of s/e", "sd of that"]
    lines = []
    for found in {each["gold"]: each for each in gold}.values():
        each = found["estimated"]
        numbers = [found["rows"] / found["gold"], each["largest"]]
        spread = [each["mean weight"], each["deviation of it"]]
        cells = [f"{value:.1f}" for value in numbers] + [f"{value:.3f}" for value in spread]
        lines.append([str(found["gold"]), *cells])
    return markdown(head, lines)


def summary(results: Record) -> str:
    """Markdown: the tables of the README."""
    peers = results["provenance"]["peers"]
    parts = ["The peers: " + ", ".join(f"{name} {version}" for name, version in peers.items())]
    if results["bandit"] is not None:
        parts += _bandit(results["bandit"])
    for found in results["effects"]:
        asked = f"{found['models']} models, {found['rows']:,} rows, {found['logs']} logs"
        for quantity, label in (
            ("effect", "Effect of asking model 1 instead of model 0"),
            ("lead", "Lead of a policy over model 0"),
        ):
            true = found["truth"][quantity]
            parts += [f"{label}; {asked}; the truth is {true:.4f}:", effects_table(found, quantity)]
        if found["tree"] is not None:
            true, logs = found["tree"]["truth"], found["tree"]["logs"]
            parts += [
                f"Lead of a policy that EconML's tree learnt; {found['models']} models, {logs} "
                f"logs; the truth is {true:.4f} on average:"
            ]
            parts += [tree_table(found["tree"])]
    parts += ["CPU seconds a log, median:", seconds_table(results["effects"])]
    gold = results["gold"]
    asked = f"{gold[0]['rows']:,} rows, {gold[0]['draws']} draws"
    parts += [f"Mean of gold scores, {asked}: coverage, mean half-width:", gold_table(gold)]
    parts += ["The same: standard deviation of the estimates, mean standard error:"]
    parts += [spread_table(gold), "The weights of gold rows where e is estimated:"]
    return "\n\n".join([*parts, weights_of_gold(gold)])


def _bandit(bandit: Record) -> list[str]:
    parts = []
    for direction, found in bandit.items():
        own = found["own"]
        parts += [
            f"Clicks per 1,000, {direction} ({found['rows']:,} rows, {found['clicks']} clicks, the "
            f"log's own policy {per_thousand(found['on the log'])}). On the log that it wrote "
            f"({own['rows']:,} rows, {own['clicks']} clicks) the policy has {per_thousand(own)}:",
            bandit_table(found),
        ]
    parts += ["The weights:", weights_table(bandit)]
    return [*parts, "Parameters by everybody's own rule, of the same list:", tuning_table(bandit)]


def report(results: Record) -> str:
    """Markdown: the tables with a heading."""
    return f"# Off-policy values beside other people's\n\n{summary(results)}\n"


def readme_tables() -> str:
    """Markdown: what stands between the README's markers, from the committed file."""
    return summary(json.loads(RESULTS.read_text(encoding="utf-8")))


def main() -> int:
    """Write the README's tables from the committed results; returns the exit code."""
    text = README.read_text(encoding="utf-8")
    write_text(README, filled(text, readme_tables(), mark=MARK))
    return 0


if __name__ == "__main__":
    sys.exit(main())
