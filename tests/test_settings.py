"""Settings of records as options: all reachable, defaults written once, no effect refused."""

from __future__ import annotations

import dataclasses
import re

import pytest

from experiments.causal_routing.config import PRESETS as CAUSAL
from experiments.meta_router.config import PRESETS as META
from experiments.surrogates.config import PRESETS as SURROGATES
from routerjax.cli import commands, fit, study
from routerjax.cli.app import Options, add_command, make_app, run
from routerjax.cli.parse import parse
from routerjax.cli.settings import laid_over, settings_of, shown
from routerjax.errors import InputError
from routerjax.training.config import FitConfig, GainConfig, RouterConfig, Schedule

OTHER = {
    "cost_weights": ("1,2.5", (1.0, 2.5)),
    "encoder": ("bert-base-uncased", "bert-base-uncased"),
    "estimator": ("ips", "ips"),
    "surrogate": ("spo_plus", "spo_plus"),
    "architecture": ("affine", "affine"),
    "outcomes": ("network", "network"),
    "start": ("best-single", "best-single"),
    "widths": ("3,4", (3, 4)),
    "optimizer": ("sgd", "sgd"),
    "learner": ("r", "r"),
    "label_scale": ("amplitude", "amplitude"),
    "nuisance": ("heads", "heads"),
}
"""Values to give for settings that are no plain number: text, and what it means."""


def given(app_name: str, record, *arguments: str):
    """The record that a command with these options hands to its function."""
    found = []
    app = make_app(app_name, "A command.")
    kind = type(record)
    add_command(
        app,
        None,
        lambda parsed: found.append(parsed[kind]),
        text="It.",
        groups=[Options("G", record)],
    )
    run(app, arguments)
    return found[0]


@pytest.mark.parametrize("record", [FitConfig(), GainConfig()], ids=["fit", "gains"])
def test_every_setting_is_reachable_and_arrives(record):
    settings = settings_of(record)
    assert len({name for each in settings for name in each.names}) == sum(
        len(each.names) for each in settings
    )
    for setting in settings:
        name = setting.path[-1]
        if setting.hint is bool:
            text, value = None, True
        elif setting.path == ("router", "learning_rate"):
            text, value = "0.25,0.5", (0.25, 0.5)
        elif name in OTHER:
            text, value = OTHER[name]
        elif name in ("models", "costs"):
            text, value = ("a,b", ("a", "b")) if name == "models" else ("1,2", (1.0, 2.0))
        else:
            text, value = "7", 7
        for option in setting.names:
            got = given("it", record, option, *([] if text is None else [text]))
            for part in setting.path:
                got = getattr(got, part)
            assert got == value, option
        assert setting.text and setting.text[0].isupper(), f"{name} is not explained"


def test_the_settings_of_a_fit_reach_the_three_records_behind_it():
    config = given(
        "it",
        FitConfig(),
        "--members",
        "3",
        "--nuisance.folds",
        "2",
        "--epochs",
        "9",
        "--nuisance.schedule.patience",
        "4",
        "--schedule.batch-size",
        "32",
    )
    assert config.router.members == 3 and config.nuisance.folds == 2
    assert config.router.schedule == dataclasses.replace(
        RouterConfig().schedule, max_epochs=9, batch_size=32
    )
    assert config.nuisance.schedule.patience == 4
    assert config == dataclasses.replace(
        FitConfig(), router=config.router, nuisance=config.nuisance
    )


def test_the_help_shows_the_defaults_of_the_records(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert commands.main(["fit", "--help"]) == 0
    text = capsys.readouterr().out
    for setting in settings_of(FitConfig()):
        default = shown(setting.default)
        line = next(line for line in text.splitlines() if re.search(rf"{setting.names[0]}\b", line))
        start = text.index(line)
        entry = text[
            start : text.index("\n│ --", start + 1) if "\n│ --" in text[start + 1 :] else None
        ]
        assert not default or f"[default: {default}]" in entry, setting.names


@pytest.mark.parametrize(
    "presets", [CAUSAL, SURROGATES, META], ids=["causal", "surrogates", "meta"]
)
def test_settings_of_the_studies_are_explained(presets):
    for setting in settings_of(presets["quick"]):
        assert setting.text and setting.text[0].isupper(), setting.path


def test_presets_are_what_the_options_change():
    seen = []
    presets = {"quick": Schedule(batch_size=1), "other": Schedule(batch_size=2, patience=5)}
    code = study.main(
        "experiments.it",
        "It.",
        presets,
        lambda parsed, config: seen.append(config),
        out="there",
        arguments=["--preset", "other", "--max-epochs", "3"],
    )
    assert code == 0 and seen == [Schedule(batch_size=2, patience=5, max_epochs=3)]


def test_records_are_laid_over_at_any_depth():
    config = laid_over(FitConfig(), {("router", "schedule", "chunk"): 2, ("floor",): 0.5})
    assert (config.router.schedule.chunk, config.floor) == (2, 0.5)
    assert config.nuisance == FitConfig().nuisance


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (int, "3", 3),
        (float, "1e-3", 1e-3),
        (float | tuple[float, ...], "1", 1.0),
        (float | tuple[float, ...], "1,2", (1.0, 2.0)),
        (tuple[int, ...], "", ()),
        (tuple[int | None, ...], "5,6", (5, 6)),
        (tuple[str, ...] | None, "a, b", ("a", "b")),
        (tuple[float, float] | None, "1,2", (1.0, 2.0)),
    ],
)
def test_text_by_type(hint, text, value):
    assert parse(hint, text) == value


@pytest.mark.parametrize(
    ("hint", "text", "message"),
    [
        (int, "1.5", "'1.5' is not a whole number"),
        (tuple[float, ...], "1,x", "'1,x' is not a list of numbers, as in 0,10,100"),
        (tuple[float, float], "1,2,3", "'1,2,3' has 3 parts; 2 are needed"),
    ],
)
def test_text_of_no_such_type(hint, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(hint, text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("fit l --out r --costs 1,2", "--costs has no effect without --gains"),
        ("fit l --out r --learner r", "--learner has no effect without --gains"),
        ("fit l --out r --gains --epochs 3", "--epochs has no effect with --gains"),
        ("fit l --out r --gains --nuisance.folds 3", "--nuisance.folds has no effect with --gains"),
        ("fit l --out r --gains --devices 1", "--devices has no effect with --gains"),
        ("fit l --out r --gains --ratings", "--ratings has no effect with --gains"),
        ("simulate --out l.csv --columns a=b", "--columns has no effect without TABLE"),
        ("simulate --out l.csv --embeddings e.npy", "--embeddings has no effect without TABLE"),
        ("simulate t.csv --out l.csv --rows 10", "--rows has no effect with TABLE"),
        ("evaluate r d --log-columns a=b", "--log-columns has no effect without --log"),
        ("fit l --out r --router.members 3", "Unknown option: --router.members"),
        ("route r extra", "nothing takes 'extra' (see routerjax route --help)"),
    ],
)
def test_options_without_effect_are_refused(arguments, message, capsys):
    assert commands.main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err


def test_the_version(capsys):
    assert commands.main(["--version"]) == 0
    assert capsys.readouterr().out == "routerjax 0.1.0\n"


def test_checking_carries_nothing_out():
    commands.check(["fit", "nowhere.csv", "--out", "there", "--quality-range", "-1:1"])
    with pytest.raises(InputError, match="--out is needed"):
        commands.check(["fit", "nowhere.csv"])
    assert fit.SHARED == ("cost_weights", "encoder", "components", "validation", "seed")
