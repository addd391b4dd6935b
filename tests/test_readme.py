"""What the README shows is run as it stands there."""

import dataclasses
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


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


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


def test_the_surrogate_trains_a_router(snippet, world):
    config = dataclasses.replace(
        world.config, router=dataclasses.replace(world.config.router, surrogate=snippet)
    )
    router = rj.fit(world.log, config=config)
    arms = router.route(world.table.features, cost_weight=0.0).arms
    best = np.where(world.table.features[:, 0] > 0, 0, 1)
    assert np.mean(arms == best) > 0.9


def test_every_command_of_the_readme_is_one_the_parser_takes():
    commands = [
        line for block in blocks("sh") for line in block.splitlines() if line[:10] == "routerjax "
    ]
    assert {command.split()[1] for command in commands} == {"fit", "evaluate", "route", "simulate"}
    for command in commands:
        command_line.check(shlex.split(command)[1:])


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
    assert (tmp_path / "run" / "router.json").is_file()
    assert capsys.readouterr().out
