"""Encoders: what the vectors are, what the cache does, and every complaint."""

from __future__ import annotations

import logging
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from routerjax.data import encoders, hub
from routerjax.data.encoders import encode, encoded
from routerjax.errors import InputError
from routerjax.records import Log, Table

PROMPTS = [f"What is {row} plus {row % 7}?" for row in range(100)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Nothing of a test touches the user's cache, and no encoder outlives it."""
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    loaded = encoders._loaded
    loaded.cache_clear()
    yield tmp_path / "cache"
    loaded.cache_clear()


@pytest.fixture
def lengths(monkeypatch):
    """An encoder (length, 1) in place of every other; yields the batches it was asked for."""
    batches: list[list[str]] = []

    def embed(texts: list[str]) -> np.ndarray:
        batches.append(texts)
        return np.array([[len(text), 1] for text in texts], np.float32)

    monkeypatch.setattr(encoders, "_loaded", lambda encoder: embed)
    return batches


class FakeTransformer:
    """sentence-transformers as far as it is used: a model "here" on disk, another on the hub."""

    asked: list[tuple[str, bool]] = []

    def __init__(self, name: str, *, local_files_only: bool = False):
        self.asked.append((name, local_files_only))
        if name == "nowhere" or (name == "on/hub" and local_files_only):
            raise OSError(f"{name} is not here")

    def encode(self, texts, *, convert_to_numpy: bool, show_progress_bar: bool) -> np.ndarray:
        assert convert_to_numpy and not show_progress_bar
        return np.array([[3.0 * len(text), 4.0 * len(text)] for text in texts])


@pytest.fixture
def transformers(monkeypatch):
    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = FakeTransformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(FakeTransformer, "asked", [])
    return FakeTransformer.asked


def said(call, *args, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    return str(caught.value)


# wordllama


def test_wordllama_gives_unit_vectors_alone_as_in_a_batch():
    pytest.importorskip("wordllama")
    long = "many words " * 5000
    batch = encode([*PROMPTS, long], cache=None)
    assert batch.shape == (101, 256) and batch.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1, rtol=1e-5)
    for row in (0, 42, 99):
        np.testing.assert_allclose(encode([PROMPTS[row]])[0], batch[row], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(encode([*PROMPTS, long], cache=None), batch)


def test_wordllama_agrees_with_the_package_itself():
    wordllama = pytest.importorskip("wordllama")
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    expected = model.embed(PROMPTS, norm=True)
    np.testing.assert_allclose(encode(PROMPTS, cache=None), expected, rtol=0, atol=1e-6)


def test_wordllama_knows_what_is_alike():
    pytest.importorskip("wordllama")
    dog, puppy, tax = encode(["a dog", "a puppy", "income tax"])
    assert dog @ puppy > 0.5 > dog @ tax


def test_prompts_without_a_token_and_no_prompts_at_all():
    pytest.importorskip("wordllama")
    np.testing.assert_array_equal(encode([""]), np.zeros((1, 256)))
    assert np.isfinite(encode([" ", "\n", "\x00", "🎲"])).all()
    assert encode([]).shape == (0, 256)


def test_loading_wordllama_leaves_the_logging_of_the_process_alone():
    pytest.importorskip("wordllama")
    root = logging.getLogger()
    for name in [name for name in sys.modules if name.split(".")[0] == "wordllama"]:
        del sys.modules[name]
    handlers, level = root.handlers[:], root.level
    encode(["a"])
    assert (root.handlers, root.level) == (handlers, level)


def test_wordllama_missing_or_without_its_weights(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordllama", None)
    message = "encoder 'wordllama' is not installed; pip install 'routerjax[text]'"
    assert said(encode, ["a"]) == message

    def load(cache_dir, disable_download):
        raise FileNotFoundError("no weights")

    fake = types.SimpleNamespace(WordLlama=types.SimpleNamespace(load=load), __file__=__file__)
    monkeypatch.setitem(sys.modules, "wordllama", fake)
    assert "encoder 'wordllama' lacks its weights (no weights)" in said(encode, ["a"])


# sentence-transformers


def test_a_model_on_disk_is_used_without_the_hub(transformers, monkeypatch):
    monkeypatch.setattr(hub, "is_reachable", lambda: pytest.fail("the hub was asked"))
    values = encode(["abc", "abcd"], encoder="here")
    np.testing.assert_allclose(values, [[0.6, 0.8]] * 2, rtol=1e-6)
    assert values.dtype == np.float32
    encode(["abc"], encoder="here")
    assert transformers == [("here", True)]
    assert encode([], encoder="here").shape == (0, 2)


def test_a_model_on_the_hub_is_fetched_where_the_hub_can_be_reached(transformers, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(hub, "is_reachable", lambda: True)
    assert encode(["abc"], encoder="on/hub").shape == (1, 2)
    assert transformers == [("on/hub", True), ("on/hub", False)]


def test_a_model_that_is_nowhere(transformers, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    message = (
        "encoder 'nowhere' is not on this disk and cannot be had from the Hugging Face hub; "
        "check the name, or use 'wordllama', which needs no network"
    )
    for reachable in (False, True):
        monkeypatch.setattr(hub, "is_reachable", lambda: reachable)  # noqa: B023
        assert said(encode, ["a"], encoder="nowhere") == message
    assert transformers == [("nowhere", True), ("nowhere", True), ("nowhere", False)]


def test_sentence_transformers_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    assert said(encode, ["a"], encoder="wordlama") == (
        "encoder 'wordlama' is not 'wordllama', so it is looked for among the models of "
        "sentence-transformers, which is not installed; pip install 'routerjax[encoders]'"
    )


# The cache


def test_the_cache_is_used_by_content_and_encoder(own_cache, lengths):
    first = encode(PROMPTS)
    np.testing.assert_array_equal(first, [[len(prompt), 1] for prompt in PROMPTS])
    np.testing.assert_array_equal(encode(tuple(PROMPTS)), first)
    assert len(lengths) == 1
    encode(PROMPTS, encoder="owner/other model")
    encode([*PROMPTS[:-1], "another"])
    encode([PROMPTS[0] + PROMPTS[1], "", *PROMPTS[2:]])
    assert len(lengths) == 4
    names = sorted(path.name for path in own_cache.iterdir())
    assert len(names) == 4 and names[0].startswith("owner-other-model-")
    assert all(name.endswith(".npy") for name in names)


def test_few_prompts_and_no_cache_leave_no_file(own_cache, lengths):
    encode(PROMPTS[:63])
    encode(PROMPTS, cache=None)
    assert not own_cache.exists()
    encode(PROMPTS[:64])
    assert len(list(own_cache.iterdir())) == 1


@pytest.mark.parametrize("damage", [
    b"", b"no numpy", "torn", np.zeros((99, 2), np.float32), np.zeros((100, 2)),
    np.full((100, 2), np.nan, np.float32), np.array([{}] * 100, object),
])  # fmt: skip
def test_a_damaged_cache_is_computed_anew(tmp_path, lengths, damage):
    folder = tmp_path / "mine"
    expected = encode(PROMPTS, cache=folder)
    (path,) = folder.iterdir()
    if isinstance(damage, np.ndarray):
        np.save(path, damage, allow_pickle=True)
    else:
        path.write_bytes(path.read_bytes()[:-10] if damage == "torn" else damage)
    for _ in range(2):
        np.testing.assert_array_equal(encode(PROMPTS, cache=folder), expected)
    assert len(lengths) == 2 and list(folder.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, lengths):
    (tmp_path / "file").write_text("in the way")
    assert encode(PROMPTS, cache=tmp_path / "file" / "folder").shape == (100, 2)
    assert encode(PROMPTS, cache=tmp_path / "file").shape == (100, 2)


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert encoders.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("ROUTERJAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert encoders.cache_folder() == tmp_path / "xdg" / "routerjax"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert encoders.cache_folder() == tmp_path / ".cache" / "routerjax"


# Many prompts, and prompts that are none


def test_many_prompts_are_encoded_in_order_with_a_bar_on_a_terminal(lengths, monkeypatch, capsys):
    many = ["a" * (row % 50) for row in range(5000)]
    values = encode(many, cache=None)
    np.testing.assert_array_equal(values[:, 0], np.arange(5000) % 50)
    assert max(map(len, lengths)) <= 1024
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    np.testing.assert_array_equal(encode(many, cache=None), values)
    out, err = capsys.readouterr()
    assert out == "" and "encoding 5000 prompts" in err


def test_prompts_that_are_refused():
    assert said(encode, "one") == "prompts must be a list of strings, and this is one string"
    assert said(encode, ["a", None]) == (
        "column 'prompt', row 1: a prompt must be a string, not NoneType"
    )
    assert said(encode, ["\ud800"]) == "column 'prompt', row 0: the prompt is not valid Unicode"


# Records


def log(**fields) -> Log:
    return Log.from_arrays([0, 1], [0.5, 1], [1, 1], models="ab", source="my.csv", **fields)


def test_a_record_is_encoded_once(lengths):
    record = encoded(log(prompts=["a", "bcd"]), encoder="some")
    np.testing.assert_array_equal(record.embeddings, [[1, 1], [3, 1]])
    assert record.encoder == "some" and record.prompts == ("a", "bcd")
    assert encoded(record, encoder="some") is record
    ready = log(embeddings=[[1.0], [2.0]])
    assert encoded(ready, encoder="some") is ready
    assert len(lengths) == 1
    table = Table.from_arrays([[1, 0]], [[1, 1]], models="ab", prompts=["abc"])
    assert encoded(table).encoder == "wordllama"


def test_records_that_cannot_be_encoded(lengths):
    record = encoded(log(prompts=["a", "b"]), encoder="some")
    message = "my.csv: holds embeddings by 'some', and 'wordllama' is asked for"
    assert said(encoded, record) == message
    assert said(encoded, log()) == "my.csv: has neither prompts to encode nor embeddings"
    message = "my.csv, column 'prompt', row 1: the prompt is not valid Unicode"
    assert said(encoded, log(prompts=["a", "\ud800"])) == message
