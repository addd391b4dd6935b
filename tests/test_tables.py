"""Selection, scores and tables: by hand, bold only where it is earned, LaTeX that is whole."""

import re

import numpy as np
import pytest
from fake_study import GRID, NOISE, REFERENCES, records, truth

from routerjax.errors import InputError
from routerjax.evaluation.intervals import mean_interval
from routerjax.reports.latex import escape, to_latex
from routerjax.reports.published_scores import PUBLISHED
from routerjax.reports.scores import SCORES, curves, reference_record, scores
from routerjax.reports.selection import band, by_seed, cost_weights_of, off_grid, on_grid, where
from routerjax.reports.tables import (
    Cell,
    Sheet,
    best_apart,
    cost_weight_sheet,
    markdown,
    metric_table,
    paired_advantage,
    score_sheet,
    to_markdown,
)


def result(method, seed, cost_weight, **numbers):
    return {"method": method, "seed": seed, "cost_weight": cost_weight, **numbers}


@pytest.fixture(scope="module")
def study():
    found = records(seeds=3)
    return where_results(found), where(found, record="reference")


def where_results(found):
    return [r for r in found if "record" not in r]


def test_by_seed_aligns_and_leaves_gaps():
    some = [result("a", 1, 0.0, utility=0.5), result("a", 3, 10.0, utility=0.2)]
    np.testing.assert_equal(by_seed(some, "a", metric="utility"), [[0.5, np.nan], [np.nan, 0.2]])
    aligned = by_seed(some, "a", metric="utility", seeds=[1, 2], cost_weights=[0.0])
    np.testing.assert_equal(aligned, [[0.5], [np.nan]])
    assert by_seed(some, "b", metric="utility").shape == (0, 0)


@pytest.mark.parametrize(
    ("some", "message"),
    [
        ([result("a", 0, 5.0, cost=1.0)], "no utility in the record of a, seed 0, cost weight 5"),
        ([result("a", 0, 5.0, utility=1.0)] * 2, "two records of a, seed 0, cost weight 5"),
    ],
)
def test_records_that_cannot_be_told_apart_are_refused(some, message):
    with pytest.raises(InputError, match=message):
        by_seed(some, "a", metric="utility")


def test_grid_and_what_lies_between():
    some = [
        result("a", 0, 0.0, held_out=False),
        result("a", 0, 5.0, held_out=True),
        result("trained-there", 0, 5.0, held_out=False),
    ]
    assert cost_weights_of(on_grid(some)) == [0.0]
    assert [r["method"] for r in off_grid(some)] == ["a", "trained-there"]


def test_band_is_the_interval_of_every_column():
    values = np.array([[1.0, 4.0], [2.0, np.nan], [6.0, 5.0]])
    got = band(values)
    for column in range(2):
        known = values[~np.isnan(values[:, column]), column]
        expected = mean_interval(known)
        assert (got.mean[column], got.low[column], got.high[column]) == pytest.approx(
            (expected.mean, expected.low, expected.high)
        )
    assert np.isnan(band(values[:1]).low).all()


def test_best_apart_needs_an_interval_that_excludes_zero():
    base = np.array([0.1, 0.2, 0.3])
    above = {"a": base + np.array([0.05, 0.06, 0.07]), "b": base}
    assert best_apart(above) == "a"  # noisy seeds, steady difference
    assert best_apart({"a": base + np.array([0.3, -0.2, 0.0]), "b": base}) is None
    assert best_apart({"a": base, "b": base.copy()}) is None
    assert best_apart(above, sign=-1) == "b" and best_apart(above, sign=0) is None
    assert best_apart({name: scores[:1] for name, scores in above.items()}) is None


def test_references_are_neither_best_nor_next_best():
    base = np.array([0.1, 0.2, 0.3])
    values = {"a": base + 0.1, "oracle": base + 0.2, "b": base}
    assert best_apart(values, references=["oracle"]) == "a"
    assert best_apart(values | {"close": base + 0.1}, references=["close"]) == "oracle"
    assert best_apart({"a": base, "oracle": base + 1}, references=["oracle"]) is None


