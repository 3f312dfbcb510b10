"""GRACE: the codebook by hand, and on a random model."""

from typing import Any

import pytest
import torch

from eval.editors.grace import Codebook, Entry, Grace, GraceConfig
from memory_store.edit import Edit
from memory_store.errors import ConfigError


def point(*coordinates: float) -> torch.Tensor:
    return torch.tensor(coordinates)


def test_a_far_key_gets_an_entry_of_its_own() -> None:
    book, index = Codebook().added(point(0.0, 0.0), point(1.0), (5,), 1.0)
    book, other = book.added(point(3.0, 0.0), point(2.0), (6,), 1.0)  # 3 > 1 + 1
    assert (index, other) == (0, 1)
    assert [entry.radius for entry in book.entries] == [1.0, 1.0]
    assert float(book.value(point(0.0, 1.0))) == 1.0  # type: ignore[arg-type]
    assert float(book.value(point(2.5, 0.0))) == 2.0  # type: ignore[arg-type]
    assert book.value(point(1.5, 0.0)) is None


def test_a_near_key_with_another_target_splits_the_distance() -> None:
    book, _ = Codebook().added(point(0.0, 0.0), point(1.0), (5,), 1.0)
    book, index = book.added(point(1.0, 0.0), point(2.0), (6,), 1.0)
    assert index == 1
    assert [entry.radius for entry in book.entries] == pytest.approx([0.5 - 1e-5, 0.5])
    assert float(book.value(point(0.4, 0.0))) == 1.0  # type: ignore[arg-type]
    assert float(book.value(point(0.6, 0.0))) == 2.0  # type: ignore[arg-type]


def test_a_near_key_with_the_same_target_widens_the_entry() -> None:
    book, _ = Codebook().added(point(0.0, 0.0), point(1.0), (5,), 1.0)
    book, index = book.added(point(1.75, 0.0), point(9.0), (5,), 1.0)
    assert index == 0
    assert book.entries == (Entry(book.entries[0].key, book.entries[0].value, 1.75, (5,)),)


@pytest.mark.parametrize("replacement", ["replace_last", "replace_prompt"])
@pytest.mark.parametrize("arch", ["gpt2", "llama", "opt"])
def test_the_prompt_gets_its_answer_and_others_keep_theirs(
    arch: str, replacement: Any, make_model: Any, tokenizer: Any, facts: list[Edit], bits: Any
) -> None:
    model = make_model(arch)
    kept = bits(model)
    config = GraceConfig(layer=1, radius=0.05, lr=0.5, num_steps=12, replacement=replacement)
    pair, other = (facts[0].prompt, " Paris"), [("Who wrote", " Hamlet"), ("The sky over", " Berlin")]
    with Grace(model, tokenizer, config) as editor:
        before = editor.log_likelihood([(pair[0], pair[1]), *other])
        editor.edit([Edit(statement="", edit_id="p", subject="France", prompt=pair[0], target_new="Paris")])
        after = editor.log_likelihood([pair, *other])
        assert after[0][0] > before[0][0] + 0.1
        assert after[1:] == before[1:]
        editor.edit(facts[1:2])
        assert editor.log_likelihood([pair]) == [after[0]]
        editor.forget(["p", "b"])
        assert editor.log_likelihood([pair]) == [before[0]]
        with pytest.raises(ConfigError, match="empty target"):
            editor.edit([facts[0], Edit(statement="", prompt="x", target_new="")])
        assert not editor.codebook.entries
    assert all(torch.equal(p, kept[name]) for name, p in model.named_parameters())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("bad", [{"radius": 0.0}, {"lr": -1.0}, {"num_steps": 0}, {"replacement": "none"}])
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        GraceConfig(layer=0, **bad)
