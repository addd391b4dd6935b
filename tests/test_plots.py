"""Figures: written, told apart without colour, and drawn from the numbers that the records hold."""

import numpy as np
import pytest
from fake_study import BETWEEN, GRID, NOISE, REFERENCES, records

from routerjax.evaluation.curves import quality_at
from routerjax.reports import style
from routerjax.reports.plots import cost_quality, sag, sag_values, utility_by_cost_weight
from routerjax.reports.scores import curves
from routerjax.reports.selection import by_seed, short, where
from routerjax.reports.share_plots import mean_shares, most_asked, routing_shares
from routerjax.reports.trends import by_setting, label_field, settings, trend, winners_curse

METHODS = [name for name in NOISE if name not in REFERENCES]


@pytest.fixture(scope="module")
def study():
    found = records(seeds=3, models=9, rows=(500, 4000))
    results = [r for r in found if "record" not in r]
    return found, results, where(results, rows=4000)


@pytest.fixture
def drawn(monkeypatch):
    """The figures as matplotlib has them when they are saved."""
    from matplotlib.figure import Figure

    kept = []
    save = Figure.savefig

    def keep(self, *arguments, **options):
        kept.append(self)
        save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return kept


def test_looks_differ_in_more_than_colour():
    candidates = [f"method-{i}" for i in range(2 * style.MOST)]
    found = style.looks([*candidates, "oracle"], references=["oracle"])
    first = list(found.values())[: style.MOST]
    for field in ("colour", "marker", "line"):
        assert len({getattr(look, field) for look in first}) == style.MOST
    assert len(set(found.values())) == len(found)
    assert found["oracle"].colour == style.REFERENCE


def test_a_name_without_suffix_is_png_and_pdf(tmp_path):
    assert style.files(tmp_path / "a.b") == [tmp_path / "a.b.png", tmp_path / "a.b.pdf"]
    assert style.files(tmp_path / "a.svg") == [tmp_path / "a.svg"]
    with style.drawing(tmp_path / "strength_0.5", size=(1, 1)) as figure:
        figure.subplots()
    assert (tmp_path / "strength_0.5.png").read_bytes().startswith(b"\x89PNG")
    first = (tmp_path / "strength_0.5.pdf").read_bytes()
    assert first.startswith(b"%PDF") and b"CreationDate" not in first
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "strength_0.5.pdf",
        "strength_0.5.png",
    ]


def test_a_figure_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), style.drawing(tmp_path / "a", size=(1, 1)):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_weight_axis_holds_zero_and_labels_do_not_crowd(tmp_path):
    cost_weights = [0.0, 5.0, *np.geomspace(10, 1000, 21)]
    with style.drawing(tmp_path / "a.png", size=(style.COLUMN, 2)) as figure:
        axes = figure.subplots()
        style.weight_axis(axes, cost_weights)
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    low, high = axes.get_xlim()
    assert axes.get_xscale() == "symlog" and low < 0 < 1000 < high
    assert {"0", "1000"} <= {label.get_text() for label in axes.get_xticklabels()}
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))
    assert len(axes.get_xticks()) + len(axes.get_xticks(minor=True)) == len(cost_weights)


def test_ticks_are_short():
    assert [short(value) for value in (0.0, 10, 22.360679, 0.5, 28571)] == [
        "0",
        "10",
        "22.4",
        "0.5",
        "28571",
    ]


def test_one_cost_weight_makes_an_axis_too(tmp_path):
    with style.drawing(tmp_path / "a.png", size=(2, 2)) as figure:
        axes = figure.subplots()
        style.weight_axis(axes, [10.0])
    assert axes.get_xlim()[0] < 10 < axes.get_xlim()[1]


def test_cost_quality_draws_the_curve_and_the_points(study, drawn, tmp_path):
    found, _, results = study
    references = where(found, record="reference", seed=0)
    one = where(results, seed=0)
    assert cost_quality(one, references, tmp_path / "a.png", methods=["rm-softmax-dr"]) == [
        tmp_path / "a.png"
    ]
    (axes,) = drawn[0].axes
    points, line = axes.lines[0], axes.lines[1]
    grid = [r for r in where(one, method="rm-softmax-dr") if r["cost_weight"] in GRID]
    np.testing.assert_allclose(points.get_xdata(), [1000 * r["cost"] for r in grid])
    np.testing.assert_allclose(points.get_ydata(), [r["quality"] for r in grid])
    (curve,) = curves(one, references, "rm-softmax-dr").values()
    np.testing.assert_allclose(line.get_ydata(), quality_at(curve, line.get_xdata() / 1000))
    names = {text.get_text() for text in axes.texts}
    assert "model-8" in names and len(names) <= 6


def test_cost_quality_where_some_model_is_free(study, tmp_path):
    found, _, results = study
    references = [r | {"cheapest_cost": 0.0} for r in where(found, record="reference")]
    (path,) = cost_quality(results, references, tmp_path / "a.png", methods=METHODS[:2])
    assert path.stat().st_size > 10_000


