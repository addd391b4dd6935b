"""The page of an evaluation: sentences, figure and HTML."""

from __future__ import annotations

import dataclasses
import html.parser

import numpy as np

import routerjax as rj
from routerjax.evaluation.intervals import Interval
from routerjax.pipelines.lines import Evaluation, Line, Single
from routerjax.pipelines.verdict import at_dearest_costs, impossible, verdict
from routerjax.reports.evidence_plot import plot_evidence
from routerjax.reports.html_page import page, write_page

STRANGE = "<b>big</b> [/x] $"


def interval(mean, low, high):
    return Interval(mean, 0.01, low, high, 90)


def line(
    weight,
    ends,
    *,
    mean=None,
    mostly=("small", 0.6),
    cost=0.002,
    size=50.0,
    without=0.0,
    advantage=(-0.1, 0.1),
    method="router",
):
    low, high = ends
    mean = (low + high) / 2 if mean is None else mean
    return Line(
        method=method,
        cost_weight=weight,
        utility=interval(0.7, 0.6, 0.8),
        regret=None,
        quality=interval(0.75, 0.7, 0.8),
        cost=interval(cost, cost / 2, 2 * cost),
        advantage=interval(sum(advantage) / 2, *advantage),
        over_today=interval(mean, low, high),
        band=(low, high),
        effective_sample_size=size,
        unsupported=without,
        mostly=mostly,
    )


def made(*lines, models=("small", STRANGE), unsupported=(0.0, 0.0)):
    weights = [each.cost_weight for each in lines]
    nothing = interval(0.0, 0.0, 0.0)._replace(standard_error=0.0)
    today = [
        dataclasses.replace(line(w, (0, 0), method="today", cost=0.004), over_today=nothing)
        for w in weights
    ]
    best = [line(w, (0, 0), method="best-single-log", mostly=(models[1], 1.0)) for w in weights]
    overlap = {
        "models": models,
        "arm_rows": (40, 50),
        "effective_sample_size": (39.5, 48.0),
        "unsupported": unsupported,
        "calibration": (1.01, 0.98),
    }
    found = Evaluation(
        kind="log",
        source=f"log of {STRANGE}",
        rows=90,
        groups=90,
        left_out=3,
        fingerprint="0123456789abcdef",
        quality_range=(0.0, 1.0),
        notes=("estimates, not observations",),
        lines=(*today, *lines, *best),
        overlap=overlap,
        singles=(
            Single("small", interval(0.6, 0.5, 0.7), interval(0.001, 0.0, 0.002), 0.0),
            Single(models[1], interval(0.8, 0.4, 1.0), interval(0.008, 0.007, 0.009), 0.3),
        ),
    )
    return dataclasses.replace(found, verdict=verdict(found))


def test_neighbours_of_which_the_same_is_said_share_a_sentence():
    found = made(
        line(0.0, (0.01, 0.03), mostly=("small", 0.60)),
        line(10.0, (0.02, 0.05), mostly=("small", 0.64)),
        line(50.0, (-0.02, 0.05), mostly=("small", 0.64)),
        line(100.0, (-0.09, -0.03), mostly=(STRANGE, 1.0)),
    )
    assert found.verdict == (
        "The router is worth more than today's policy at cost weights 0 and 10. The router is "
        "worth less than today's policy at cost weight 100. The router cannot be told from "
        "today's policy by this log at cost weight 50.",
        "At cost weights 0 and 10 the router is worth 0.02 to 0.035 more per query than today's "
        "policy (95 % 0.01 to 0.05), at 0.5 of its cost. It is the same policy as small on 60% to "
        "64% of the queries.",
        "At cost weight 50 the log cannot tell: the difference from today's policy lies between "
        "-0.02 and +0.05, at 0.5 of its cost. It is the same policy as small on 64% of the "
        "queries.",
        "At cost weight 100 the router is worth 0.06 less per query than today's policy (95 % "
        f"0.03 to 0.09), at 0.5 of its cost. It is {STRANGE} for every query.",
    )


def test_why_a_log_cannot_tell():
    few = made(line(0.0, (0.1, 0.3), size=4.2)).verdict
    assert few[0].startswith("The router cannot be told") and "only 4 effective rows" in few[1]
    wide = made(line(0.0, (-0.2, 0.3), without=0.4), unsupported=(0.4, 0.0)).verdict
    assert "since on 40% of the queries today's policy hardly ever asks" in wide[1]
    assert "hardly ever asks small on 40% of the queries" in wide[2]
    assert "may be anything in the quality range" in wide[2]


def test_a_best_single_model_that_is_worth_more_is_named():
    said = made(line(0.0, (0.1, 0.3)), line(9.0, (0.1, 0.3), advantage=(-0.5, -0.1))).verdict
    assert f"At cost weight 9 {STRANGE} for every query is worth 0.3 more than the router." in said


