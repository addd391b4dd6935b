"""Embeddings left on disk: the same rows, the same training, the same router."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_toys import Wave, on_disk, trained, wave

from routerjax.data.io.files import read_log, read_table
from routerjax.data.io.writing import write_log, write_table
from routerjax.errors import InputError
from routerjax.models.heads import Scaling
from routerjax.pipelines.fit_log import fit
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored, blocks, memory, read
from routerjax.records.tables import Table
from routerjax.training.batches import NEIGHBOURS, visited
from routerjax.training.checkpoint import Checkpoints, digest
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig, Schedule
from routerjax.training.processes import checksum
from routerjax.training.sweep import Sweep

FEW = Schedule(batch_size=16, max_epochs=12, patience=2, chunk=4, epoch_rows=64)


@pytest.fixture
def values(tmp_path):
    """A memory-mapped matrix, 300 rows of 4."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(3, 2, (300, 4)).astype("f4"))
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def same(got, want):
    jax.tree.map(np.testing.assert_array_equal, got, want)


def a_log(embeddings, **fields) -> Log:
    rng = np.random.default_rng(1)
    n = len(embeddings)
    return Log.from_arrays(
        rng.integers(0, 3, n),
        rng.random(n),
        rng.uniform(0.001, 0.01, n),
        models=list("abc"),
        embeddings=embeddings,
        **fields,
    )


def test_rows_are_picked_lazily_and_read_as_numpy_would(values):
    whole = Stored(values)
    assert whole.shape == (300, 4) and len(whole) == 300
    mask = np.arange(300) % 3 == 0
    for rows in (slice(10, 20), [5, 3, 5], mask):
        some = whole[rows]
        assert isinstance(some, Stored)
        np.testing.assert_array_equal(np.asarray(some), values[rows])
        np.testing.assert_array_equal(np.asarray(some[1:3]), values[rows][1:3])
    assert read(whole[:2]).shape == (2, 4) and read("else") == "else"
    assert [len(block) for block in blocks(whole, 128)] == [128, 128, 44]


def test_double_and_half_precision_are_read_as_single(values):
    for kind in (np.float64, np.float16):
        found = np.asarray(Stored(values.astype(kind))[:5])
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, values[:5].astype(kind).astype(np.float32))


def test_scaled_rows_have_the_bits_that_jax_gives_them(values):
    scaling = Scaling.of(Stored(values))
    same(scaling, Scaling.of(np.asarray(values)))
    want = np.asarray(scaling(np.asarray(values)))
    np.testing.assert_array_equal(np.asarray(scaling(Stored(values))[7:90]), want[7:90])
    np.testing.assert_allclose(want.mean(axis=0), 0, atol=1e-6)


def test_scaling_of_blocks_is_that_of_the_whole(values, monkeypatch):
    monkeypatch.setattr("routerjax.models.heads.blocks", lambda values: blocks(values, 64))
    scaling, x = Scaling.of(Stored(values)), np.asarray(values, np.float64)
    np.testing.assert_allclose(scaling.centre, x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaling.scale, np.sqrt(x.var(axis=0).mean()), rtol=1e-6)


def test_fingerprint_and_checksum_do_not_ask_where_rows_are(values):
    stay, come = a_log(Stored(values)), a_log(np.asarray(values))
    assert stay.fingerprint == come.fingerprint
    assert stay.rows([1, 2]).fingerprint == come.rows([1, 2]).fingerprint != come.fingerprint
    assert checksum({"x": Stored(values)}) == checksum({"x": np.asarray(values)})


def test_a_number_that_is_not_finite_is_found_in_whatever_block_it_is(monkeypatch):
    monkeypatch.setattr("routerjax.records.validation.blocks", lambda values: blocks(values, 64))
    monkeypatch.setattr("routerjax.records.validation.BLOCK", 64)
    x = np.ones((200, 2), np.float32)
    x[150, 1] = np.inf
    with pytest.raises(InputError, match="row 150.*not a finite number"):
        a_log(Stored(x))


def test_an_epoch_visits_stretches_of_neighbours_all_of_them_other_rows():
    train = jnp.sort(jax.random.permutation(jax.random.key(0), 10_000)[:9_000])
    seen, draw = np.zeros(10_000), jax.jit(visited, static_argnums=2)
    for seed in range(60):
        rows = np.asarray(draw(jax.random.key(seed), train, 2_000))
        long = 2_000 // NEIGHBOURS * NEIGHBOURS
        assert len(rows) == len(set(rows)) == long and set(rows) <= set(np.asarray(train))
        stretches = np.searchsorted(train, rows).reshape(-1, NEIGHBOURS)
        assert ((np.diff(stretches, axis=1) % 9_000) == 1).all()
        seen[rows] += 1
    assert (seen[np.asarray(train)] > 0).all()  # each of 35 stretches is missed with 0.8⁶⁰ = 10⁻⁶
    np.testing.assert_array_equal(visited(jax.random.key(0), train, 9_000), train)


