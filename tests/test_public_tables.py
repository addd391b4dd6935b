"""RouterBench and SPROUT from small files of their schema, and where the files are looked for."""

from __future__ import annotations

import json
import pickle
import time
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import huggingface_hub.errors
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from routerjax.data.formats import hub
from routerjax.data.public.prices import Price, read_prices
from routerjax.data.public.routerbench import prompt_text, read_routerbench
from routerjax.data.public.sprout import PRICES, read_sprout
from routerjax.data.public.tables import PUBLIC_TABLES, load_public_table
from routerjax.errors import DataWarning, InputError


def said(call, *args, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    return str(caught.value)


# RouterBench

BENCH = {
    "sample_id": ["mmlu-law.1", "mtbench.2", "grade-school-math.3"],
    "prompt": ["['Which court is highest?']", "['Tell a joke.', 'Explain it.']", "2 + 2 = ?"],
    "eval_name": ["mmlu-law", "mtbench", "grade-school-math"],
    "meta/llama-2-70b-chat": [1.0, 0.35, None],
    "gpt-4-1106-preview": [1.0, 0.9, 1.0],
    "gpt-4-1106-preview|model_response": ["A", "Ha.", "4"],
    "meta/llama-2-70b-chat|model_response": ["A", "No.", ""],
    "gpt-4-1106-preview|total_cost": [0.0012, 0.02, 0.0008],
    "meta/llama-2-70b-chat|total_cost": [0.0001, 0.0003, float("nan")],
    "oracle_model_to_route_to": ["meta/llama-2-70b-chat", "gpt-4-1106-preview", "no_model_correct"],
}


def write_bench(path: Path, **changes) -> Path:
    """A pickle of RouterBench's layout: scores and texts as objects, costs as numbers."""
    import pandas

    cells = {name: values for name, values in (BENCH | changes).items() if values is not None}
    costs = [name for name in cells if name.endswith("|total_cost")]
    made = pandas.DataFrame({name: pandas.Series(v, dtype=object) for name, v in cells.items()})
    made = made.astype({name: float for name in costs})
    made.columns = pandas.Index(list(cells), dtype=object)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(made, protocol=5))
    return path


def test_routerbench_as_a_table(tmp_path):
    path = write_bench(tmp_path / "routerbench_0shot.pkl")
    table = read_routerbench(path)
    assert table.models == ("meta/llama-2-70b-chat", "gpt-4-1106-preview")  # as the scores stand
    np.testing.assert_array_equal(
        table.quality, np.array([[1, 1], [0.35, 0.9], [np.nan, 1]], np.float32)
    )
    costs = [[0.0001, 0.0012], [0.0003, 0.02], [np.nan, 0.0008]]
    np.testing.assert_array_equal(table.cost, np.array(costs, np.float32))
    assert table.prompts == ("Which court is highest?", "Tell a joke.\n\nExplain it.", "2 + 2 = ?")
    assert table.task == ("mmlu-law", "mtbench", "grade-school-math")
    assert table.split is None and table.source == str(path)
    assert table.missing == 1 and len(table.complete()) == 2


def test_routerbench_rows_without_a_prompt(tmp_path):
    path = write_bench(tmp_path / "f.pkl", prompt=["['']", None, "x"])
    with pytest.warns(DataWarning, match="f.pkl: left out 2 of 3 rows without a prompt"):
        table = read_routerbench(path)
    assert table.prompts == ("x",) and table.task == ("grade-school-math",)
    assert table.quality[0, 1] == 1 and table.cost[0, 1] == np.float32(0.0008)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("['a']", "a"),
        ("plain", "plain"),
        (" ['a', \"b's\"] ", "a\n\nb's"),
        ("[1, 2] is a list", "[1, 2] is a list"),
        ("[1, 2]", "[1, 2]"),
        ("[", "["),
        ("['a' + 'b']", "['a' + 'b']"),
        ("[__import__('os')]", "[__import__('os')]"),
        ("[" * 10_000, "[" * 10_000),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_prompts_of_turns(raw, text):
    assert prompt_text(raw) == text


def test_routerbench_columns_that_do_not_fit(tmp_path):
    path = tmp_path / "f.pkl"
    message = said(read_routerbench, write_bench(path, eval_name=None))
    assert message.startswith(f"{path}: no column 'eval_name'; it has sample_id, prompt, meta/")
    costs = {name: None for name in BENCH if name.endswith("|total_cost")}
    message = said(read_routerbench, write_bench(path, **costs))
    assert "no column '<model>' beside '<model>|total_cost'" in message
    wrong = {"gpt-4-1106-preview": [1.0, "good", 0.0]}
    assert said(read_routerbench, write_bench(path, **wrong)) == (
        f"{path}, column 'gpt-4-1106-preview', row 1: 'good' is not a number"
    )
    wrong = {"gpt-4-1106-preview": [1.0, 8.0, 0.0]}
    assert "quality is 8, outside [0, 1]" in said(read_routerbench, write_bench(path, **wrong))