def test_utility_by_weight_tells_grid_from_between(study, drawn, tmp_path):
    _, _, results = study
    utility_by_cost_weight(
        results,
        tmp_path / "a.png",
        methods=["rm-interval-dr", "oracle"],
        base="best-single-log",
        upper=["oracle"],
    )
    above, below = drawn[0].axes
    markers = [line for line in above.lines if line.get_linestyle() == "None"]
    hollow = [line for line in markers if line.get_markerfacecolor() == "white"]
    filled = [line for line in markers if line.get_markerfacecolor() != "white"]
    assert [list(line.get_xdata()) for line in hollow] == [list(BETWEEN), list(BETWEEN), []]
    assert [list(line.get_xdata()) for line in filled] == [list(GRID), list(GRID)]
    mine, base = (
        by_seed(results, name, metric="utility") for name in ("rm-interval-dr", "best-single-log")
    )
    np.testing.assert_allclose(above.lines[0].get_ydata(), mine.mean(axis=0))
    np.testing.assert_allclose(below.lines[0].get_ydata(), (mine - base).mean(axis=0))


def test_sag_by_hand():
    some = [
        {"method": method, "seed": seed, "cost_weight": 5.0, "utility": utility, "held_out": True}
        for method, values in {"mine": (0.4, 0.5), "there": (0.5, 0.3)}.items()
        for seed, utility in enumerate(values)
    ]
    (share,) = sag_values(some, "mine", trained="there").values()
    np.testing.assert_allclose(share, [-0.1 / 0.4, 0.2 / 0.4])  # mean of "there" is 0.4


def test_sag_shows_the_interpolated_router_below(study, drawn, tmp_path):
    _, _, results = study
    sag(
        results,
        tmp_path / "a.png",
        trained="rm-trained-there-dr",
        methods=["rm-interval-dr", "rm-interpolated-dr"],
    )
    lines = {
        line.get_label(): line for line in drawn[0].axes[0].lines if line.get_label()[0] != "_"
    }
    assert set(lines) == {"rm-interval-dr", "rm-interpolated-dr", "λ between grid points"}
    solid = [line for line in drawn[0].axes[0].lines if len(line.get_xdata()) == 9]
    interval, interpolated = (line.get_ydata() for line in solid)
    between = np.isin(solid[0].get_xdata(), BETWEEN)
    assert interpolated[between].max() < -4 < interval[between].min()


def test_learning_curve_by_hand(study, drawn, tmp_path):
    _, results, _ = study
    trend(
        results, tmp_path / "a.png", over="rows", methods=["rm-softmax-dr"], base="best-single-log"
    )
    above, _ = drawn[0].axes
    assert above.get_xscale() == "log" and settings(results, "rows") == [500, 4000]
    own = [r for r in where(results, method="rm-softmax-dr") if r["cost_weight"] in GRID]
    means = [np.mean([r["utility"] for r in where(own, rows=rows)]) for rows in (500, 4000)]
    np.testing.assert_allclose(above.lines[0].get_ydata(), means)
    assert by_setting(results, "rm-softmax-dr", over="rows", seeds=[0, 1, 2]).shape == (3, 2)


def test_label_field_by_hand():
    some = [
        {
            "estimator": "dr",
            "seed": 0,
            "strength": 1.0,
            "cost_weight": cost_weight,
            "label_error": error,
        }
        for cost_weight, error in ((0.0, 0.2), (5.0, 0.4))
    ]
    assert label_field(some, "dr", metric="label_error", over="strength").tolist() == [
        [pytest.approx(0.3)]
    ]
    np.testing.assert_allclose(
        label_field(some, "dr", metric="label_error", over="cost_weight"), [[0.2, 0.4]]
    )


@pytest.mark.parametrize("over", ["rows", "cost_weight"])
def test_winners_curse_is_drawn(study, tmp_path, drawn, over):
    found, _, _ = study
    winners_curse(where(found, record="label_error"), tmp_path / "a.png", over=over)
    above, below = drawn[0].axes
    assert above.get_ylabel().startswith("wrong") and below.get_ylabel().startswith("optimism")
    solid = [line for line in below.lines if line.get_label() in ("direct", "ips", "dr")]
    assert len(solid) == 3
    assert np.concatenate([line.get_ydata() for line in below.lines[:6]]).min() > 0  # noise


def test_shares_are_stacked_to_the_whole(study, tmp_path, drawn):
    found, _, results = study
    references = where(found, record="reference")
    without = [r for r in results if r["method"] != "oracle"]
    shares = mean_shares(without, references, ["rm-softmax-dr", "oracle", "absent"])
    assert list(shares) == ["rm-softmax-dr", "oracle"]
    oracle = mean_shares(results, [], ["oracle"])["oracle"][1]
    np.testing.assert_allclose(shares["oracle"][1], oracle)  # from references as from results
    routing_shares(without, references, tmp_path / "a.png", methods=["rm-softmax-dr", "oracle"])
    for axes in drawn[0].axes:
        assert len(axes.collections) == 8  # seven models and the others, of nine
        top = axes.collections[-1].get_paths()[0].vertices[:, 1].max()
        assert top == pytest.approx(100)


def test_most_asked_by_hand():
    values = np.array([[0.0, 0.1, 0.9], [0.2, 0.1, 0.7]])
    assert most_asked({"a": ([0.0, 1.0], values)}) == [2, 0, 1]
