"""`routerjax fit` by two processes on loopback: one router, written once."""

import json
import os
import re
import socket
import subprocess
import sys

import numpy as np
import pytest

from routerjax import read_log
from routerjax.artefacts.router import Router
from routerjax.cli.commands import main
from routerjax.data.io.writing import write_log
from routerjax.records.logs import Log

OPTIONS = (
    "--architecture",
    "interval",
    "--cost-weights",
    "0,100",
    "--epochs",
    "4",
    "--devices",
    "1",
    "--checkpoint-every",
    "2",
)


@pytest.fixture
def log(tmp_path):
    """The path of a log of 600 rows, its better model told by the sign of one number."""
    rng = np.random.default_rng(0)
    x, arms = rng.normal(size=(600, 8)), rng.integers(0, 2, 600)
    quality = np.where((x[:, 0] > 0) == (arms == 1), 0.8, 0.2) + 0.1 * rng.uniform(-1, 1, 600)
    made = Log.from_arrays(
        arms, quality, np.array([0.001, 0.002])[arms], models=["a", "b"], embeddings=x
    )
    write_log(made, tmp_path / "log.parquet")
    return tmp_path / "log.parquet"


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["0.0000001", "1"])
def test_two_processes_fit_one_router(log, memory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        sys.executable,
        "-m",
        "routerjax",
        "fit",
        log,
        "--out",
        log.parent / "run",
        "--quiet",
    ]
    command += [*OPTIONS, "--memory", memory, "--coordinator", place, "--processes", "2"]
    quiet = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "OMPI"))}
    running = [
        subprocess.Popen(
            [*command, "--process-id", str(i)],
            env=quiet,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for i in range(2)
    ]
    try:
        told = [process.communicate(timeout=300) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], told
    assert "wrote" in told[0][0] and "wrote" not in told[1][0]
    assert sorted(path.name for path in log.parent.iterdir()) == ["log.parquet", "run"]
    router, given = Router.load(log.parent / "run"), read_log(log)
    better = np.asarray(given.features)[:, 0] > 0
    chosen = router.choices(given.features, cost_weights=[0.0])[0]
    assert np.mean(chosen == better) > 0.9


def complaint(capsys, log, *options) -> str:
    assert main(["fit", str(log), "--out", str(log.parent / "run"), "--quiet", *options]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--processes", "2"], "coordinator, processes and process id go together"),
        (["--cluster", "--processes", "2"], "--cluster asks the cluster"),
        (
            [*OPTIONS, "--cluster", "--parallel", "runs"],
            "--parallel is runs; with several processes it must",
        ),
        (["--gains", "--costs", "1,2", "--cluster"], "--cluster has no effect with --gains"),
        (["--memory", "0"], "'0' is not a number of GiB above 0"),
        (["--memory", "nan"], "'nan' is not a number of GiB above 0"),
    ],
)
def test_options_that_do_not_go_together(capsys, log, options, says):
    try:
        told = complaint(capsys, log, *options)
    except SystemExit as left:  # argparse's own way out
        assert left.code == 2
        told = capsys.readouterr().err
    assert says in re.sub(r"\s+", " ", told)
    assert not (log.parent / "run").exists()


@pytest.mark.slow
def test_embeddings_beyond_memory_stay_on_disk_and_change_nothing(log, capsys):
    found = []
    for memory in ("1", "0.0000001"):
        out = log.parent / memory
        command = ["fit", str(log), "--out", str(out), "--quiet", "--json", "--memory", memory]
        assert main([*command, *OPTIONS]) == 0
        report = json.loads(capsys.readouterr().out)
        found.append({name: value for name, value in report.items() if name != "router"})
    assert found[0] == found[1]