def test_a_hostile_pickle_is_refused_by_name(tmp_path):
    path = tmp_path / "routerbench_0shot.pkl"
    path.write_bytes(f"cposix\nsystem\n(Vtouch {tmp_path / 'ran'}\ntR.".encode())
    message = said(load_public_table, "routerbench", path=path)
    assert message.startswith(f"{path}: the pickle asks for posix.system, ")
    assert not (tmp_path / "ran").exists()


# SPROUT

MINI, GRANITE = "openai-gpt-4o-mini", "wxai-granite-3-8b-instruct-8k-max-tokens"


def answer(score, tokens_in, tokens_out) -> dict:
    return {
        "num_input_tokens": tokens_in,
        "num_output_tokens": tokens_out,
        "response": "…",
        "score": score,
    }


SPROUT = {
    "train": [
        {"prompt": "a", "dataset": "MATH", MINI: answer(1.0, 1000, 10), GRANITE: answer(0, 900, 5)},
        {"prompt": "b", "dataset": "GPQA", MINI: answer(0.5, 0, 2000), GRANITE: None},
    ],
    "validation": [
        {"prompt": "c", "dataset": "MATH", MINI: answer(None, 1, 1), GRANITE: answer(1, 100, 100)},
    ],
    "test": [
        {"prompt": "d", "dataset": "MMLU", MINI: answer(0.0, 10, 0), GRANITE: answer(1, None, 3)},
    ],
}
# (1000·0.15 + 10·0.6) / 10⁶ = 1.56e-4; (900·0.2 + 5·0.2) / 10⁶ = 1.81e-4; 2000·0.6 = 1.2e-3;
# (0.15 + 0.6) / 10⁶ = 7.5e-7; 200·0.2 = 4e-5; 10·0.15 = 1.5e-6
SPROUT_COSTS = [[1.56e-4, 1.81e-4], [1.2e-3, np.nan], [7.5e-7, 4e-5], [1.5e-6, np.nan]]


def write_sprout(folder: Path, rows: dict[str, list[dict]] = SPROUT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, cells in rows.items():
        table = pa.Table.from_pylist([{"key": "k", "golden_answer": "g", **row} for row in cells])
        pyarrow.parquet.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    return folder


def test_sprout_as_a_table(tmp_path):
    for folder in (tmp_path / "flat", tmp_path / "as-on-the-hub" / "data"):
        write_sprout(folder)
        place = folder.parent if folder.name == "data" else folder
        table = read_sprout(place)
        assert table.models == (MINI, GRANITE) and table.prompts == ("a", "b", "c", "d")
        assert table.task == ("MATH", "GPQA", "MATH", "MMLU")
        assert table.split == ("train", "train", "validation", "test")
        assert table.source == str(place)
        quality = [[1, 0], [0.5, np.nan], [np.nan, 1], [0, 1]]
        np.testing.assert_array_equal(table.quality, np.array(quality, np.float32))
        np.testing.assert_allclose(table.cost, SPROUT_COSTS, rtol=1e-6)
        assert len(table.in_split("train").complete()) == 1


def test_sprout_prices_of_ones_own(tmp_path):
    folder = write_sprout(tmp_path / "sprout")
    own = {MINI: Price(1.0, 2.0), GRANITE: Price(0.0, 1.0), "another": Price(9.0, 9.0)}
    costs = [[1.02e-3, 5e-6], [4e-3, np.nan], [3e-6, 1e-4], [1e-5, np.nan]]
    np.testing.assert_allclose(read_sprout(folder, prices=own).cost, costs, rtol=1e-6)
    written = tmp_path / "prices.csv"
    written.write_text(f"model,input,output\n{MINI},1,2\n{GRANITE},0,1\n")
    table = load_public_table("sprout", path=folder, prices=written)
    np.testing.assert_allclose(table.cost, costs, rtol=1e-6)
    message = said(read_sprout, folder, prices={MINI: Price(1.0, 2.0)})
    assert message == (
        f"{folder}: no price for model '{GRANITE}'; a row is model,input,output with US dollars "
        "per million tokens, as in gpt-4o,2.5,10"
    )


def test_sprout_prices_its_thirteen_models():
    assert len(PRICES) == 13 and all(0 < price.input <= price.output for price in PRICES.values())


def test_sprout_shards_single_files_and_rows_without_a_prompt(tmp_path):
    folder = write_sprout(tmp_path, {"train": SPROUT["train"]})
    whole = folder / "train-00000-of-00001.parquet"
    assert read_sprout(whole).split == ("train", "train")
    whole.rename(folder / "train-00000-of-00002.parquet")
    rows = [{**SPROUT["test"][0], "prompt": text} for text in ("e", None, "")]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), folder / "train-00001-of-00002.parquet")
    with pytest.warns(DataWarning, match="left out 2 of 5 rows without a prompt"):
        table = read_sprout(folder)
    assert table.prompts == ("a", "b", "e") and set(table.split) == {"train"}
    (folder / "train-00000-of-00002.parquet").rename(folder / "mine.parquet")
    assert read_sprout(folder / "mine.parquet").split is None


