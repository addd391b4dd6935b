"""The documentation is true: code runs, commands are taken, the figure shows what is said of it."""

import functools
import importlib
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from test_readme import blocks, commands, parse

import routerjax as rj
from routerjax.data.io.writing import write_log, write_table

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
READMES = [ROOT / "README.md", *sorted((ROOT / "experiments").glob("*/README.md"))]
WITH_CODE = [page for page in PAGES if blocks("python", page.read_text(encoding="utf-8"))]
LONG = ("log_to_router",)
"""Pages that fit a router."""
TO_RUN = [
    pytest.param(page, marks=pytest.mark.slow if page.stem in LONG else (), id=page.stem)
    for page in WITH_CODE
]


@pytest.fixture
def files(tmp_path, monkeypatch, world):
    """A folder with the two files that the pages speak of, and networks of a size for tests."""
    monkeypatch.chdir(tmp_path)
    small = functools.partial(
        rj.FitConfig, router=world.config.router, nuisance=world.config.nuisance
    )
    monkeypatch.setattr(rj, "FitConfig", small)
    table = rj.embedded_table(0, queries=260).table.replace(embeddings=None)
    table = table.with_models(table.models[:3])

    def uniform(table, key):
        return np.full((len(table), 3), 1 / 3)

    log, _ = rj.simulate_log(table.rows(slice(220)), uniform, key=jax.random.key(0), record=False)
    write_log(log, "log.parquet")
    write_table(table.rows(slice(220, 260)), "test.parquet")
    return tmp_path


@pytest.mark.parametrize("page", TO_RUN)
def test_the_code_of_a_page_runs(page, files, capsys):
    code = "\n".join(blocks("python", page.read_text(encoding="utf-8")))
    names = {"__name__": "page"}
    exec(compile(code, str(page), "exec"), names)
    if page.stem == "log_to_router":
        assert (files / "router" / "router.json").is_file()
        assert (
            names["routes"].models
            == rj.route(names["router"], names["prompts"], cost_weight=50).models
        )
        assert "best-single-hindsight" in capsys.readouterr().out
    if page.stem == "methods":
        assert names["switch"](np.array([2.0, 50.0])).tolist() == [2.0, 0.0]


@pytest.mark.slow
def test_the_notebook_runs():
    """Every cell in an empty folder, and the committed outputs are of these cells."""
    path = ROOT / "docs" / "execute.py"
    spec = importlib.util.spec_from_file_location("execute", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    notebook = ROOT / "docs" / "new_surrogate.ipynb"
    before = json.loads(notebook.read_text(encoding="utf-8"))
    after = module.execute(notebook)
    [slips] = [cell for cell in after["cells"] if "slips.py" in "".join(cell["source"])]
    said = "".join(slips["outputs"][0]["text"])
    assert "upside_down: surrogate has the wrong sign" in said
    assert "overflowing: surrogate gives a loss or gradient that is not finite" in said
    assert "of_three: surrogate fails on a row of two arms" in said
    shown = [len(cell.get("outputs", ())) for cell in before["cells"]]
    assert shown == [len(cell.get("outputs", ())) for cell in after["cells"]]


def test_pages_with_code_are_found():
    assert {page.stem for page in WITH_CODE} >= {"log_to_router", "methods", "own_surrogate"}


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING], ids=lambda page: page.stem)
def test_every_command_is_one_the_parser_takes(page):
    for command in commands(page.read_text(encoding="utf-8")):
        parse(command)


def studies(text):
    """The commands of a page's shell blocks that run a study: (module, arguments)."""
    lines = "\n".join(blocks("sh", text)).replace("\\\n", " ").splitlines()
    found = [re.search(r"python -m (experiments\.\w+)(?: (.*))?$", line) for line in lines]
    return [(each[1], shlex.split(each[2] or "", comments=True)) for each in found if each]


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_study_command_is_one_the_study_takes(page, monkeypatch):
    for module, arguments in studies(page.read_text(encoding="utf-8")):
        if "--help" in arguments:
            continue
        study, ran = importlib.import_module(f"{module}.__main__"), []
        monkeypatch.setattr(study, "_run", lambda *given, ran=ran: ran.append(given))
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        assert study.main() == 0 and len(ran) == 1, (module, arguments)


def test_study_commands_are_found():
    text = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
    assert {module.split(".")[1] for module, _ in studies(text)} == {
        "causal_routing",
        "encoders",
        "end_to_end",
        "log_size",
        "loop",
        "meta_router",
        "off_policy_peers",
        "ope_coverage",
        "surrogates",
    }


def test_commands_are_found():
    text = (ROOT / "docs" / "log_to_router.md").read_text(encoding="utf-8")
    assert {command.split()[1] for command in commands(text)} == {
        "simulate",
        "fit",
        "evaluate",
        "route",
        "plan",
    }


def test_the_figure_shows_what_its_caption_says(tmp_path, monkeypatch):
    path = ROOT / "docs" / "figures" / "cost_quality.py"
    spec = importlib.util.spec_from_file_location("cost_quality", path)
    figure = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "cost_quality", figure)
    spec.loader.exec_module(figure)
    results = json.loads(figure.RESULTS.read_text(encoding="utf-8"))
    assert {"config", "versions", "git_commit", "data_fingerprint"} <= set(results["provenance"])
    curves = figure.curves_of(results, "router")
    leads = []  # of the router over a single model at its price, mean over seeds
    for arm in range(len(results["models"])):
        by_seed = []
        for found, seed in zip(curves, results["seeds"], strict=True):
            single = {name: seed["single_models"][name][arm] for name in ("cost", "quality")}
            [reached] = np.interp([single["cost"]], found.cost, found.quality)
            by_seed.append(reached - single["quality"])
        leads.append(np.mean(by_seed))
    assert min(leads) > -1e-6
    figure.draw(results, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_site_builds(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    # Not --quiet: that drops the warnings before --strict can count them.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(
        [*command, "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "api" / "losses" / "index.html").read_text(encoding="utf-8")
    assert "softmax_regret" in page and "expected regret, 0 or more" in page
    pages = (tmp_path / "site").rglob("*.html")
    for text in (page.read_text(encoding="utf-8") for page in pages):
        assert "fonts.googleapis" not in text and "cdn." not in text
