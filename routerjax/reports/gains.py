"""What `routerjax fit --gains` prints for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from routerjax.errors import printable
from routerjax.reports.words import grid_of, say

if TYPE_CHECKING:
    from routerjax.artefacts.gains import SavedGains


def print_gains(router: SavedGains, console: Console) -> None:
    """Bias and overlap of the labels, and the decision curve on held-out gold."""
    report, (alternative, primary) = router.report, map(printable, router.models)
    rows, bias, overlap = report["rows"], report["bias"], report["overlap"]
    left_out = f" ({rows['dropped']} rows without either left out)" if rows["dropped"] else ""
    say(
        console,
        f"{rows['gold']} gold and {rows['preference']} preference labels to learn from"
        f"{left_out}.\n"
        f"{_scaled(report.get('label_scale'))}"
        f"Bias of the preference labels {bias['mean']:+.3f} on average, standard deviation "
        f"{bias['standard_deviation']:.3f} over the queries; ω {report['omega']:.2f}, "
        f"{report['spread']:.0%} of the bias's spread kept.\n"
        f"Propensities of gold {overlap['source']}: smallest {overlap['smallest_propensity']:.3g},"
        f" {overlap['share_clipped']:.1%} at {overlap['floor']:g} or below.\n",
    )
    always = report["always_primary"]
    say(
        console,
        f"Gain over always {alternative} on {_held_out(report)}, by a router fitted "
        f"without them; the one saved is fitted on all. Always {primary} gains\n"
        f"{always['mean']:+.3f} ±{always['standard_error']:.3f}; ± is one standard error.\n",
    )
    grid = grid_of("cost weight", "needs a gain of", f"to {primary}", "gain", "at random", "$/1000")
    for line in report["decision_curve"]:
        grid.add_row(
            f"{line['cost_weight']:g}",
            f"{line['threshold']:.3f}",
            f"{line['share']:.0%}",
            f"{line['gain']['mean']:+.3f} ±{line['gain']['standard_error']:.3f}",
            f"{line['at_random']:+.3f}",
            f"{1000 * line['cost']:.3g}",
        )
    console.print(grid)


def _held_out(report: Mapping[str, Any]) -> str:
    """How many gold labels, and of how many queries where some repeat."""
    labels, queries = report["held_out"], report.get("held_out_queries")
    repeated = queries is not None and queries < labels
    return f"{labels} gold labels" + (f" of {queries} queries" if repeated else "")


def _scaled(scale: dict[str, Any] | None) -> str:
    """A sentence on the scale of the preference labels; none for routers from before it."""
    if scale is None or scale["how"] == "none":
        return ""
    how = f"the scale of the gold ones, by {scale['how']}"
    return f"Preference labels are multiplied by {scale['factor']:.3g} to be on {how}.\n"
