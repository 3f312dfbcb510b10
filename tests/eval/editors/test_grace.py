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


@pytest.mark.parametrize(("moved", "inside"), [(0.0, True), (2e-6, True), (1e-3, False)])
def test_a_key_on_an_entrys_border_is_inside_whatever_its_last_bits(moved: float, inside: bool) -> None:
    """It widened the entry to itself; the same key read in a longer sentence differs by rounding."""
    book, _ = Codebook().added(point(0.0, 0.0), point(1.0), (5,), 1.0)
    book, _ = book.added(point(1.75, 0.0), point(9.0), (5,), 1.0)
    assert (book.value(point(1.75 + moved, 0.0)) is not None) == inside


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


@pytest.mark.parametrize("replacement", ["replace_last", "replace_prompt"])
@pytest.mark.parametrize("arch", ["gpt2", "gpt_neox", "llama", "opt"])
def test_a_value_is_trained_on_what_the_whole_model_says(
    arch: str, replacement: Any, make_model: Any, tokenizer: Any, facts: list[Edit]
) -> None:
    """Two Adam steps by hand: the whole model, the value put in place of the projection's output."""
    model, fact = make_model(arch), facts[2]  # an answer of several tokens
    config = GraceConfig(layer=1, radius=0.5, lr=0.05, num_steps=3, replacement=replacement)
    prompt = tokenizer(fact.prompt)["input_ids"]
    with Grace(model, tokenizer, config) as editor:
        target = list(editor.language_model.prompt_ids(" " + fact.target_new))
        value = editor.projected(prompt)[1][-1].clone().requires_grad_(True)
        optimizer, first = torch.optim.Adam([value], lr=0.05), len(prompt) - 1
        candidates = []

        def put(_module: Any, _inputs: Any, out: torch.Tensor) -> torch.Tensor:
            rows = out.reshape(len(prompt) + len(target) - 1, -1).clone()
            rows[first : None if replacement == "replace_last" else first + 1] = value
            return rows.reshape(out.shape)

        for _ in range(3):
            handle = editor.anatomy.projections[1].module.register_forward_hook(put)
            logits = model(input_ids=torch.tensor([prompt + target[:-1]])).logits[0, first:]
            handle.remove()
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(target))
            candidates.append((float(loss.detach()), value.detach().clone()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        wanted = min(candidates, key=lambda pair: pair[0])[1]
        editor.edit([fact])
        assert editor.codebook.entries[0].target == tuple(target)
        assert torch.allclose(editor.codebook.entries[0].value, wanted, atol=1e-4)


@pytest.mark.parametrize("bad", [{"radius": 0.0}, {"lr": -1.0}, {"num_steps": 0}, {"replacement": "none"}])
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        GraceConfig(layer=0, **bad)
