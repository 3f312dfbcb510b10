"""LoRA through peft: low-rank deltas, and a model without traces."""

from typing import Any

import pytest
import torch

from eval.editors.lora import Lora, LoraConfig
from memory_store.edit import Edit
from memory_store.errors import ConfigError

QUICK: dict[str, Any] = {"rank": 2, "num_steps": 8, "lr": 0.02}


@pytest.fixture
def peft() -> Any:
    return pytest.importorskip("peft", reason="peft, the extra lora, is not installed")


@pytest.mark.usefixtures("peft")
@pytest.mark.parametrize(("arch", "ends"), [("gpt2", ["c_attn"]), ("llama", ["q_proj", "v_proj"]), ("opt", ["q_proj"])])
def test_the_change_has_the_rank_and_teaches_the_answer(
    arch: str, ends: list[str], make_model: Any, tokenizer: Any, facts: list[Edit]
) -> None:
    model = make_model(arch)
    classes = [type(module) for module in model.modules()]
    pairs = [(fact.prompt, " " + fact.target_new) for fact in facts]
    with Lora(model, tokenizer, LoraConfig(**QUICK)) as editor:
        before = [score for score, _, _ in editor.log_likelihood(pairs)]
        editor.edit(facts)
        after = [score for score, _, _ in editor.log_likelihood(pairs)]
        assert sum(after) > sum(before) + 0.5
        assert {name.split(".")[-2] for name in editor.weights.deltas} >= set(ends)
        for delta in editor.weights.deltas.values():
            sigma = torch.linalg.svdvals(delta)
            assert float(sigma[1]) > 0 and float(sigma[2]) < 1e-5 * float(sigma[0])
    assert [type(module) for module in model.modules()] == classes
    assert not hasattr(model, "peft_config")
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.usefixtures("peft")
def test_the_delta_is_what_was_trained(make_model: Any, tokenizer: Any, facts: list[Edit]) -> None:
    """The loss with the adapters in place, without dropout, is the loss of the edited weights."""
    from eval.editors.lessons import lesson, reads

    model = make_model("llama")
    config = LoraConfig(**QUICK, lora_dropout=0.0)
    editor = Lora(model, tokenizer, config)
    read = reads([lesson(tokenizer, fact) for fact in facts], editor.anatomy.device)
    ids, mask = read.padded(editor.anatomy.device)

    def loss() -> float:
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=mask).logits
        return float(read.loss(logits.reshape(-1, logits.shape[-1])[read.places]))

    seen: list[float] = []
    train = editor._train

    def watched(*args: Any) -> None:
        train(*args)
        seen.append(loss())

    editor._train = watched  # type: ignore[method-assign]
    with editor:
        editor.edit(facts)
        assert loss() == pytest.approx(seen[0], rel=1e-4)


@pytest.mark.usefixtures("peft")
def test_only_the_chosen_projections_of_the_chosen_blocks_change(
    make_model: Any, tokenizer: Any, facts: list[Edit]
) -> None:
    config = LoraConfig(**QUICK, target_modules=("down_proj", "o_proj"), layers=(1,))
    with Lora(make_model("llama"), tokenizer, config) as editor:
        editor.edit(facts[:1])
        assert sorted(editor.weights.deltas) == [
            "model.layers.1.mlp.down_proj.weight",
            "model.layers.1.self_attn.o_proj.weight",
        ]


@pytest.mark.usefixtures("peft")
def test_numbers_drawn_elsewhere_stay_the_same(make_model: Any, tokenizer: Any, facts: list[Edit]) -> None:
    with Lora(make_model("llama"), tokenizer, LoraConfig(**QUICK)) as editor:
        torch.manual_seed(5)
        wanted = torch.rand(3)
        torch.manual_seed(5)
        editor.edit(facts[:1])
        assert torch.equal(torch.rand(3), wanted)
        first = {name: delta.clone() for name, delta in editor.weights.deltas.items()}
        editor.restore()
        editor.edit(facts[:1])
        assert all(torch.equal(delta, first[name]) for name, delta in editor.weights.deltas.items())


@pytest.mark.usefixtures("peft")
def test_a_projection_that_is_not_there_is_refused(make_model: Any, tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="no projection of the model is named nobody"):
        Lora(make_model("llama"), tokenizer, LoraConfig(target_modules=("nobody",)))


def test_without_peft_the_error_says_what_to_install(
    make_model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match="pip install 'scr-editor"):
        Lora(make_model("llama"), tokenizer, LoraConfig())


@pytest.mark.parametrize("bad", [{"rank": 0}, {"lora_dropout": 1.0}, {"layers": ()}, {"target_modules": ()}])
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        LoraConfig(**bad)
