"""A study's folder: everything the records allow, nothing more, and sentences that are true."""

import json
import re

import numpy as np
import pytest
from fake_study import GRID, REFERENCES, records

from experiments.causal_routing.parts import everywhere, parts
from experiments.causal_routing.prose import report
from experiments.causal_routing.report import shown_methods, tables, write
from experiments.causal_routing.sentences import bracket, difference_sentence, numbers, words
from routerjax.errors import InputError
from routerjax.evaluation.intervals import Interval

TOLD = {
    "name": "table.parquet",
    "notices": ["Every number here is made up."],
    "references": REFERENCES,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    found = records(seeds=3, rows=(500, 4000), strengths=(1.0, 2.0, 4.0))
    out = tmp_path_factory.mktemp("study") / "out"
    return found, out, write(out, found, head={"versions": {"jax": "0"}}, **TOLD)


FIGURES = ("cost_quality", "utility", "sag", "shares", "learning", "strength", "winners_curse")


def test_everything_is_written(study):
    _, out, paths = study
    expected = {"results.jsonl", "summary.md", "table.md", "table.tex", "report.md"}
    expected |= {f"{name}_quality{suffix}" for name in FIGURES for suffix in (".png", ".pdf")}
    assert {path.name for path in paths} == expected
    assert sorted(out.iterdir()) == sorted(paths)


def test_results_lead_with_their_provenance(study):
    found, out, _ = study
    head, *lines = map(json.loads, (out / "results.jsonl").read_text().splitlines())
    assert head == {"record": "provenance", "versions": {"jax": "0"}}
    assert len(lines) == len(found)
    kinds = {line["record"] for line in lines}
    assert kinds == {"result", "reference", "overlap", "label_error"}


def test_every_text_carries_the_notices(study):
    _, out, _ = study
    for name in ("report.md", "summary.md", "table.md"):
        assert "Every number here is made up." in (out / name).read_text()


def test_report_links_every_figure(study):
    _, out, _ = study
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (out / "report.md").read_text())
    assert links == [f"{name}_quality.png" for name in FIGURES]
    assert all((out / link).is_file() for link in links)


def test_an_older_study_is_replaced_only_if_asked(study, tmp_path):
    found = records(seeds=1, between=(), methods=("best-single-log",), cost_weights=(0.0,))
    out = tmp_path / "out"
    write(out, found, head={}, **TOLD)
    with pytest.raises(InputError, match="exists already"):
        write(out, found, head={}, **TOLD)
    (out / "stale.png").touch()
    write(out, found, head={}, overwrite=True, **TOLD)
    assert not (out / "stale.png").exists()


def test_only_what_the_records_allow_is_drawn(tmp_path):
    """One method, one seed, one cost weight, no references, no label errors."""
    some = [
        r
        for r in records(seeds=1, between=(), cost_weights=(10.0,), methods=("best-single-log",))
        if "record" not in r
    ]
    paths = write(tmp_path / "out", some, head={}, **TOLD)
    names = {path.name for path in paths}
    assert names == {"results.jsonl", "summary.md", "table.md", "table.tex", "report.md"}
    text = (tmp_path / "out" / "report.md").read_text()
    assert "best-single-log" in text and "nan" not in text and "oracle" not in text


def test_a_quality_only_table_has_no_cost_quality_plot(tmp_path):
    found = records(seeds=2, between=(), methods=("best-single-log", "rm-softmax-dr"))
    found = [r for r in found if r.get("record") != "label_error" and r.pop("shares", True)]
    for r in found:
        for name in ("cost", "cheapest_cost", "dearest_cost"):
            r |= {name: 0.0} if name in r else {}
        if "mean_cost" in r:
            r["mean_cost"] = [0.0] * len(r["mean_cost"])
    names = {path.name for path in write(tmp_path / "out", found, head={}, **TOLD)}
    assert "cost_quality_quality.png" not in names and "utility_quality.png" in names
    assert "of that model's cost" not in (tmp_path / "out" / "report.md").read_text()


def test_two_models_get_their_own_columns():
    found = records(seeds=2, models=2)
    for text in (tables(found, **TOLD), report(found, **TOLD)):
        for name in ("area over calls", "APGR", "CPT(50 %), %", "CPT(80 %), %"):
            assert f" {name} |" in text


def test_other_authors_metrics_stand_beside_the_area(study):
    _, out, _ = study
    for name in ("report.md", "table.md"):
        assert re.search(r"\| +area \| +AIQ \| +nAUC \|", (out / name).read_text())
    assert "APGR" not in (out / "report.md").read_text()