def test_sprout_files_that_do_not_fit(tmp_path):
    assert "no such file or folder" in said(read_sprout, tmp_path / "none")
    assert "has no train*.parquet" in said(read_sprout, tmp_path)
    file = tmp_path / "train.parquet"
    file.write_bytes(b"no parquet")
    assert f"{file}: cannot be read as parquet: " in said(read_sprout, file)
    pyarrow.parquet.write_table(pa.table({"prompt": ["a"], "dataset": ["b"]}), file)
    assert said(read_sprout, file) == (
        f"{file}: no column is a structure of score, num_input_tokens, num_output_tokens; "
        "it has prompt, dataset"
    )
    row = {name: value for name, value in SPROUT["train"][0].items() if name != "dataset"}
    pyarrow.parquet.write_table(pa.Table.from_pylist([row]), file)
    assert said(read_sprout, file) == f"{file}: no column 'dataset'"
    row = {**SPROUT["train"][0], MINI: answer("good", 1, 1)}
    pyarrow.parquet.write_table(pa.Table.from_pylist([row]), file)
    assert f"{file}, column '{MINI}.score', row 0: 'good' is not a number" in said(
        read_sprout, file
    )
    row = {**SPROUT["train"][0], MINI: answer(1.0, -5, 1)}
    pyarrow.parquet.write_table(pa.Table.from_pylist([row]), file)
    assert "it must be 0 or more US dollars" in said(read_sprout, file)


# Prices


def test_prices_from_every_format(tmp_path):
    expected = {"a": Price(2.5, 10.0), "b": Price(0.0, 0.5)}
    rows = [
        {"model": "a", "input": 2.5, "output": 10},
        {"model": "b", "input": 0, "output": 0.5},
    ]
    nested = {"a": {"input": 2.5, "output": 10}, "b": {"input": 0, "output": 0.5}}
    for name, text in (
        ("p.csv", "model,input,output,note\na,2.5,10,dear\nb,0,0.5,\n"),
        ("p.json", json.dumps(rows)),
        ("q.json", json.dumps(nested)),
        ("p.jsonl", "\n".join(map(json.dumps, rows))),
    ):
        path = tmp_path / name
        path.write_text(text)
        assert read_prices(path) == expected


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("p.csv", "model,input\na,1\n", ", row 0: no output here; a row is model,input,output"),
        ("p.csv", "model,input,output\na,1,2\n,1,2\n", ", row 1: no model here"),
        ("p.csv", "model,input,output\na,1,2\na,1,2\n", ", row 1: 'a' is priced twice"),
        (
            "p.csv",
            "model,input,output\na,1,$2\n",
            ", column 'output', row 0: '$2' is not a price of 0 or more",
        ),
        ("p.csv", "model,input,output\na,-1,2\n", "'-1' is not a price"),
        ("p.json", '{"a": {"input": 1, "output": NaN}}', "'nan' is not a price"),
        ("p.json", '{"a": {"input": 1}}', ", row 0: no output here"),
        ("p.json", '{"a": [1, 2]}', ", row 0: no model here"),
        ("p.json", "{", "is not valid JSON"),
    ],
)
def test_prices_that_are_refused(tmp_path, name, text, problem):
    path = tmp_path / name
    path.write_text(text)
    message = said(read_prices, path)
    assert message.startswith(str(path)) and problem in message
    assert "no such file of prices" in said(read_prices, tmp_path / "owner" / "none")


# Where the files are looked for


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of one's own, an empty cache of the hub, and a hub that may be asked."""
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


