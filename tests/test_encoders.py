"""Encoders: what the vectors are, what the cache does, and every complaint."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from routerjax.data.encoders import encoding, sentence
from routerjax.data.encoders.encoder import Encoder
from routerjax.data.encoders.encoding import encode, encoded
from routerjax.data.encoders.known import is_known
from routerjax.data.formats import hub
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.support.cache import cache_folder

PROMPTS = [f"What is {row} plus {row % 7}?" for row in range(100)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Nothing of a test touches the user's cache, and no encoder outlives it."""
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    loaded = encoding._loaded
    loaded.cache_clear()
    yield tmp_path / "cache"
    loaded.cache_clear()


@pytest.fixture
def lengths(monkeypatch):
    """An encoder in place of every other; yields the batches it was asked for.

    The vector of a prompt is (its length, 1) over their norm.
    """
    batches: list[list[str]] = []

    def embed(texts: list[str]) -> np.ndarray:
        batches.append(texts)
        return np.array([[len(text), 1] for text in texts], np.float32)

    monkeypatch.setattr(encoding, "_loaded", lambda encoder: Encoder(embed))
    return batches


def by_length(prompts) -> np.ndarray:
    """What the encoder `lengths` makes of prompts, by hand."""
    return np.array([[len(p), 1] / np.hypot(len(p), 1) for p in prompts], np.float32)


class FakeTransformer:
    """sentence-transformers as far as it is used: a model "here" on disk, another on the hub."""

    asked: list[tuple[str, bool]] = []

    def __init__(self, name: str, *, local_files_only: bool = False):
        self.asked.append((name, local_files_only))
        if name == "nowhere" or (name == "on/hub" and local_files_only):
            raise OSError(f"{name} is not here")

    def encode(
        self, texts, *, convert_to_numpy: bool, show_progress_bar: bool, batch_size: int = 32
    ) -> np.ndarray:
        assert convert_to_numpy and not show_progress_bar and batch_size == 32
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


# BERT and Llama


class FakePooling:
    """The library's pooling module: of the last token, unless it is told otherwise."""

    def __init__(self, width: int, pooling_mode: str = "lasttoken"):
        self.width, self.mode = width, pooling_mode


class FakeTokenizer:
    def __init__(self, pad_token: str | None):
        self.pad_token, self.eos_token = pad_token, "<|end_of_text|>"


class FakeLanguageModel:
    """A checkpoint as sentence-transformers wraps it: [transformer, pooling], half precision.

    A token's vector is (its length, 1, 0); a prompt's is their mean or the last of them.
    """

    made: list[FakeLanguageModel] = []
    missing: tuple[str, ...] = ()

    def __init__(self, name: str, *, local_files_only: bool = False):
        if name in self.missing:
            raise OSError(f"{name} is not here")
        self.name, self.modules = name, [None, FakePooling(3)]
        self.tokenizer = FakeTokenizer(None if "lama" in name else "[PAD]")
        self.max_seq_length, self.precision, self.batches = 131_072, 16, []
        self.made.append(self)

    def __getitem__(self, place: int):
        return self.modules[place]

    def __setitem__(self, place: int, module: FakePooling):
        self.modules[place] = module

    def float(self):
        self.precision = 32

    def encode(self, texts, *, convert_to_numpy, show_progress_bar, batch_size=32):
        assert self.tokenizer.pad_token is not None, "asked to pad without a padding token"
        self.batches.append(batch_size)
        rows = []
        for text in texts:
            lengths = [len(word) for word in text.split()[: self.max_seq_length]]
            pooled = np.mean(lengths) if self.modules[1].mode == "mean" else lengths[-1]
            rows.append([pooled, 1.0, 0.0])
        return np.array(rows)


@pytest.fixture
def checkpoints(monkeypatch):
    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = FakeLanguageModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(FakeLanguageModel, "made", [])
    monkeypatch.setattr(hub, "is_reachable", lambda: False)
    return FakeLanguageModel


@pytest.mark.parametrize(
    ("encoder", "repository", "tokens", "batch", "pad"),
    [
        ("bert-base-uncased", "google-bert/bert-base-uncased", 512, 64, "[PAD]"),
        ("google-bert/bert-base-uncased", "google-bert/bert-base-uncased", 512, 64, "[PAD]"),
        ("llama-3.2-1b", "meta-llama/Llama-3.2-1B", 2048, 8, "<|end_of_text|>"),
        ("meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.2-1B", 2048, 8, "<|end_of_text|>"),
    ],
)
def test_checkpoints_are_pooled_by_the_mean(checkpoints, encoder, repository, tokens, batch, pad):
    values = encode(["aa bbbb", "a", "x " * tokens + "y" * 9999], encoder=encoder)
    expected = np.array([[3.0, 1, 0], [1, 1, 0], [1, 1, 0]])  # means of lengths; the rest is cut
    np.testing.assert_allclose(values, expected / np.linalg.norm(expected, axis=1)[:, None], 1e-6)
    (model,) = checkpoints.made
    assert model.name == repository and model.tokenizer.pad_token == pad
    assert (model.precision, model.batches[-1], model[1].width) == (32, batch, 3)