def test_an_infinite_score_is_never_bold():
    never = {"a": np.array([1.0, 1.0]), "b": np.array([2.0, np.inf])}
    assert best_apart(never, sign=-1) is None


RESULTS = [
    result(method, seed, cost_weight, utility=utility)
    for method, values in {
        "base": [[0.5, 0.3], [0.6, 0.2]],
        "mine": [[0.6, 0.4], [0.7, 0.3]],
        "full": [[0.9, 0.5], [0.9, 0.5]],
    }.items()
    for seed, row in enumerate(values)
    for cost_weight, utility in zip((0.0, 10.0), row, strict=True)
]


def test_weight_sheet_by_hand():
    sheet = cost_weight_sheet(RESULTS, base="base", ceiling="full", references=["full"])
    assert sheet.header == ("method", "λ = 0", "λ = 10", "mean", "− base", "share of gap")
    assert [row[0].text for row in sheet.rows] == ["base", "mine", "full"]
    assert sheet.candidates == 2
    mine = sheet.rows[1]
    assert [cell.text for cell in mine] == [
        "mine",
        "0.650 ± 0.050",
        "0.350 ± 0.050",
        "0.500 ± 0.000",
        "+0.100 ± 0.000",
        "33%",
    ]
    assert [cell.bold for cell in mine] == [False, True, True, True, False, False]
    assert not any(cell.bold for row in (sheet.rows[0], sheet.rows[2]) for cell in row)


def test_markdown_sets_bold_and_escapes_bars():
    sheet = Sheet("", ("method", "u"), ((Cell("a|b"), Cell("1.0", True)),), 1)
    assert to_markdown(sheet).splitlines()[-1] == "| a\\|b   | **1.0** |"
    utilities = cost_weight_sheet(RESULTS, base="base", references=["full"])
    assert "**0.500 ± 0.000**" in to_markdown(utilities)
    assert markdown(["a"], [["b"]]).splitlines() == ["| a |", "|---|", "| b |"]


def test_metric_table_scales():
    some = [result("a", seed, 0.0, cost=cost) for seed, cost in enumerate((0.001, 0.003))]
    assert metric_table(some, metric="cost", scale=1000.0).splitlines()[-1] == "| a      | 2.000 |"


def test_paired_gain_takes_common_seeds():
    some = [*RESULTS, *(result("base", 7, cost_weight, utility=9.0) for cost_weight in (0.0, 10.0))]
    gain = paired_advantage(some, "mine", "base")
    assert (gain.mean, gain.n) == (pytest.approx(0.1), 2)


def test_reference_record_by_hand():
    from routerjax.records.tables import Estimates

    outcomes = Estimates(
        quality=np.array([[0.4, 1.0], [0.6, 0.5]]), cost=np.array([[0.001, 0.003], [0.001, 0.005]])
    )
    got = reference_record(outcomes, models="ab", cost_weights=(0, 1000), logging="u", seed=3)
    assert (got["record"], got["logging"], got["seed"]) == ("reference", "u", 3)
    assert (got["models"], got["cost_weights"]) == (["a", "b"], [0.0, 1000.0])
    assert got["mean_cost"] == pytest.approx([0.001, 0.004])
    assert got["mean_quality"] == pytest.approx([0.5, 0.75])
    assert (got["cheapest_cost"], got["dearest_cost"]) == pytest.approx((0.001, 0.004))
    assert got["cheapest_quality"] == pytest.approx(0.5)
    assert got["oracle_shares"] == [[0.5, 0.5], [1.0, 0.0]]


