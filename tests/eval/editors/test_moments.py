"""Second moments: the right sums, of the right model, computed once."""

from pathlib import Path
from typing import Any

import pytest
import torch

from eval.editors.anatomy import dissect
from eval.editors.moments import checked_moments, load_moment, model_fingerprint, second_moments
from memory_store.errors import ConfigError

TEXTS = ["The capital of France is Paris.", "Hamlet", "The sky over Berlin is grey today.", "Paris is in France"]


def by_hand(model: Any, tokenizer: Any, layer: int) -> torch.Tensor:
    kept: list[torch.Tensor] = []
    handle = model.transformer.h[layer].mlp.c_proj.register_forward_pre_hook(
        lambda _m, inputs: kept.append(inputs[0][0])
    )
    with torch.no_grad():
        for text in TEXTS:
            model(**tokenizer(text, return_tensors="pt"))
    handle.remove()
    keys = torch.cat(kept).double()
    return keys.T @ keys / len(keys)


def test_padding_does_not_count(make_model: Any, tokenizer: Any, relative: Any) -> None:
    model = make_model()
    found = second_moments(dissect(model), tokenizer, TEXTS, [0, 2], batch_size=3)
    for layer in (0, 2):
        assert relative(found[layer].matrix, by_hand(model, tokenizer, layer)) < 1e-6


def test_a_finished_moment_is_read_not_computed(make_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    anatomy = dissect(make_model())
    first = second_moments(anatomy, tokenizer, TEXTS, [1], cache=tmp_path)[1]
    calls: list[int] = []
    again = second_moments(anatomy, tokenizer, TEXTS, [1], cache=tmp_path, progress=lambda a, b: calls.append(a))[1]
    assert torch.equal(first.matrix, again.matrix)
    assert not calls
    assert [path.name for path in tmp_path.iterdir()] == [first.key.file_name]


def test_an_interrupted_run_goes_on_where_it_stopped(make_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    anatomy = dissect(make_model())
    whole = second_moments(anatomy, tokenizer, TEXTS, [1], batch_size=1)[1]

    def interrupt(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"batch_size": 1, "cache": tmp_path, "save_every": 1}
    with pytest.raises(KeyboardInterrupt):
        second_moments(anatomy, tokenizer, TEXTS, [1], progress=interrupt, **options)
    steps: list[int] = []
    resumed = second_moments(anatomy, tokenizer, TEXTS, [1], progress=lambda a, _b: steps.append(a), **options)[1]
    assert steps == [4]
    assert torch.equal(resumed.matrix, whole.matrix)


def test_moments_of_another_model_are_refused(make_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    model, other = make_model(), make_model("llama")
    moments = second_moments(dissect(model), tokenizer, TEXTS, [1])
    anatomy = dissect(make_model())
    assert set(checked_moments(anatomy, moments, [1])) == {1}
    with torch.no_grad():
        anatomy.projections[0].weight.add_(1.0)
    for wrong in (anatomy, dissect(other)):
        with pytest.raises(ConfigError, match="compute it for this model"):
            checked_moments(wrong, moments, [1])
    with pytest.raises(ConfigError, match="no second moment for layers"):
        checked_moments(anatomy, moments, [0, 1])
    with pytest.raises(ConfigError, match="shape"):
        checked_moments(anatomy, {1: torch.eye(3)}, [1])


def test_a_file_under_a_wrong_name_is_refused(make_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    anatomy = dissect(make_model())
    moment = second_moments(anatomy, tokenizer, TEXTS, [1], cache=tmp_path)[1]
    path = tmp_path / moment.key.file_name
    wanted = second_moments(anatomy, tokenizer, TEXTS, [0])[0].key
    with pytest.raises(ConfigError, match="wanted"):
        load_moment(path, wanted)
    path.write_bytes(b"damaged")
    with pytest.raises(ConfigError, match="holds no second moment"):
        second_moments(anatomy, tokenizer, TEXTS, [1], cache=tmp_path)


def test_no_text_is_an_error(make_model: Any, tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="corpus is empty"):
        second_moments(dissect(make_model()), tokenizer, [], [0])


def test_a_fingerprint_names_one_model(make_model: Any) -> None:
    assert model_fingerprint(make_model()) == model_fingerprint(make_model())
    assert model_fingerprint(make_model()) != model_fingerprint(make_model(layers=2))


@pytest.mark.slow
def test_moments_are_the_published_ones(golden: Any, relative: Any) -> None:
    texts = golden.json("train_texts")
    found = second_moments(golden.anatomy, golden.tokenizer, texts, [1, 2, 3], batch_size=64)
    for layer, moment in found.items():
        assert moment.key.tokens == 27_731
        assert relative(moment.matrix, golden.moments[layer]) < 1e-5