def test_several_loggings_get_a_section_each():
    text = report(records(seeds=2, logging=("uniform", "quality")), **TOLD)
    assert re.findall(r"^## (.+)$", text, re.M) == [
        "Logging policy `uniform`",
        "Logging policy `quality`",
    ]


def test_references_and_yardsticks_are_never_bold(study):
    _, out, _ = study
    lines = (out / "table.md").read_text().splitlines()
    for name in (*REFERENCES, "rm-trained-there-dr"):
        own = [line for line in lines if line.startswith(f"| {name} ")]
        assert own and not any("**" in line for line in own)


def test_the_main_setting_has_most_records_most_rows_and_a_middle_strength():
    found = records(seeds=1, rows=(500, 4000), strengths=(1.0, 2.0, 4.0))
    (part,) = parts(found)
    assert (part.rows, part.strength, part.seeds) == (4000, 2.0, 1)
    assert {r["rows"] for r in part.by_rows} == {500, 4000}
    assert {r["strength"] for r in part.by_rows} == {2.0}
    assert {r["strength"] for r in part.by_strength} == {1.0, 2.0, 4.0}
    assert part.labels_over == "strength" and {r["rows"] for r in part.labels} == {4000}
    assert len(part.references) == 1 and len(part.overlaps) == 1
    fewer = [r for r in found if r.get("strength") != 2.0 or r.get("method") != "oracle"]
    assert parts(fewer)[0].strength != 2.0  # the one with every method comes first
    (rows_alone,) = parts(records(seeds=1, rows=(500, 4000)))
    assert rows_alone.labels_over == "rows"
    (single,) = parts(records(seeds=1))
    assert single.labels_over == "cost_weight"
    with pytest.raises(InputError, match="no result"):
        parts([{"record": "reference", "logging": "quality"}])


def test_methods_without_every_setting_are_not_in_trends():
    found = records(seeds=1, rows=(500, 4000))
    results = [r for r in found if "record" not in r]
    fewer = [r for r in results if r["method"] != "rm-softmax-dr" or r["rows"] == 4000]
    assert "rm-softmax-dr" not in everywhere(fewer, "rows")
    assert "rm-interval-dr" in everywhere(fewer, "rows")


def test_figures_show_the_named_first_and_no_references():
    results = [{"method": name} for name in ("a", "oracle", *"bcdefghij")]
    assert shown_methods(results, ["oracle"], ["c", "x", "a"]) == list("cabdefg")


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        (Interval(0.02, 0.01, 0.005, 0.035, 9), "a earns 0.020 [0.005, 0.035] more than b."),
        (Interval(-0.02, 0.01, -0.035, -0.005, 9), "a earns 0.020 [0.005, 0.035] less than b."),
        (
            Interval(0.02, 0.01, -0.01, 0.05, 9),
            "a and b are not told apart (+0.020 [-0.010, +0.050]).",
        ),
        (Interval(0.02, *[float("nan")] * 3, 1), "a less b is +0.020 in the one seed they share."),
        (Interval(*[float("nan")] * 4, 0), "a and b share no seed."),
        (Interval(0.0, 0.0, 0.0, 0.0, 9), "a and b earn the same."),
    ],
)
def test_a_verdict_follows_the_interval(interval, sentence):
    assert difference_sentence("a", "b", interval) == sentence


def test_numbers_in_sentences():
    assert bracket(Interval(-0.0001, 0.0, -0.0002, 0.01, 3), digits=2) == "+0.00 [+0.00, +0.01]"
    assert numbers([0.0, 10.0, 1000.0]) == "0, 10 and 1000" and numbers([2.5]) == "2.5"
    assert words(["a", "b"]) == "a and b"


def made_up(utilities, *, regret=0.1):
    """Records of methods by seed, at one cost weight on the grid and one between."""
    return [
        {
            "method": method,
            "logging": "uniform",
            "strength": 0.0,
            "rows": 100,
            "seed": seed,
            "cost_weight": cost_weight,
            "held_out": cost_weight == 5.0,
            "utility": value + 0.001 * seed,
            "regret": regret,
            "quality": value,
            "cost": 0.01,
        }
        for method, (on, off) in utilities.items()
        for cost_weight, values in ((0.0, on), (5.0, off))
        for seed, value in enumerate(values)
    ]