def test_a_lead_that_rests_on_costs_the_log_never_saw_is_not_claimed():
    """The lead is 0.1 at least: 9 × 0.3 × (0.04 − 0.002) = 0.1026 is more, by 0.039 less."""
    at = line(9.0, (0.1, 0.3), advantage=(-0.5, -0.1))
    found = made(line(0.0, (0.1, 0.3), advantage=(-0.5, -0.1)), at)
    lines = [
        dataclasses.replace(each, unsupported=0.3) if each.method == "best-single-log" else each
        for each in found.lines
    ]
    found = dataclasses.replace(found, lines=tuple(lines))
    lead = f"At cost weight 0 {STRANGE} for every query is worth 0.3 more than the router."
    unknown = (
        f"At cost weight 9 the log cannot tell whether {STRANGE} for every query is worth more "
        "than the router: what it would cost on the 30% of the queries on which it is hardly ever "
        "asked is not known."
    )
    said = verdict(found, dearest={"small": 0.04, STRANGE: 0.002})
    assert lead in said and unknown in said
    said = verdict(found, dearest={"small": 0.039, STRANGE: 0.002})
    assert lead.replace("weight 0", "weights 0 and 9") in said and unknown not in said
    ends = [
        [each.advantage for each in at_dearest_costs(found, {"small": dear, STRANGE: 0.002})]
        for dear in (0.04, 0.039)
    ]
    before = [each.advantage for each in found.lines]
    assert ends[1] == before
    (only,) = [at for at, one in enumerate(ends[0]) if one != before[at]]
    assert (found.lines[only].method, found.lines[only].cost_weight) == ("router", 9.0)
    assert ends[0][only] == before[only]._replace(high=-0.1 + 9.0 * 0.3 * (0.04 - 0.002))


def test_an_estimate_that_no_policy_can_have_is_said():
    wrong = dataclasses.replace(line(0.0, (0.1, 0.3)), quality=interval(1.8, 1.7, 1.9))
    assert impossible(made(line(0.0, (0.1, 0.3)))) == []
    (note,) = impossible(made(wrong))
    assert note.startswith("the estimated quality of router lies outside [0, 1], which is imposs")


class Shape(html.parser.HTMLParser):
    """Tags that are open, and what is written in cells."""

    def __init__(self):
        super().__init__()
        self.open, self.cells = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "p", "li"):
            self.cells.append(data)


def test_the_page_is_whole_says_the_numbers_and_runs_nothing(tmp_path):
    found = made(line(0.0, (0.01, 0.03)), line(10.0, (np.nan, np.nan)))
    text = page(found, figure="AAAA", about={"router": "r <i>", "commit": None})
    shape = Shape()
    shape.feed(text)
    assert shape.open == []
    for cell in ("0.700 (0.600 to 0.800)", "0.020 (0.010 to 0.030)", "cannot tell", "48", "1.01"):
        assert cell in shape.cells, cell
    assert STRANGE in shape.cells and "<b>" not in text and "<i>" not in text
    assert "<script" not in text and "http" not in text
    assert text.count("The router is worth more than today&#x27;s policy at cost weight 0.") == 1


def test_what_was_warned_of_stands_above_the_verdict():
    found = made(line(0.0, (0.01, 0.03)))
    text = page(found, figure="AAAA", about={}, warnings=("cost of <m0> may be wrong",))
    shape = Shape()
    shape.feed(text)
    assert shape.open == [] and "cost of <m0> may be wrong" in shape.cells
    assert text.index("may be wrong") < text.index("The router is worth more than today")
    assert "these warnings" not in page(found, figure="AAAA", about={})


def test_figure_and_page_are_written(tmp_path, router):
    from routerjax.pipelines.lines import evaluation_of
    from routerjax.support.provenance import plain

    found = made(line(0.0, (0.01, 0.03)), line(10.0, (-0.02, 0.04)))
    plot_evidence(found, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    own = evaluation_of(plain(router.report["evaluation"]))
    write_page(own, tmp_path / "page.html", about={"router": "r"})
    assert "data:image/png;base64,iVBOR" in (tmp_path / "page.html").read_text()
    alone = made(line(5.0, (0.01, 0.03)))
    plot_evidence(alone, tmp_path / "alone.svg")
    assert "<svg" in (tmp_path / "alone.svg").read_text()


def test_a_table_has_a_page_beside_the_best_single_model(tmp_path, router, world):
    found = rj.evaluate(router, world.fresh)
    for name in ("f.png", "f.svg"):
        plot_evidence(found, tmp_path / name)
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    drawn = (tmp_path / "f.svg").read_text()
    assert "<svg" in drawn and "utility over best single model" in drawn
    assert "today" not in drawn
    write_page(found, tmp_path / "p.html", about={"router": "r"})
    text = (tmp_path / "p.html").read_text()
    shape = Shape()
    shape.feed(text)
    assert shape.open == [] and "data:image/png;base64,iVBOR" in text
    assert "A router beside the best single model" in text and "today" not in text
    own = found.of("router")[0]
    for interval in (own.utility, own.quality, own.regret):
        cell = f"{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})"
        assert cell in shape.cells, cell
    assert {line.method for line in found.lines} <= set(shape.cells)
    assert all(note in shape.cells for note in found.notes)
    one = rj.evaluate(router, world.fresh, cost_weights=(5.0,))
    plot_evidence(one, tmp_path / "one.png")
    assert (tmp_path / "one.png").exists()
