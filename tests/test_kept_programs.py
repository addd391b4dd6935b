"""Programs kept whole: found again without a trace, and never taken from anybody else's hands."""

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from routerjax.estimators import counterfactual, elimination, hierarchical, moments
from routerjax.models.pooled import PooledHead
from routerjax.support import kept_programs, program_folder
from routerjax.support.kept_programs import kept_program

ROWS = (
    np.array([[0.5, 0.5], [0.2, 0.4]], np.float32),
    np.array([1, 0]),
    np.array([1.0, 0.7], np.float32),
    np.array([4.0, 2.0], np.float32),
)
FOUND = [[0.5, 2.5], [1.2, 0.4]]
"""0.5 + 4·(1 − 0.5) and 0.2 + 2·(0.7 − 0.2)."""


@pytest.fixture
def kept(tmp_path):
    """A folder in which programs are kept while the test runs."""
    former = list(program_folder._chosen)
    program_folder.keep_in(tmp_path)
    yield tmp_path
    program_folder._chosen[:] = former
    program_folder.program_folder.cache_clear()


@pytest.fixture
def traced():
    """Names of what is traced while the test runs."""
    names = []

    def note(event, duration, **given):
        if event == "/jax/core/compile/jaxpr_trace_duration":
            names.append(given["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(note)
    yield names
    jax.monitoring.unregister_event_duration_listener(note)


def _program():
    """A program of the package as another process would have it."""
    return kept_program(counterfactual._every_row.__wrapped__)


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_kept_program_is_neither_traced_nor_lowered_again(kept, traced):
    np.testing.assert_allclose(_program()(*ROWS), FOUND, rtol=1e-6)
    (file,) = _files(kept)
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert "_every_row" in traced
    traced.clear()
    np.testing.assert_allclose(_program()(*ROWS), FOUND, rtol=1e-6)
    assert "_every_row" not in traced
    _program()(*(row[:1] for row in ROWS))
    assert "_every_row" in traced and len(_files(kept)) == 2  # another shape, another program


def test_factorisations_are_kept_to_the_bit(kept):
    """What calls LAPACK, by an argument that is no array as well."""
    rng = np.random.default_rng(0)
    features = np.concatenate([np.ones((60, 1)), rng.normal(size=(60, 5))], axis=1)
    (told,) = moments.moments_of(
        features, rng.normal(size=(1, 60)), np.arange(60) % 3, np.zeros(60, int), folds=1, models=3
    )
    own = jax.tree.map(lambda leaf: leaf[0].astype(np.float32), told)
    arms = elimination.Arms(np.ones(3, np.float32), np.zeros(3, np.float32))
    given = (np.full(10, -2.0, np.float32), own, arms, elimination.Sizes(3, 2))
    jitted = jax.jit(hierarchical.value_and_slope, static_argnames="sizes")(*given)
    for _ in range(2):
        call = kept_program(hierarchical.value_and_slope, static=("sizes",))
        for one, other in zip(call(*given), jitted, strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(_files(kept)) == 1


@pytest.mark.parametrize("spoil", ["cut", "flipped", "other", "empty"])
def test_a_damaged_file_is_made_anew(kept, spoil):
    _program()(*ROWS)
    (file,) = _files(kept)
    whole = file.read_bytes()
    foreign = pickle.dumps("no program")
    spoilt = {
        "cut": whole[:-10],
        "flipped": whole[:-1] + bytes([whole[-1] ^ 1]),
        "other": hashlib.sha256(foreign).digest() + foreign,
        "empty": b"",
    }[spoil]
    file.write_bytes(spoilt)
    np.testing.assert_allclose(_program()(*ROWS), FOUND, rtol=1e-6)
    assert len(file.read_bytes()) > len(whole) // 2 and file.read_bytes() != spoilt
    assert not [path for path in _files(kept) if path.name.startswith(".")]


class _Bomb:
    """A pickle that leaves a mark when it is read."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("whose", ["own", "file", "folder", "link"])
def test_what_others_may_write_is_not_read(kept, tmp_path, whose):
    _program()(*ROWS)
    (file,) = _files(kept)
    content = pickle.dumps(_Bomb(tmp_path / "mark"))
    file.write_bytes(hashlib.sha256(content).digest() + content)
    if whose == "file":
        file.chmod(0o662)
    elif whose == "folder":
        file.parent.chmod(0o770)
    elif whose == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    np.testing.assert_allclose(_program()(*ROWS), FOUND, rtol=1e-6)
    assert (tmp_path / "mark").exists() == (whose == "own")  # the mark tells that it was read


def test_a_folder_of_others_is_not_used(kept):
    _program()(*ROWS)
    (file,) = _files(kept)
    file.unlink()
    file.parent.chmod(0o777)
    program_folder.program_folder.cache_clear()
    np.testing.assert_allclose(_program()(*ROWS), FOUND, rtol=1e-6)
    assert not _files(kept)


def test_a_place_that_cannot_be_written_is_done_without(kept, tmp_path):
    (tmp_path / "file").write_text("")
    program_folder.keep_in(tmp_path / "file")
    np.testing.assert_allclose(_program()(*ROWS), FOUND, rtol=1e-6)


def test_what_is_not_kept(kept):
    """Functions of others, statics of others, calls from another program, several settings."""

    def twice(x, kind=None):
        return 2 * x

    assert kept_program(twice)(np.ones(2)).tolist() == [2, 2]
    assert kept_program(twice, static=("kind",))(np.ones(2), kind=len).tolist() == [2, 2]
    np.testing.assert_allclose(jax.jit(lambda *rows: _program()(*rows))(*ROWS), FOUND, rtol=1e-6)
    with jax.disable_jit():
        np.testing.assert_allclose(_program()(*ROWS), FOUND, rtol=1e-6)
    assert not _files(kept)
    for precision in ("highest", "default"):
        with jax.default_matmul_precision(precision):
            _program()(*ROWS)
    assert len(_files(kept)) == 2


def test_static_values_as_text():
    """Equal texts for equal values alone; none for what another process may have otherwise."""
    text = kept_programs._text
    head = PooledHead(3, 4, 5)
    assert text(head) == text(PooledHead(3, 4, 5)) != text(PooledHead(3, 4, 6))
    assert text(elimination.Sizes(3, 2)) != text((3, 2)) != text(("3", 2)) != text((3.0, 2))
    for other in (len, lambda x: x, np.ones(2), object()):
        with pytest.raises(TypeError):
            text((1, other))


def test_programs_of_a_former_state_go_after_a_while(kept):
    former, recent = (kept / program_folder.FOLDER / name for name in ("former", "recent"))
    for folder in (former, recent):
        folder.mkdir(parents=True)
        (folder / "program").write_bytes(b"")
    long_ago = former.stat().st_mtime - (program_folder.UNUSED_DAYS + 1) * 86_400
    os.utime(former, (long_ago, long_ago))
    _program()(*ROWS)
    assert recent.exists() and not former.exists()


@pytest.mark.slow
def test_another_process_fits_the_same_router_to_the_bit(tmp_path):
    script = (
        "import numpy as np, routerjax as rj, jax, sys\n"
        "names = []\n"
        "jax.monitoring.register_event_duration_secs_listener(\n"
        "    lambda event, _, **given: names.append(str(given.get('fun_name'))))\n"
        "arms = np.arange(300) % 3\n"
        "rng = np.random.default_rng(0)\n"
        "x = rng.normal(size=(300, 4)).astype(np.float32)\n"
        "log = rj.Log.from_arrays(arms, rng.random(300), 0.01 * (1 + arms), models='abc',\n"
        "    embeddings=x)\n"
        "router = rj.fit(log)\n"
        "routes = rj.route(router, x, cost_weight=1)\n"
        "leaves = jax.tree.leaves(router.arrays)\n"
        "print(hash(tuple(np.asarray(leaf).tobytes() for leaf in leaves)), routes.models[:9])\n"
        "print('value_and_slope' in names)\n"
    )
    own = {name: each for name, each in os.environ.items() if not name.startswith("JAX_")}
    own |= {"ROUTERJAX_CACHE": str(tmp_path), "PYTHONHASHSEED": "0"}
    said = [
        subprocess.run(
            [sys.executable, "-c", script], env=own, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for _ in range(2)
    ]
    assert said[0][0] == said[1][0]
    assert (said[0][1], said[1][1]) == ("True", "False")
    assert list(Path(tmp_path).rglob("value_and_slope-*"))