class FakeHub:
    """`snapshot_download` as far as it is used: nothing on the disk, something on the hub."""

    def __init__(self, folder: Path | None):
        self.folder, self.asked = folder, []

    def __call__(self, repository, *, repo_type, revision, allow_patterns, local_files_only):
        assert repo_type == "dataset"
        self.asked.append((repository, revision, allow_patterns, local_files_only))
        if self.folder is None or local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
        return str(self.folder)


def test_the_cache_folder_comes_before_the_hub(cache, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked"))
    monkeypatch.setattr(hub, "is_reachable", lambda *_: pytest.fail("asked"))
    write_bench(cache / "datasets" / "routerbench" / "routerbench_0shot.pkl")
    write_bench(
        cache / "datasets" / "routerbench-5shot" / "routerbench_5shot.pkl", prompt=["x"] * 3
    )
    write_sprout(cache / "datasets" / "sprout")
    assert load_public_table("routerbench").prompts[2] == "2 + 2 = ?"
    assert load_public_table("routerbench-5shot").prompts == ("x", "x", "x")
    assert load_public_table("sprout").models == (MINI, GRANITE)


def test_a_path_comes_before_all(cache, tmp_path):
    write_bench(cache / "datasets" / "routerbench" / "routerbench_0shot.pkl")
    own = write_bench(tmp_path / "own.pkl", prompt=["x"] * 3)
    assert load_public_table("routerbench", path=own).prompts == ("x", "x", "x")
    assert "own2.pkl: cannot be read" in said(
        load_public_table, "routerbench", path=tmp_path / "own2.pkl"
    )


def test_the_hub_is_asked_for_the_files_alone(cache, tmp_path, monkeypatch):
    write_bench(tmp_path / "there" / "routerbench_0shot.pkl")
    write_sprout(tmp_path / "there" / "data")
    fake = FakeHub(tmp_path / "there")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
    monkeypatch.setattr(hub, "is_reachable", lambda *_: True)
    assert len(load_public_table("routerbench")) == 3
    assert len(load_public_table("sprout")) == 4
    revision = PUBLIC_TABLES["routerbench"].revision
    bench = ("withmartian/routerbench", revision, ["routerbench_0shot.pkl"])
    sprout = ("CARROT-LLM-Routing/SPROUT", None, ["data/*.parquet"])
    assert fake.asked == [(*bench, True), (*bench, False), (*sprout, True), (*sprout, False)]
    assert "the Hugging Face hub does not have it" in said(load_public_table, "routerbench-5shot")
    # SPROUT has no revision here, so the sums of its files are kept; RouterBench has one
    sums = json.loads((cache / "datasets" / "sprout" / "downloaded.json").read_text())
    assert sums and {each["from"] for each in sums.values()} == {"CARROT-LLM-Routing/SPROUT"}
    assert not (cache / "datasets" / "routerbench").exists()


def test_a_hub_that_refuses(cache, monkeypatch):
    monkeypatch.setattr(hub, "is_reachable", lambda *_: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", FakeHub(None))
    message = said(load_public_table, "routerbench")
    assert "and the Hugging Face hub refuses it: not here; put it into " in message


def test_offline_all_is_said_within_two_seconds(cache, monkeypatch):
    """A network that swallows everything is the slowest; the hub's own library is asked too."""
    monkeypatch.setattr(hub, "_answers", lambda endpoint: time.sleep(60) or True)
    started = time.monotonic()
    assert said(load_public_table, "sprout") == (
        "sprout: train*.parquet, validation*.parquet, test*.parquet (data set "
        "CARROT-LLM-Routing/SPROUT) not found on this disk, and the Hugging Face hub cannot be "
        f"reached; put it into {cache / 'datasets' / 'sprout'}, or give its path"
    )
    assert time.monotonic() - started < 2


def test_offline_by_choice_the_hub_is_not_asked(cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(hub, "is_reachable", lambda *_: pytest.fail("asked"))
    folder = cache / "datasets" / "routerbench-5shot"
    assert said(load_public_table, "routerbench-5shot") == (
        "routerbench-5shot: routerbench_5shot.pkl (data set withmartian/routerbench) not found on "
        f"this disk, and HF_HUB_OFFLINE is set; put it into {folder}, or give its path"
    )


def test_names_and_prices_that_do_not_fit():
    assert said(load_public_table, "routerbanch").startswith(
        "no data set 'routerbanch'; known are routerbench, routerbench-5shot, "
    )
    message = said(load_public_table, "routerbench", prices="prices.csv")
    assert message == "prices: routerbench does not count tokens; leave out the prices"
    assert "holds labels of gains, not a table" in said(load_public_table, "healthbench")