def test_another_causal_model_is_pooled_as_its_authors_say(checkpoints):
    values = encode(["aa bbbb"], encoder="owner/Other-Llama")
    np.testing.assert_allclose(values, np.array([[4, 1, 0]]) / 17**0.5, rtol=1e-6)
    assert checkpoints.made[0].max_seq_length == 131_072
    assert checkpoints.made[0].tokenizer.pad_token == "<|end_of_text|>"


def test_a_checkpoint_put_into_the_cache_folder_by_hand(checkpoints, own_cache):
    (own_cache / "encoders" / "llama-3.2-1b").mkdir(parents=True)
    encode(["a"], encoder="meta-llama/Llama-3.2-1B")
    assert checkpoints.made[0].name == str(own_cache / "encoders" / "llama-3.2-1b")
    assert checkpoints.made[0][1].mode == "mean"


def test_a_checkpoint_that_is_nowhere(checkpoints, own_cache, monkeypatch):
    names = [checkpoint.repository for checkpoint in sentence.CHECKPOINTS.values()]
    monkeypatch.setattr(checkpoints, "missing", tuple(names))
    place = own_cache / "encoders" / "llama-3.2-1b"
    assert said(encode, ["a"], encoder="llama-3.2-1b") == (
        "encoder 'llama-3.2-1b' is not on this disk and cannot be had from the Hugging Face hub; "
        "put the files of meta-llama/Llama-3.2-1B (its licence must be accepted) into "
        f"{place}, or use 'wordllama'"
    )
    assert "put the files of google-bert/bert-base-uncased into " in said(
        encode, ["a"], encoder="bert-base-uncased"
    )


def test_embeddings_of_another_pooling_are_not_taken_from_the_cache(checkpoints, monkeypatch):
    first = encode(PROMPTS, encoder="llama-3.2-1b")
    np.testing.assert_array_equal(encode(PROMPTS, encoder="llama-3.2-1b"), first)
    assert len(checkpoints.made[0].batches) == 2  # one to learn the width, one for the prompts
    monkeypatch.setattr(sentence, "recipe", lambda encoder: "last of 512 tokens")
    encode(PROMPTS, encoder="llama-3.2-1b")
    assert len(checkpoints.made[0].batches) == 3


# Tokens that are left out


def test_what_a_truncating_encoder_leaves_out_is_said(monkeypatch):
    def beyond(texts: list[str]) -> list[int]:
        return [max(0, len(text.split()) - 4) for text in texts]

    def embed(texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 2), np.float32)

    monkeypatch.setattr(encoding, "_loaded", lambda name: Encoder(embed, beyond))
    prompts = ["a b c d", "a b c d e f g", "a b c d e", "a b c d e"]
    message = (
        "encoder 'some' does not read long prompts to their end: it leaves out up to 3 tokens in "
        r"3 of 4 prompts \(75.0%\)"
    )
    with pytest.warns(DataWarning, match=message):
        encode(prompts, encoder="some")
    many = [*prompts, *PROMPTS]  # 53 distinct prompts of 5 words lose one, as do the two above
    lost = 2 + 1 + sum(len(prompt.split()) > 4 for prompt in PROMPTS)
    for _ in range(2):  # from the cache too
        with pytest.warns(DataWarning, match=f"up to 3 tokens in {lost} of 104 prompts"):
            encode(many, encoder="some")


# The cache


def test_the_cache_is_used_by_prompt_and_encoder(own_cache, lengths):
    first = encode(PROMPTS)
    np.testing.assert_allclose(first, by_length(PROMPTS), rtol=1e-6)
    np.testing.assert_array_equal(encode(tuple(PROMPTS)), first)
    assert len(lengths) == 1
    np.testing.assert_array_equal(encode(["new", *PROMPTS[::-1]])[1:], first[::-1])
    assert lengths[1:] == [["new"]]
    encode(PROMPTS, encoder="owner/other model")
    assert lengths[2] == PROMPTS
    names = sorted(path.name for path in (own_cache / "embeddings").iterdir())
    assert len(names) == 2 and names[0].startswith("owner-other-model-")
    assert all(name.endswith(".sqlite") for name in names)


def test_a_prompt_that_repeats_is_encoded_once(lengths):
    values = encode(["b", "aaa", "b", "b"])
    assert lengths == [["b", "aaa"]]
    np.testing.assert_allclose(values, by_length(["b", "aaa", "b", "b"]), rtol=1e-6)


def test_few_prompts_and_no_cache_leave_no_file(own_cache, lengths):
    encode(PROMPTS[:63])
    encode(PROMPTS, cache=None)
    assert not own_cache.exists()
    encode(PROMPTS[:64])
    assert len(list((own_cache / "embeddings").iterdir())) == 1


