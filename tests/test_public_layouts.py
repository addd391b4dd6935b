"""Every layout of the catalogue from small files of its schema, from the files to a record."""

from __future__ import annotations

import csv
import hashlib
import http.server
import io
import json
import pickle
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from routerjax.cli.commands import main
from routerjax.data.formats import hub
from routerjax.data.io.files import read_table
from routerjax.data.io.gain_labels import read_labels
from routerjax.data.public import fetch, tables
from routerjax.data.public.answers import read_answers
from routerjax.data.public.catalogue import LABELS, TABLE, Entry
from routerjax.data.public.compendium import read_compendium
from routerjax.data.public.components import read_components
from routerjax.data.public.mixinstruct import read_mixinstruct
from routerjax.data.public.readers import READERS
from routerjax.data.public.result_files import read_result_files
from routerjax.data.public.routereval import read_routereval
from routerjax.data.public.tables import (
    PUBLIC_TABLES,
    get_public_table,
    load_public_table,
    own_folder,
)
from routerjax.errors import DataWarning, InputError

NAN = float("nan")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of one's own, and no network."""
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(hub, "is_reachable", lambda *_: False)
    return tmp_path / "cache"


def said(call, *args, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    return str(caught.value)


# The RoutingCompendium

COMPENDIUM = {
    "prompt": ["2 + 2?", "Which court?", ""],
    "dataset": ["gsm8k", "law", "law"],
    "models_name": [["a", "b"], ["b", "c"], ["a"]],
    "models_performance": [[1.0, 0.5], [0.25, None], [1.0]],
    "embeddings": [[0.1, 0.2]] * 3,
}


def write_compendium(path: Path, **changes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = {name: values for name, values in (COMPENDIUM | changes).items() if values is not None}
    pyarrow.parquet.write_table(pa.table(cells), path)
    return path


def test_the_compendium_as_a_table(tmp_path):
    with pytest.warns(DataWarning, match="left out 1 of 3 rows without a prompt"):
        table = read_compendium(write_compendium(tmp_path / "x.parquet"))
    assert table.models == ("a", "b", "c") and table.prompts == ("2 + 2?", "Which court?")
    np.testing.assert_array_equal(table.quality, [[1, 0.5, NAN], [NAN, 0.25, NAN]])
    assert not table.cost.any() and table.task == ("gsm8k", "law") and table.embeddings is None


def test_a_compendium_that_does_not_fit(tmp_path):
    path = tmp_path / "x.parquet"
    message = said(read_compendium, write_compendium(path, models_name=None))
    assert message.startswith(f"{path}: no column 'models_name'; it has prompt, dataset")
    write_compendium(path, models_performance=[[1.0], [1.0, 0.0], [1.0]])
    message = said(read_compendium, path)
    assert message == f"{path}, column 'models_performance', row 0: 1 scores for 2 models"
    assert "no row lists a model" in said(
        read_compendium,
        write_compendium(path, models_name=[[]] * 3, models_performance=[[]] * 3),
    )
    path.write_bytes(b"no parquet")
    assert "cannot be read as parquet" in said(read_compendium, path)


# LLMRouterBench


def result_file(model: str, scores, *, cost=0.001, **more) -> dict:
    records = [
        {
            "index": place,
            "origin_query": f"question {place}",
            "prompt": f"Question: question {place}",
            "score": score,
            "cost": cost,
        }
        for place, score in enumerate(scores, start=1)
    ]
    return {"model_name": model, "records": records, **more}


def write_results(folder: Path) -> Path:
    files = {
        "aime/test/gpt-5/gpt-5_20250901_100000.json": result_file("gpt-5", [0, 0]),
        "aime/test/gpt-5/gpt-5_20250902_100000.json": result_file("gpt-5", [1, 0.5], cost=0.02),
        "aime/test/small/small_20250901_100000.json": result_file("small", [0, None]),
        "bbh/test/small/small_20250901_100000.json": result_file("small", [1]),
        "bbh/test/other/other_20250901_100000.json": result_file("other", [1], demo=True),
    }
    for name, content in files.items():
        place = folder / "bench" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_llmrouterbench_as_a_table(tmp_path, packed):
    path = write_results(tmp_path / "results")
    if packed:
        path = tmp_path / "bench-release.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(tmp_path / "results" / "bench", "bench")
    table = read_result_files(path)
    assert table.models == ("gpt-5", "small")
    assert table.prompts == ("question 1", "question 2", "question 1")
    assert table.task == ("aime", "aime", "bbh")
    # the later of two files of gpt-5 counts, and a demonstration does not
    np.testing.assert_array_equal(table.quality, [[1, 0], [0.5, NAN], [NAN, 1]])
    np.testing.assert_allclose(table.cost, [[0.02, 0.001], [0.02, 0.001], [NAN, 0.001]], rtol=1e-6)


def test_results_that_do_not_fit(tmp_path):
    assert "has no <dataset>/<split>/<model>/<time>.json" in said(read_result_files, tmp_path)
    (tmp_path / "x.tar.gz").write_bytes(b"nothing of the kind")
    assert "x.tar.gz: cannot be read (" in said(read_result_files, tmp_path / "x.tar.gz")
    assert "cannot be read (No such file" in said(read_result_files, tmp_path / "none.tar.gz")
    place = tmp_path / "bench" / "a" / "b" / "c" / "d.json"
    place.parent.mkdir(parents=True)
    for content, reason in (
        ("[" * 100_000, "RecursionError"),
        ("[]", "AttributeError"),
        ('{"records": [{"index": 1, "prompt": "x"}]}', "KeyError"),
    ):
        place.write_text(content)
        assert f"d.json is no file of results ({reason})" in said(read_result_files, tmp_path)
    place.write_text('{"records": [{"index": 1, "prompt": "x", "score": "good"}]}')
    assert "the score 'good' of 'c' is not a number" in said(read_result_files, tmp_path)


# RouterEval


def write_routereval(path: Path, **changes) -> Path:
    content = {
        "data": {
            "train_score": np.array([[1.0, 0.0], [0.5, 1.0]]),
            "test_score": np.array([[0.0, 1.0]]),
        },
        "prompt": {"train_prompt": ["a?", "b?"], "test_prompt": np.array(["c?"], object)},
        "model": ["strong", "weak"],
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


def test_routereval_as_a_table(tmp_path):
    path = write_routereval(tmp_path / "mmlu.pkl")
    for place in (path, tmp_path):
        table = read_routereval(place)
        assert table.models == ("strong", "weak") and table.prompts == ("a?", "b?", "c?")
        np.testing.assert_array_equal(table.quality, [[1, 0], [0.5, 1], [0, 1]])
        assert table.split == ("train", "train", "test") and table.task == ("mmlu",) * 3


def test_routereval_with_embeddings_and_without_names(tmp_path):
    data = {
        "val_score": np.array([[1, 0]]),
        "val_embed": np.array([[0.5, 2.0, 1.0]], np.float32),
    }
    path = tmp_path / "arc.pkl"
    path.write_bytes(pickle.dumps(data, protocol=4))
    table = read_routereval(path)
    assert table.models == ("model 0", "model 1") and table.split == ("validation",)
    np.testing.assert_array_equal(table.embeddings, [[0.5, 2, 1]])


def test_routereval_that_does_not_fit(tmp_path):
    path = tmp_path / "x.pkl"
    assert "is no dictionary" in said(read_routereval, _pickled(path, [1, 2]))
    assert "has no 'train_score'" in said(read_routereval, write_routereval(path, data={}))
    assert "2 prompts for 1 scores of 'test'" in said(
        read_routereval,
        write_routereval(path, prompt={"train_prompt": ["a", "b"], "test_prompt": ["c", "d"]}),
    )
    assert "3 model names for 2 columns" in said(
        read_routereval, write_routereval(path, model=["a", "b", "c"])
    )
    ragged = {"train_score": np.ones((1, 2)), "test_score": np.ones((1, 3))}
    assert "no [n, m] numbers" in said(read_routereval, write_routereval(path, data=ragged))
    assert "neither prompts nor embeddings" in said(
        read_routereval, write_routereval(path, prompt={})
    )
    write_routereval(tmp_path / "y.pkl")
    assert "holds 2 .pkl files (x.pkl, y.pkl); give one" in said(read_routereval, tmp_path)


def _pickled(path: Path, content) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


class Evil:
    def __reduce__(self):
        return (print, ("ran",))


def test_a_pickle_that_would_run_something_is_refused(tmp_path, capsys):
    path = _pickled(tmp_path / "x.pkl", {"data": Evil()})
    assert "asks for builtins.print" in said(read_routereval, path)
    assert "ran" not in capsys.readouterr().out


def test_a_pickle_that_shares_its_parts_takes_no_memory(tmp_path):
    shared = np.zeros(1000)
    path = _pickled(tmp_path / "x.pkl", {"data": {"train_score": [shared] * 10_000}})
    assert "more cells than the file has room for" in said(read_routereval, path)
    deep: list = []
    for _ in range(50):
        deep = [deep, deep]
    path = _pickled(tmp_path / "y.pkl", {"data": deep})
    assert "is not a pickle of plain arrays" in said(read_routereval, path)


# MixInstruct


def instruction(place: int, scores: dict, *, given: str = "") -> str:
    candidates = [
        {"model": model, "text": "…", "scores": {} if score is None else {"bertscore": score}}
        for model, score in scores.items()
    ]
    query = {"id": f"alpaca/{place}", "instruction": f"do {place}", "input": given}
    return json.dumps({**query, "output": "…", "candidates": candidates}) + "\n"


def write_mixinstruct(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    first = instruction(1, {"vicuna": 0.75, "alpaca": 0.5}, given="with this")
    (folder / "train_data_prepared.jsonl").write_text(first + "\n")
    (folder / "test_cmp_data_prepared.jsonl").write_text(
        instruction(2, {"alpaca": 0.25, "vicuna": None})
    )
    return folder


def test_mixinstruct_as_a_table(tmp_path):
    table = read_mixinstruct(write_mixinstruct(tmp_path / "x"))
    assert table.models == ("alpaca", "vicuna")  # the test file comes first by name
    np.testing.assert_array_equal(table.quality, [[0.25, NAN], [0.5, 0.75]])
    assert table.prompts == ("do 2", "do 1\n\nwith this") and table.split == ("test", "train")
    assert table.task == ("alpaca", "alpaca")


def test_mixinstruct_that_does_not_fit(tmp_path):
    assert "has no *_data_prepared.jsonl" in said(read_mixinstruct, tmp_path)
    path = tmp_path / "val_data_prepared.jsonl"
    for text in ("{", '{"id": 1}', "[]", "[" * 100_000):
        path.write_text(instruction(0, {"a": 1.0}) + text)
        assert "row 1: is no query of MixInstruct (" in said(read_mixinstruct, tmp_path)
    path.write_text(instruction(0, {"a": "x"}))
    assert "the score 'x' of 'a' is not a number" in said(read_mixinstruct, path)
    assert "cannot be read (No such file" in said(read_mixinstruct, tmp_path / "none.jsonl")


# RouteLLM


def write_answers(path: Path, *, header=("prompt", "weak", "strong"), rows=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        writer.writerows(rows or [["1, or 2?\nA. 1", "True", "False"], ["3?", "False", "True"]])
    return path


def test_routellm_as_a_table(tmp_path):
    write_answers(tmp_path / "mmlu_law.csv")
    header = ("prompt", "weak", "strong", "weak_response", "strong_response")
    rows = [["4?", "True", "", "x" * 200_000, "…"]]
    write_answers(tmp_path / "gsm8k_responses.csv", header=header, rows=rows)
    table = read_answers(tmp_path)
    assert table.models == ("weak", "strong") and table.task == ("gsm8k", "mmlu_law", "mmlu_law")
    assert table.prompts == ("4?", "1, or 2?\nA. 1", "3?")
    np.testing.assert_array_equal(table.quality, [[1, NAN], [1, 0], [0, 1]])
    assert len(read_answers(tmp_path / "mmlu_law.csv")) == 2


def test_answers_that_do_not_fit(tmp_path):
    assert "has no .csv files" in said(read_answers, tmp_path)
    path = write_answers(tmp_path / "x.csv", header=("question", "a", "b"))
    assert "no columns 'prompt' and <model>; it has question, a, b" in said(read_answers, path)
    write_answers(path, rows=[["1?", "True", "maybe"]])
    message = said(read_answers, path)
    assert message == f"{path}, column 'strong', row 0: 'maybe' is neither True nor False"
    path.write_bytes(b"prompt,a\n\xff\xfe,True\n")
    assert "cannot be read as CSV" in said(read_answers, path)


# Meta-Router's labels


def write_labels(path: Path, header: str = "embd.PC1,embd.PC2,GL,PL") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{header}\n0.5,-1,0.25,1\n1.5,2,,-1\n")
    return path


def test_labels_of_meta_routers_authors(tmp_path):
    found = read_components(write_labels(tmp_path / "x.csv"))
    assert found.column_names == ["embd.PC1", "embd.PC2", "GL", "PL"]
    assert found["GL"].to_pylist() == [0.25, None]
    message = said(read_components, write_labels(tmp_path / "y.csv", "embd.PC1,embd.PC2,GL,x"))
    assert "y.csv: no column 'PL'; it has embd.PC1, embd.PC2, GL, x" in message
    message = said(read_components, write_labels(tmp_path / "y.csv", "a,b,GL,PL"))
    assert "no column 'embd.PC1'" in message


# From a name to a record, for every entry of the catalogue

WRITERS = {
    "answers": lambda folder, files: [write_answers(folder / Path(name).name) for name in files],
    "compendium": lambda folder, files: write_compendium(folder / Path(files[0]).name),
    "components": lambda folder, files: write_labels(folder / files[0]),
    "mixinstruct": lambda folder, files: [
        write_mixinstruct(folder),
        (folder / "val_data_prepared.jsonl").write_text(instruction(3, {"alpaca": 1.0})),
    ],
    "routereval": lambda folder, files: write_routereval(folder / "mmlu.pkl"),
}


def write_archive(folder: Path, files) -> None:
    folder.mkdir(parents=True)
    with tarfile.open(folder / files[0], "w:gz") as archive:
        for model in "mn":
            content = json.dumps(result_file(model, [1, 0])).encode()
            member = tarfile.TarInfo(f"bench/aime/test/{model}/{model}_20250901_100000.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_bench(folder: Path, files) -> None:
    import pandas

    cells = {"prompt": ["a?", "b?"], "eval_name": ["x", "x"], "m": [1.0, 0.0], "n": [0.5, 1.0]}
    costs = {"m|total_cost": [0.01, 0.02], "n|total_cost": [0.001, 0.002]}
    made = pandas.DataFrame({name: pandas.Series(v, dtype=object) for name, v in cells.items()})
    made = made.assign(**costs)
    made.columns = pandas.Index([*cells, *costs], dtype=object)
    folder.mkdir(parents=True)
    (folder / files[0]).write_bytes(pickle.dumps(made, protocol=5))


def write_sprout(folder: Path, files) -> None:
    cell = {"score": 1.0, "num_input_tokens": 10, "num_output_tokens": 20}
    models = dict.fromkeys(("openai-gpt-4o", "openai-gpt-4o-mini"), cell)
    rows = [{"prompt": f"{n}?", "dataset": "x", **models} for n in range(2)]
    folder.mkdir(parents=True)
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), folder / "train-0.parquet")


WRITERS |= {"result-files": write_archive, "routerbench": write_bench, "sprout": write_sprout}


@pytest.mark.filterwarnings("ignore::routerjax.errors.DataWarning")
@pytest.mark.parametrize("name", PUBLIC_TABLES)
def test_every_name_stands_for_its_table_wherever_a_path_is_taken(name, cache):
    entry = PUBLIC_TABLES[name]
    WRITERS[entry.layout](own_folder(name), entry.files)
    if entry.kind == LABELS:
        labels = read_labels(name)
        assert len(labels) == 2 and labels.embeddings.shape == (2, 2)
        return
    table = read_table(name)
    loaded = load_public_table(name)
    assert table.models == loaded.models and table.prompts == loaded.prompts
    np.testing.assert_array_equal(table.quality, loaded.quality)
    np.testing.assert_array_equal(table.cost, loaded.cost)
    assert table.split == loaded.split and table.task == loaded.task
    assert (cache / "tables" / f"{name}.parquet").is_file()


@pytest.mark.parametrize("name", PUBLIC_TABLES)
def test_every_entry_says_what_is_known_of_it(name):
    entry = PUBLIC_TABLES[name]
    assert entry.kind in (TABLE, LABELS) and entry.files and entry.wanted
    assert entry.kind == LABELS or entry.layout in READERS
    assert all((entry.title, entry.licence, entry.citation, entry.schema))
    assert entry.hub is None or (entry.hub.count("/") == 1 and entry.url is None)
    assert entry.url is None or (entry.url.startswith("https://") and entry.url.endswith("/"))
    assert entry.revision is None or len(entry.revision) == 40
    if entry.url is not None and entry.revision is not None:
        assert entry.revision in entry.url
    message = said(get_public_table, name)
    assert str(own_folder(name)) in message and entry.wanted in message and "\n" not in message


def test_a_file_of_the_name_comes_before_the_public_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sprout").write_text("something")
    assert "sprout: " in said(read_table, "sprout")
    assert not (tmp_path / "cache").exists()


# Fetched by HTTP


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of a folder; yields the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_):
            pass

    monkeypatch.setattr(hub, "is_reachable", lambda *_: True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()
        thread.join()


@pytest.fixture
def answers(server, monkeypatch) -> Entry:
    """An entry of two files that the server has."""
    folder, url = server
    write_answers(folder / "deep" / "a.csv")
    write_answers(folder / "b.csv")
    entry = Entry(
        name="some",
        title="Some [bold]table[/bold]",
        kind=TABLE,
        layout="answers",
        files=("deep/a.csv", "b.csv"),
        licence="not stated",
        citation="nobody",
        schema="CSV",
        url=url,
        wanted="a.csv, b.csv",
    )
    monkeypatch.setattr(tables, "PUBLIC_TABLES", {"some": entry})
    return entry


def test_files_are_fetched_once_and_their_sums_kept(answers, server, cache):
    table = load_public_table("some")
    assert len(table) == 4 and sorted(set(table.task)) == ["a", "b"]
    own = cache / "datasets" / "some"
    assert sorted(path.name for path in own.iterdir()) == ["a.csv", "b.csv", fetch.SUMS]
    sums = json.loads((own / fetch.SUMS).read_text())
    assert sums["a.csv"]["from"] == f"{answers.url}deep/a.csv"
    content = (own / "a.csv").read_bytes()
    assert sums["a.csv"]["sha256"] == hashlib.sha256(content).hexdigest()
    (server[0] / "b.csv").unlink()
    assert len(load_public_table("some")) == 4


def test_another_file_than_the_first_is_refused(answers, server, cache):
    load_public_table("some")
    own = cache / "datasets" / "some"
    (own / "b.csv").unlink()
    write_answers(server[0] / "b.csv", rows=[["changed?", "True", "True"]])
    message = said(load_public_table, "some")
    assert "b.csv of http://127.0.0.1:" in message
    assert "is not the file that was downloaded first (SHA-256 " in message
    assert f"delete {own / fetch.SUMS} to take it all the same" in message
    assert not (own / "b.csv").exists() and not list(own.glob(".*"))
    (own / fetch.SUMS).unlink()
    assert len(load_public_table("some")) == 3


def test_a_file_that_the_server_lacks(answers, server):
    (server[0] / "b.csv").unlink()
    message = said(load_public_table, "some")
    assert "b.csv cannot be had (status 404); put it into " in message


def test_offline_it_is_said_within_two_seconds(answers, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(tables, "PUBLIC_TABLES", {"some": answers})
    monkeypatch.setattr(hub, "_answers", lambda endpoint: time.sleep(60) or True)
    started = time.monotonic()
    message = said(load_public_table, "some")
    assert "127.0.0.1 cannot be reached; put it into " in message
    assert time.monotonic() - started < 2


# The command


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    return code, *capsys.readouterr()


def test_data_list_and_show(capsys, cache):
    code, out, err = run(capsys, "data", "list")
    assert (code, err) == (0, "") and len(out.splitlines()) == len(PUBLIC_TABLES)
    code, out, _ = run(capsys, "data", "show", "routerbench")
    assert code == 0 and "revision 784021482c3f320c6619ed4b3bb3b41a21424fcb" in out
    assert "licence: not stated" in out and f"put them into {own_folder('routerbench')}" in out
    code, out, _ = run(capsys, "data", "show", "sprout", "--json")
    assert json.loads(out)["hub"] == "CARROT-LLM-Routing/SPROUT"
    code, out, _ = run(capsys, "data", "list", "--json")
    assert [each["name"] for each in json.loads(out)] == list(PUBLIC_TABLES)


def test_data_get_writes_a_wide_file(capsys, tmp_path, cache):
    write_answers(tmp_path / "mine" / "x.csv")
    code, out, _ = run(capsys, "data", "get", "routellm-mmlu", "--files", str(tmp_path / "mine"))
    place = cache / "tables" / "routellm-mmlu.parquet"
    assert code == 0 and f"wrote 2 rows of 2 models to {place}" in out
    assert "Apache-2.0" in out and "now stands for this file" in out
    assert "(on this disk)" in run(capsys, "data", "list")[1]
    code, out, _ = run(
        capsys,
        "data",
        "get",
        "routellm-mmlu",
        "--files",
        str(tmp_path / "mine"),
        "--out",
        str(tmp_path / "wide.csv"),
    )
    assert code == 0
    with pytest.warns(DataWarning, match="every cost is 0"):
        assert len(read_table(tmp_path / "wide.csv")) == 2


def test_a_log_is_drawn_from_a_public_table_by_its_name(capsys, tmp_path):
    rows = [[f"question {n}?", str(n % 2 == 0), "True"] for n in range(40)]
    write_answers(own_folder("routellm-gsm8k") / "gsm8k_responses.csv", rows=rows)
    log = tmp_path / "log.parquet"
    code, out, _ = run(capsys, "simulate", "routellm-gsm8k", "--out", str(log))
    assert code == 0 and log.is_file() and "wrote " in out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["list", "sprout"], "list takes no name"),
        (["show"], "show needs the name of a table"),
        (["take", "sprout"], "'take' is no action; give one of list, show, get"),
        (["show", "sprut"], "no data set 'sprut'; known are "),
        (["list", "--out", "x"], "--out has no effect with list"),
        (["get", "sprout", "--json"], "--json has no effect with get"),
        (["get", "sprout", "--out", "x.doc"], "unknown suffix '.doc'"),
        (["get", "prbench"], "nobody is known to publish it; put it into "),
    ],
)
def test_what_the_command_refuses(capsys, arguments, problem):
    code, out, err = run(capsys, "data", *arguments)
    assert code == 2 and out == "" and problem in err and err.count("\n") == 1