def test_scores_by_hand():
    """Two models: cheap 0.5 at 1 ¢, dear 0.9 at 3 ¢; a router half and half, then all cheap."""
    reference = {
        "seed": 0,
        "mean_cost": [0.01, 0.03],
        "mean_quality": [0.5, 0.9],
        "cheapest_cost": 0.01,
        "dearest_cost": 0.03,
        "cheapest_quality": 0.5,
        "cost_weights": [0.0, 10.0, 99.0],
        "oracle_shares": [[0.4, 0.6], [0.7, 0.3], [1.0, 0.0]],
    }
    some = [
        result("r", 0, 0.0, utility=0.8, regret=0.1, quality=0.8, cost=0.02, shares=[0.5, 0.5]),
        result("r", 0, 10.0, utility=0.4, regret=0.2, quality=0.5, cost=0.01, shares=[1.0, 0.0]),
        result("r", 0, 5.0, utility=0.0, regret=9.0, quality=0.0, cost=0.03, held_out=True),
    ]
    got = {name: column["r"][0] for name, column in scores(some, [reference]).items()}
    expected = {
        "utility": 0.6,
        "regret": 0.15,
        "area": (0.01 * 0.65 + 0.01 * 0.8) / 0.02,
        "peak": 0.8,
        "cost_to_best_single": np.inf,
        "most_used": 0.75,
        "collapse": ((0.5 - 0.6) + (1.0 - 0.7)) / 2,
        "area_over_calls": ((0.5 * 0.65 + 0.5 * 0.8) - 0.5) / 0.4,
    }
    assert list(got) == list(SCORES)
    assert got == pytest.approx(expected)
    sheet = score_sheet(scores(some, [reference]))
    assert [cell.text for cell in sheet.rows[0]][5] == "never"

    some[0]["rci"], some[1]["rci"], reference["mean_quality"] = 0.25, 0.5, [0.5, 0.7]
    found = scores(some, [reference], columns=PUBLISHED)
    got = {name: column["r"][0] for name, column in found.items()}
    # PGR 1.5 at share 1/2; the two points are (0.01, 0.5) and (0.02, 0.8), level to 0.03
    expected = {
        "area": 0.725,
        "apgr": 0.5 * 0.75 + 0.5 * 1.25,
        "cpt50": 0.5 / 3,
        "cpt80": 0.5 * 0.8 / 1.5,
        "aiq": 0.725,
        "nauc": 0.725,
        "peak_score": 0.8,
        "qnc": 2 / 3,  # 0.02 of the dear model's 0.03
        "rci": 0.25,
    }
    assert list(got) == list(PUBLISHED)
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("name", {**SCORES, **PUBLISHED})
def test_every_score_is_finite_has_its_sign_and_its_column(study, name):
    """Holds for a score that is added, too."""
    results, references = study
    columns = SCORES if name in SCORES else PUBLISHED
    if "two models" in columns[name].needs:
        found = records(seeds=3, models=2)
        results, references = where_results(found), where(found, record="reference")
    found = scores(results, references, columns=columns)
    sign, oracle = columns[name].sign, found[name]["oracle"]
    assert np.isfinite(oracle).all()
    for method, values in found[name].items():
        assert values.shape == (3,)
        never = (sign < 0) & np.isinf(values)  # a cost that is never enough
        assert (np.isfinite(values) | never).all(), method
    # the oracle is ahead of the noisiest, so that the sign is the right way round
    noisiest = max((m for m in NOISE if NOISE[m] is not None), key=NOISE.__getitem__)
    assert sign * oracle.mean() >= sign * found[name][noisiest].mean()
    assert columns[name].title in score_sheet(found, columns=columns).header


def test_scores_hold_what_the_records_allow(study):
    results, references = study
    assert list(scores(results, references)) == [
        "utility",
        "regret",
        "area",
        "peak",
        "cost_to_best_single",
        "most_used",
        "collapse",
    ]
    assert list(scores(results, [])) == ["utility", "regret"]
    published = ["area", "aiq", "nauc", "peak_score", "qnc", "rci"]
    assert list(scores(results, references, columns=PUBLISHED)) == published
    older = [{k: v for k, v in r.items() if k != "rci"} for r in results]
    assert list(scores(older, references, columns=PUBLISHED)) == published[:-1]
    without = [{k: v for k, v in r.items() if k != "shares"} for r in results]
    assert "collapse" not in scores(without, references)