def test_the_cache_is_the_users_alone_and_holds_no_prompt(own_cache, lengths, monkeypatch):
    previous = os.umask(0)
    try:
        encode(PROMPTS)
    finally:
        os.umask(previous)
    folder = own_cache / "embeddings"
    (file,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700 and file.stat().st_mode & 0o777 == 0o600
    assert b"plus" not in file.read_bytes()
    file.chmod(0o644)
    encode([*PROMPTS, "new"])
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"", b"no database", "torn", "vector", "long", "width"])
def test_a_damaged_cache_is_computed_anew(tmp_path, lengths, damage):
    folder = tmp_path / "mine"
    expected = encode(PROMPTS, cache=folder)
    (path,) = folder.iterdir()
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:6000])
    elif isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        content = {"vector": b"12345678", "long": b"", "width": np.ones(1, "f4").tobytes()}[damage]
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            which = "WHERE rowid = 1" if damage == "width" else ""
            connection.execute(f"UPDATE vectors SET vector = ? {which}", [content])
    for _ in range(3):
        np.testing.assert_array_equal(encode(PROMPTS, cache=folder), expected)
    assert 2 <= len(lengths) <= 3 and list(folder.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, lengths):
    (tmp_path / "file").write_text("in the way")
    assert encode(PROMPTS, cache=tmp_path / "file" / "folder").shape == (100, 2)
    assert encode(PROMPTS, cache=tmp_path / "file").shape == (100, 2)


def test_the_cache_keeps_its_limit(tmp_path, monkeypatch):
    def embed(texts: list[str]) -> np.ndarray:
        rng = np.random.default_rng(len(texts))
        return rng.normal(size=(len(texts), 256)).astype(np.float32)

    monkeypatch.setattr(encoding, "_loaded", lambda name: Encoder(embed, chunk=100))
    monkeypatch.setenv("ROUTERJAX_EMBEDDINGS_GIB", str(2**20 / 2**30))  # one MiB: 1,000 vectors
    folder = tmp_path / "mine"
    encode([f"old {row}" for row in range(300)], encoder="a", cache=folder)
    (old,) = folder.iterdir()
    for part in range(4):
        encode([f"{part} {row}" for row in range(500)], encoder="b", cache=folder)
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 2**20
    (file,) = folder.iterdir()
    assert file != old and file.stat().st_size > 2**19
    monkeypatch.setattr(encoding, "_loaded", lambda name: pytest.fail("not kept"))
    assert encode([f"3 {row}" for row in range(500)], encoder="b", cache=folder).shape == (500, 256)


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("ROUTERJAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "routerjax"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "routerjax"


def test_vectors_that_are_not_finite_are_an_error(monkeypatch):
    def embed(texts: list[str]) -> np.ndarray:
        return np.full((len(texts), 2), np.nan)

    monkeypatch.setattr(encoding, "_loaded", lambda name: Encoder(embed))
    message = "encoder 'some' gives vectors that are not finite numbers"
    assert said(encode, ["a"], encoder="some") == message


def test_an_encoder_without_a_name():
    for name in ("", " "):
        message = "no encoder is named; wordllama is the default"
        assert said(encode, ["a"], encoder=name) == message


def test_encoders_that_a_file_may_name_without_being_asked():
    own = ("wordllama", "minilm", "bert-base-uncased", "meta-llama/Llama-3.2-1B")
    assert all(map(is_known, own))
    assert not any(map(is_known, ("./folder", "owner/model", "openai:m@http://host/v1", "")))


# Many prompts, and prompts that are none


def test_many_prompts_are_encoded_in_order_with_a_bar_on_a_terminal(lengths, monkeypatch, capsys):
    many = ["a" * row for row in range(5000)]
    values = encode(many, cache=None)
    np.testing.assert_allclose(values, by_length(many), rtol=1e-6)
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
    np.testing.assert_allclose(record.embeddings, by_length(["a", "bcd"]), rtol=1e-6)
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


def test_the_length_of_a_prompt_beside_its_embedding(lengths):
    """0.3·log((1 + characters) / 256): 0 at 255 characters, 0.3·log 2 at 511, a column."""
    prompts = ["a" * 255, "a" * 511, ""]
    alone, both = (encode(prompts, encoder=name, cache=None) for name in ("some", "some+length"))
    np.testing.assert_array_equal(both[:, :-1], alone)
    expected = [0.0, 0.3 * np.log(2), -0.3 * np.log(256)]
    np.testing.assert_allclose(both[:, -1], expected, rtol=1e-6)


def test_the_length_is_put_beside_embeddings_of_the_same_encoder(lengths):
    short = encoded(log(prompts=["a", "bcd"]), encoder="some")
    wider = encoded(short, encoder="some+length")
    assert wider.encoder == "some+length" and encoded(wider, encoder="some+length") is wider
    np.testing.assert_array_equal(
        wider.embeddings, encode(["a", "bcd"], encoder="some+length", cache=None)
    )
    problem = "my.csv: holds embeddings by 'some', and 'other+length' is asked for"
    assert said(encoded, short, encoder="other+length") == problem


def test_an_encoder_with_lengths_is_known_as_its_words_are():
    assert is_known("wordllama+length") and is_known("minilm+length")
    assert not is_known("some/folder+length")
