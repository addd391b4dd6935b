"""What the README shows is run as it stands there."""

import dataclasses
import importlib
import re
import shlex
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import routerjax as rj
from routerjax.cli import commands as command_line
from routerjax.losses import by_name

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language, text=README):
    """Code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands(text=README):
    """The `routerjax` commands of a page's shell blocks."""
    lines = [line for block in blocks("sh", text) for line in block.splitlines()]
    return [line for line in lines if line.startswith("routerjax ")]


def parse(command):
    """Have the command line read a command, without running it."""
    command_line.check(shlex.split(command)[1:])


@pytest.fixture
def snippet(tmp_path):
    [code] = [block for block in blocks("python") if block.startswith("# my_surrogate.py")]
    path = tmp_path / "my_surrogate.py"
    path.write_text(code)
    return f"{path}:worst_case"


def test_the_surrogate_is_ten_lines_and_falls_as_the_best_arm_gains(snippet):
    lines = Path(snippet.rpartition(":")[0]).read_text().splitlines()
    body = lines[next(i for i, line in enumerate(lines) if line.startswith("def")) :]
    assert len(body) <= 10
    surrogate = by_name.resolve(snippet)
    logits, utilities = jnp.array([0.2, 0.0, -0.3]), jnp.array([0.1, 0.9, 0.5])
    slope = jax.grad(surrogate)(logits, utilities)
    assert slope[1] < 0 < slope[0] and slope[2] > 0


def test_the_surrogate_is_finite_at_any_logits(snippet):
    surrogate = by_name.resolve(snippet)
    utilities = jnp.array([0.0, 1.0, 0.5])
    loss, slope = jax.value_and_grad(surrogate)(jnp.array([1000.0, 0.0, -1000.0]), utilities)
    assert float(loss) == 1000.0
    assert slope.tolist() == [1.0, -1.0, 0.0]


@pytest.mark.slow
def test_the_surrogate_given_as_a_function_trains_a_router_that_is_saved(snippet, world, tmp_path):
    surrogate = by_name.resolve(snippet)
    config = dataclasses.replace(
        world.config, router=dataclasses.replace(world.config.router, surrogate=surrogate)
    )
    router = rj.fit(world.log, config=config)
    arms = router.route(world.table.features, cost_weight=0.0).arms
    best = np.where(world.table.features[:, 0] > 0, 0, 1)
    assert np.mean(arms == best) > 0.8
    router.save(tmp_path / "router")
    loaded = rj.Router.load(tmp_path / "router")
    assert loaded.config.router.surrogate == "my_surrogate.worst_case"
    again = loaded.route(world.table.features, cost_weight=0.0).arms
    assert again.tolist() == arms.tolist()


def test_every_command_of_the_readme_is_one_the_parser_takes():
    found = commands()
    known = {"inspect", "fit", "evaluate", "route", "simulate"}
    assert {command.split()[1] for command in found} == known
    for command in found:
        parse(command)


def test_functions_of_the_table_of_methods_exist():
    table = README.partition("## Methods and where they stand")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")]
    paths = [re.fullmatch(r" `([\w.]+)` ", row[-1]) for row in rows[1:]]
    assert len(paths) > 10 and all(paths), rows
    for path in paths:
        module, _, name = path[1].rpartition(".")
        assert callable(getattr(importlib.import_module(module), name)), path[1]


def test_links_of_the_readme_lead_somewhere():
    root = Path(__file__).parent.parent
    links = re.findall(r"\]\(([^)]+)\)", README)
    own = [link for link in links if not link.startswith("https://")]
    assert len(own) > 8
    for link in own:
        assert (root / link).exists(), link


def test_paths_of_the_layout_exist():
    layout = README.partition("```\nrouterjax/\n")[2].partition("```")[0]
    assert layout
    root = Path(__file__).parent.parent
    for line in layout.splitlines():
        name = line.split()[0]
        assert (root / name).exists() or (root / "routerjax" / name).exists(), name


@pytest.mark.slow
def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw = [
        "simulate",
        "--rows",
        "2000",
        "--policy",
        "uniform",
        "--out",
        "log.parquet",
        "--test",
        "test.parquet",
    ]
    assert command_line.main(draw) == 0
    [code] = [block for block in blocks("python") if block.startswith("import routerjax")]
    exec(compile(code, "README", "exec"), {})
    assert (tmp_path / "router" / "router.json").is_file()
    assert capsys.readouterr().out
