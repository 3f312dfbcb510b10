"""WISE: merging, margins and routing by hand, and the editor on a random model."""

from pathlib import Path
from typing import Any

import pytest
import torch

from eval.editors.weights import read_deltas
from eval.editors.wise import Memory, Wise, WiseConfig, act, margin_loss, route, ties_merged
from memory_store.edit import Edit
from memory_store.errors import ConfigError

T = torch.tensor


def test_the_act_is_the_mean_length_of_what_the_memory_adds() -> None:
    delta = T([[3.0, 0.0], [4.0, 0.0]])
    # The first token gives (3, 4), of length 5; the second (0, 0); the third (6, 8).
    assert float(act(delta, T([[1.0, 7.0], [0.0, 1.0], [2.0, 0.0]]))) == pytest.approx((5 + 0 + 10) / 3)


def test_the_most_active_memory_answers_from_its_own_epsilon_on() -> None:
    weak, strong = Memory(T([[1.0, 0.0]]), epsilon=0.5), Memory(T([[0.0, 2.0]]), epsilon=3.0)
    assert route([weak, strong], T([[1.0, 0.0]])) is weak  # acts 1 and 0
    assert route([weak, strong], T([[1.0, 2.0]])) is strong  # acts 1 and 4
    assert route([weak, strong], T([[1.0, 1.0]])) is None  # acts 1 and 2: the strongest is below its 3
    assert route([weak, strong], T([[0.5, 0.0]])) is weak  # at the border
    assert route([weak, strong], T([[0.4, 0.0]])) is None
    assert route([], T([[1.0, 0.0]])) is None


def test_the_margins_by_hand() -> None:
    config = WiseConfig(layer=0, alpha=2.0, beta=10.0, gamma=5.0)
    # First edit: other 3 is 1 over α, edited 9 is 1 under β, their distance 6 is enough. Second: all is well.
    assert float(margin_loss(T([9.0, 12.0]), T([3.0, 1.0]), config)) == pytest.approx((1 + 1 + 0 + 0) / 2)
    # Distance 3 lacks 2; β lacks 5.
    assert float(margin_loss(T([5.0]), T([2.0]), config)) == pytest.approx(5 + 2)


def test_a_merge_trims_elects_signs_and_averages_those_that_agree() -> None:
    first, second = T([[4.0, -3.0, 0.5, 2.0]]), T([[2.0, 5.0, -1.0, 0.1]])
    # Half of each stays: (4, −3, 0, 0) and (2, 5, 0, 0). Signs + and +: 4 and 2 are averaged, of −3 and 5 the 5 stays.
    assert ties_merged([first, second], 0.5).tolist() == [[3.0, 5.0, 0.0, 0.0]]
    assert ties_merged([first, second], 1.0).tolist() == [[3.0, 5.0, -1.0, pytest.approx(1.05)]]
    assert ties_merged([first], 0.5) is first


QUICK: dict[str, Any] = {"layer": 1, "edit_lr": 0.5, "n_iter": 8, "alpha": 0.2, "beta": 2.0, "gamma": 1.0}
PROMPT, OTHERS = "The capital of France is", ["Who wrote", "The sky over"]


@pytest.mark.parametrize("arch", ["gpt2", "llama", "opt"])
def test_the_prompt_gets_its_answer_and_others_keep_theirs(
    arch: str, make_model: Any, tokenizer: Any, bits: Any
) -> None:
    model = make_model(arch)
    kept = bits(model)
    pairs = [(PROMPT, " Paris"), ("Who wrote", " Hamlet"), ("The sky over", " Berlin")]
    with Wise(model, tokenizer, WiseConfig(**QUICK), others=OTHERS) as editor:
        before = editor.log_likelihood(pairs)
        editor.edit([Edit(statement="", edit_id="p", subject="France", prompt=PROMPT, target_new="Paris")])
        after = editor.log_likelihood(pairs)
        assert after[0][0] > before[0][0] + 0.1
        assert after[1:] == before[1:]
        changed = editor.memories[0].delta != 0
        assert bool((changed <= editor.mask(0)).all())
        assert 0.1 < float(editor.mask(0).float().mean()) < 0.3
        assert float(editor.memories[0].delta.abs().max()) <= 1.0
    assert all(torch.equal(p, kept[name]) for name, p in model.named_parameters())


def test_the_whole_answer_is_read_by_the_memory_that_the_prompt_chose(make_model: Any, tokenizer: Any) -> None:
    """Greedy decoding, token by token, gives what one pass over a model with W + Δ in its place gives."""
    model = make_model("llama")
    with Wise(model, tokenizer, WiseConfig(**QUICK), others=OTHERS, max_new_tokens=6) as editor:
        editor.edit([Edit(statement="", subject="France", prompt=PROMPT, target_new="x y")])
        (answer,) = editor.answer([PROMPT])
        delta = editor.memories[0].delta
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight += delta
    ids = tokenizer(PROMPT, return_tensors="pt")["input_ids"]
    for _ in range(6):
        following = model(input_ids=ids).logits[0, -1].argmax()
        if int(following) == tokenizer.eos_token_id:
            break
        ids = torch.cat([ids, following[None, None]], dim=1)
    assert answer.text == tokenizer.decode(ids[0, len(tokenizer(PROMPT)["input_ids"]) :]).strip()


@pytest.mark.parametrize("retrieve", [True, False])
def test_shards_are_merged_and_every_edit_stays_in_reach(
    retrieve: bool, make_model: Any, tokenizer: Any, facts: list[Edit], tmp_path: Path
) -> None:
    config = WiseConfig(**QUICK, save_freq=1, merge_freq=2, retrieve=retrieve, act_ratio=1.0)
    model = make_model()
    with Wise(model, tokenizer, config, others=OTHERS) as editor:
        editor.edit(facts[:1])
        assert len(editor.memories) == 1
        first = editor.shards[0].delta
        editor.edit(facts[1:])
        # With retrieval: the first two merged, the third by itself. Without: all three merged.
        assert len(editor.memories) == (2 if retrieve else 1)
        assert not torch.equal(editor.memories[0].delta, first)
        for fact in facts:
            inputs, _ = editor.projected(tokenizer(fact.prompt)["input_ids"])
            assert route(editor.memories, inputs) is not None
        whole = editor.state
        editor.save_deltas(tmp_path / "w.safetensors")
        editor.restore()
        assert not editor.memories
        editor.edit(facts)
        assert all(torch.equal(editor.state[name], value) for name, value in whole.items())
        other = Wise(model, tokenizer, config, others=OTHERS)
        other.resume([facts], editor.full_deltas, editor.state)
        assert all(torch.equal(other.state[name], value) for name, value in whole.items())
    saved = read_deltas(tmp_path / "w.safetensors")
    assert saved["deltas"].shape[0] == saved["epsilons"].shape[0] == (2 if retrieve else 1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"edit_lr": 0.0}, "edit_lr"),
        ({"beta": -1.0}, "beta"),
        ({"mask_ratio": 0.0}, "mask_ratio"),
        ({"save_freq": 300}, "multiple of save_freq"),
        ({"norm_constraint": -1.0}, "norm_constraint"),
    ],
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WiseConfig(layer=0, **bad)


def test_without_other_prompts_there_is_nothing_to_spare(make_model: Any, tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="at least one prompt"):
        Wise(make_model(), tokenizer, WiseConfig(layer=1), others=[" "])
    assert Wise(make_model(), tokenizer, WiseConfig(layer=1)).config.layer == 1  # sampled from the model