def test_the_report_says_what_beats_what():
    found = made_up(
        {
            "best-single-log": ([0.50, 0.52, 0.48], [0.5, 0.5, 0.5]),
            "regression-plug-in": ([0.59, 0.62, 0.59], [0.5, 0.5, 0.5]),
            "rm-softmax-dr": ([0.60, 0.61, 0.59], [0.5, 0.5, 0.5]),
            "rm-classification-dr": ([0.40, 0.41, 0.39], [0.4, 0.4, 0.4]),
            "rm-interval-dr": ([0.55, 0.55, 0.55], [0.600, 0.602, 0.598]),
            "rm-trained-there-dr": ([0.9, 0.9, 0.9], [0.6, 0.6, 0.6]),
            "rm-softmax-full-feedback": ([0.70, 0.72, 0.68], [0.7, 0.7, 0.7]),
        }
    )
    text = report(found, **TOLD)
    # means on the grid 0.601, by both, and 0.501 for the base; half of the way to 0.701
    assert "The highest mean utility, yardsticks aside, is 0.601, by `rm-softmax-dr`." in text or (
        "The highest mean utility, yardsticks aside, is 0.601, by `regression-plug-in`." in text
    )
    assert "`rm-softmax-dr` and `regression-plug-in` are not told apart" in text
    assert re.search(r"`rm-softmax-dr` earns 0\.200 \[\S+, \S+\] more than `rm-class", text)
    assert re.search(r"`rm-interval-dr` earns 0\.050 \[\S+, \S+\] less than `rm-softmax-dr`", text)
    assert "It covers 50% of the way from `best-single-log` to `rm-softmax-full-feedback`." in text
    # between grid points, relative to 0.601
    assert re.search(r"is \+0\.00 % \[\S+, \S+\] for `rm-interval-dr`, within 1 %", text)
    assert "-16.64 % [-16.64, -16.64] for `rm-softmax-dr`, not within 1 %" in text
    for absent in ("most gets", "best single model's quality", "Labels of", "Over logged rows"):
        assert absent not in text


def test_the_report_turns_with_the_numbers():
    base = {"best-single-log": ([0.5, 0.5], [0.5, 0.5])}
    wide = report(made_up(base | {"rm-softmax-dr": ([0.6, 0.7],) * 2}), **TOLD)
    assert "`rm-softmax-dr` and `best-single-log` are not told apart (+0.150" in wide
    worse = report(made_up(base | {"rm-softmax-dr": ([0.41, 0.40],) * 2}), **TOLD)
    assert "by `best-single-log`" in worse
    assert re.search(r"`rm-softmax-dr` earns 0\.095 \[\S+ \S+\] less than `best-single-log`", worse)


def test_learning_and_strength_sentences():
    early = made_up({"best-single-log": ([0.5] * 3, [0.5] * 3), "rm-softmax-dr": ([0.40] * 3,) * 2})
    late = made_up({"best-single-log": ([0.5] * 3, [0.5] * 3), "rm-softmax-dr": ([0.60] * 3,) * 2})
    found = [*early, *({**r, "rows": 800} for r in late)]
    assert (
        "Over logged rows 100 and 800, against `best-single-log`: better at 800 and worse at 100: "
        "`rm-softmax-dr`." in report(found, **TOLD)
    )
    found = [*late, *({**r, "strength": 3.0} for r in late)]
    assert (
        "Over logging strengths 0 and 3, against `best-single-log`: better at all: "
        "`rm-softmax-dr`." in report(found, **TOLD)
    )


def test_the_winners_curse_sentence_by_hand():
    labels = [
        {
            "record": "label_error",
            "logging": "uniform",
            "strength": 0.0,
            "rows": 100,
            "seed": 0,
            "cost_weight": cost_weight,
            "estimator": "dr",
            "label_error": error,
            "optimism": high,
        }
        for cost_weight, error, high in ((0.0, 0.25, 0.1), (5.0, 0.5, -0.05))
    ]
    text = report([*made_up({"best-single-log": ([0.5], [0.5])}), *labels], **TOLD)
    assert "by dr 25% and +0.100 at λ 0, 50% and -0.050 at λ 5." in text


def test_the_grid_is_told_apart_from_what_lies_between(study):
    found, out, _ = study
    text = (out / "report.md").read_text()
    assert f"is {numbers(GRID)} on the grid and 5, 30, 100 and 500 between its points" in text
    assert "Propensities are estimated: the smallest is 0.004, 2.0% lie below" in text
    assert np.isfinite([r["utility"] for r in found if "utility" in r]).all()
