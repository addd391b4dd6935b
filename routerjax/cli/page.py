"""What `fit` and `evaluate` write of a router's page beside the terminal: figure and report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routerjax.cli.options import Page
from routerjax.cli.terminal import warned
from routerjax.errors import InputError

if TYPE_CHECKING:
    from routerjax.artefacts.router import Router
    from routerjax.pipelines.lines import Evaluation

FIGURES = (".png", ".pdf", ".svg")


def check(page: Page) -> None:
    """Raise InputError where a file cannot be what it is asked to be, before anything is done."""
    from routerjax.support.atomic import check_place

    if page.figure is not None and page.figure.suffix not in FIGURES:
        problem = f"must end in {', '.join(FIGURES[:-1])} or {FIGURES[-1]}"
        raise InputError(problem, source=f"--figure {page.figure}")
    if page.report is not None and page.report.suffix not in (".html", ".htm"):
        raise InputError("must end in .html", source=f"--report {page.report}")
    for path in (page.figure, page.report):
        if path is not None:
            check_place(path)


def write(page: Page, evaluation: Evaluation | None, router: Router, *, folder: Any) -> list[str]:
    """Write what was asked for; returns the names of the files.

    Raises:
      InputError: there is no evaluation to draw.
    """
    if page.figure is None and page.report is None:
        return []
    if evaluation is None:
        problem = f"there is no evaluation to draw: {router.report.get('why', 'no rows were kept')}"
        raise InputError(problem, source=str(folder))
    if page.figure is not None:
        from routerjax.reports.evidence_plot import plot_evidence

        plot_evidence(evaluation, page.figure)
    if page.report is not None:
        from routerjax.reports.html_page import write_page

        own = about(evaluation, router, folder)
        write_page(evaluation, page.report, about=own, warnings=warned())
    return [str(path) for path in (page.figure, page.report) if path is not None]


def about(evaluation: Evaluation, router: Router, folder: Any) -> dict[str, Any]:
    """What the foot of a page says; nothing of a commit where routerjax runs from no checkout."""
    made = router.provenance
    found = {
        "router": folder,
        "rows evaluated": f"{evaluation.source}, fingerprint {evaluation.fingerprint}",
        "fitted on": f"fingerprint {made['data_fingerprint']}, seed {made['seed']}",
        "commit": made.get("git_commit"),
        "versions": ", ".join(f"{name} {version}" for name, version in made["versions"].items()),
    }
    return {name: value for name, value in found.items() if value is not None}