@pytest.mark.parametrize("epoch_rows", [64, pytest.param(1 << 16, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "sweep",
    [Sweep("map"), Sweep("vmap"), pytest.param(Sweep("map", memory=1), marks=pytest.mark.slow)],
)
def test_training_from_disk_is_training_from_memory_bit_by_bit(epoch_rows, sweep):
    schedule = dataclasses.replace(FEW, epoch_rows=epoch_rows)
    want = trained(Wave(), wave(), schedule=schedule, sweep=sweep)
    assert len(set(np.asarray(want.epochs).tolist())) > 1, "runs are to stop at different times"
    same(trained(Wave(), on_disk(wave()), schedule=schedule, sweep=sweep), want)


def test_only_the_rows_of_an_epoch_are_read(monkeypatch):
    asked = []
    taken = Stored.__array__
    monkeypatch.setattr(
        Stored,
        "__array__",
        lambda own, *of, **how: asked.append(len(own)) or taken(own, *of, **how),
    )
    trained(Wave(), on_disk(wave(2, n=2_000)), schedule=dataclasses.replace(FEW, max_epochs=2))
    # two runs, one after the other: 41 held-out rows and no other, then 64 to visit, twice
    assert asked == [41, 1, 64, 64] * 2


def test_held_out_rows_are_no_more_than_an_epoch(monkeypatch):
    rows, params, train, held_out = wave(2, n=300)
    settings = {"schedule": dataclasses.replace(FEW, epoch_rows=32)}
    cut = trained(Wave(), (rows, params, train, held_out[:, :32]), **settings)
    same(trained(Wave(), (rows, params, train, held_out), **settings), cut)


@pytest.mark.slow
def test_a_training_from_disk_resumes_with_the_same_bits(tmp_path):
    class Stopped(Exception):
        pass

    def stop(done, most):
        if done == 16:  # four epochs into the second of five runs
            raise Stopped

    settings = {"schedule": dataclasses.replace(FEW, patience=12)}
    want = trained(Wave(), wave(), **settings)
    settings["checkpoint"] = Checkpoints(tmp_path / "store", every=4)
    with pytest.raises(Stopped):
        trained(Wave(), on_disk(wave()), **settings, on_progress=stop)
    epochs: list[int] = []

    def listen(done, most):
        epochs.append(done)

    same(trained(Wave(), on_disk(wave()), **settings, on_progress=listen), want)
    assert epochs[:2] == [12, 16]


def config() -> FitConfig:
    few = dataclasses.replace(FEW, max_epochs=3)
    return FitConfig(
        cost_weights=(0.0, 50.0),
        router=RouterConfig(architecture="interval", members=2, widths=(8,), schedule=few),
        nuisance=NuisanceConfig(outcomes="network", folds=2, widths=(8,), schedule=few),
    )


@pytest.mark.slow
def test_a_router_fitted_from_disk_is_the_one_fitted_from_memory(tmp_path, values, monkeypatch):
    split = np.where(np.arange(300) % 10, "train", "test")
    log = a_log(np.asarray(values), split=split)
    write_log(log, tmp_path / "log.parquet")
    routers = []
    for size in (None, 100):
        again = read_log(tmp_path / "log.parquet", in_memory=size)
        assert isinstance(again.embeddings, np.ndarray if size is None else Stored)
        assert again.fingerprint == log.fingerprint
        routers.append(fit(again, config=config()))
        monkeypatch.setattr("routerjax.models.outcomes.BLOCK", 64)
    come, stay = routers
    assert digest(come.arrays) == digest(stay.arrays)
    np.testing.assert_array_equal(
        come.choices(np.asarray(values), cost_weights=[20.0]),
        stay.choices(Stored(values), cost_weights=[20.0]),
    )


@pytest.mark.parametrize("apart", [True, False])
def test_a_table_that_is_too_large_stays_in_its_file(tmp_path, values, apart):
    quality = np.random.default_rng(0).random((300, 2))
    table = Table.from_arrays(
        quality,
        0.01 * quality,
        models=["a", "b"],
        embeddings=None if apart else values,
        prompts=[f"? {i}" for i in range(300)],
    )
    write_table(table, tmp_path / "table.parquet")
    np.save(tmp_path / "e.npy", values)
    found = read_table(
        tmp_path / "table.parquet", embeddings=tmp_path / "e.npy" if apart else None, in_memory=99
    )
    assert isinstance(found.embeddings, Stored)
    np.testing.assert_array_equal(np.asarray(found.embeddings), values)
    assert not [path for path in stored_leftovers(tmp_path)]


def stored_leftovers(folder):
    from routerjax.support.cache import scratch

    return list(scratch().iterdir())


def test_a_quarter_of_the_memory():
    assert 2**28 < memory() < 2**46


def _resident(path) -> int:
    """KiB of a mapped file that are in this process's memory."""
    parts = Path("/proc/self/smaps").read_text().split(str(path))[1:]
    return sum(int(part.split("Rss:")[1].split()[0]) for part in parts)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("as_stored", [False, True])
def test_blocks_of_a_mapped_file_are_let_go(tmp_path, as_stored):
    rows = np.random.default_rng(0).normal(size=(40_000, 64)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    held = Stored(mapped) if as_stored else np.asarray(mapped)
    read_at_once = float(np.asarray(held).sum())
    assert _resident(tmp_path / "rows.npy") > 9_000
    kept = [np.array(block) for block in blocks(held, 1_000)]
    assert _resident(tmp_path / "rows.npy") < 200
    np.testing.assert_array_equal(np.concatenate(kept), rows)
    assert float(np.asarray(held).sum()) == read_at_once  # it is read again


def test_what_was_written_to_a_private_mapping_is_kept(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((5_000, 64), np.float32))
    own = np.load(tmp_path / "rows.npy", mmap_mode="c")
    own[:] = 1.0
    assert sum(float(block.sum()) for block in blocks(own, 1_000)) == own.size
    assert float(own.sum()) == own.size


def test_a_scaling_of_a_mapped_file_is_that_of_an_array(tmp_path):
    rows = np.random.default_rng(1).normal(size=(70_000, 8)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    scaling = Scaling.of(rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    np.testing.assert_array_equal(scaling(np.asarray(mapped)), scaling(rows))