def test_the_oracle_is_ahead_by_every_score(study):
    results, references = study
    found = scores(results, references)
    for name in ("utility", "area"):
        best = found[name]["oracle"]
        assert all(np.all(values <= best + 1e-12) for values in found[name].values()), name
    assert found["collapse"]["oracle"] == pytest.approx(np.zeros(3))
    assert np.all(found["regret"]["oracle"] == 0)
    # the best single model in hindsight reaches its own quality, at its own cost
    reached = found["cost_to_best_single"]["best-single-hindsight"]
    own = [r["mean_cost"][int(np.argmax(r["mean_quality"]))] for r in references]
    assert reached == pytest.approx(own, rel=1e-6)


def test_a_missing_seed_is_left_out(study):
    results, references = study
    some = [r for r in results if (r["method"], r["seed"]) != ("rm-softmax-dr", 1)]
    column = scores(some, references)["area"]["rm-softmax-dr"]
    assert np.isnan(column).tolist() == [False, True, False]
    row = next(
        row for row in score_sheet(scores(some, references)).rows if row[0].text == "rm-softmax-dr"
    )
    assert row[1].text.count("±") == 1


def test_curves_come_from_the_grid_alone(study):
    results, references = study
    found = curves(results, references, "rm-interval-dr")
    assert sorted(found) == [0, 1, 2]
    assert all(len(one.cost) == 1 + len(GRID) for one in found.values())


@pytest.mark.parametrize("field", ["cheapest_cost", "dearest_cost", "cheapest_quality"])
def test_a_reference_without_its_range_is_refused(study, field):
    results, references = study
    some = [{k: v for k, v in r.items() if k != field} for r in references]
    with pytest.raises(InputError, match=f"reference of seed 0 lacks {field}"):
        scores(results, some)
    with pytest.raises(InputError, match="no reference record of seed 2"):
        scores(results, references[:2])


def test_escape_by_hand():
    assert escape("a_b & 5% ± {x}") == r"a\_b \& 5\% $\pm$ \{x\}"
    assert escape("λ − 1 < 2~3^4 #$\\") == (
        r"$\lambda$ $-$ 1 \textless{} 2\textasciitilde{}3\textasciicircum{}4 \#\$\textbackslash{}"
    )


def test_latex_by_hand():
    sheet = Sheet(
        "Utility in %",
        ("method", "λ = 0"),
        ((Cell("my_loss-dr"), Cell("-0.5 ± 0.1", True)), (Cell("oracle"), Cell(""))),
        1,
    )
    assert to_latex(sheet, label="tab:one").splitlines() == [
        r"\begin{table}[t]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        r"\caption{Utility in \%}",
        r"\label{tab:one}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"method & $\lambda$ = 0 \\",
        r"\midrule",
        r"my\_loss-dr & \textbf{$-$0.5 $\pm$ 0.1} \\",
        r"\midrule",
        r"oracle &  \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_latex_of_a_study_is_whole(study):
    results, references = study
    for sheet in (
        cost_weight_sheet(on_grid(results), base="best-single-log", references=REFERENCES),
        score_sheet(scores(results, references), references=REFERENCES),
        score_sheet(scores(results, references, columns=PUBLISHED), columns=PUBLISHED),
    ):
        text = to_latex(sheet, label="tab:x")
        assert text.startswith(r"\begin{table*}") and text.isascii()
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert len(rows) == 1 + len(sheet.rows)
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == len(sheet.header) - 1
        assert text.count("{") == text.count("}")
        assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0


def test_the_fake_table_has_dearer_models_that_are_better():
    known = truth(0)
    assert np.all(np.diff(known.cost.mean(axis=0)) > 0)
    assert np.all(np.diff(known.quality.mean(axis=0)) > 0)
