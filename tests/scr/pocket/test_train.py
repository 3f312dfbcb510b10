"""Does the training script do what it says, at a size of seconds?"""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from scr.pocket.data import Generator, Sample
from scr.pocket.train import (
    Muon,
    Phase,
    TrainConfig,
    answer_logits,
    batches,
    encode,
    export,
    going_on,
    last_token_of,
    new_model,
    orthogonalised,
    tokenizer_texts,
    train,
    train_tokenizer,
)

TINY = TrainConfig(
    vocab_size=700,
    tokenizer_texts=100,
    layers=2,
    width=32,
    heads=2,
    tokens=6_000,
    phases=(Phase(2_500, "reading", 600, 0.5), Phase(10_000, "last", 1200, 0.1)),
    chunk=16,
    fused=False,
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(tokenizer_texts(Generator(), 0, 100), 700)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["model"]


def test_a_resumed_run_gives_the_weights_of_an_unbroken_one(tmp_path):
    train(TINY, tmp_path / "whole")
    train(TINY, tmp_path / "broken", stop_after=0.0)
    stopped = torch.load(tmp_path / "broken" / "checkpoint.pt", weights_only=True)
    assert 0 < stopped["tokens"] < TINY.tokens
    train(TINY, tmp_path / "broken", resume=True)
    whole, broken = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[name], broken[name]) for name in whole)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "whole" / "model", local_files_only=True)
    assert model.dtype == torch.bfloat16
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_run_may_begin_from_finished_weights(tmp_path):
    first = train(replace(TINY, tokens=2_000), tmp_path / "first")
    config = replace(going_on(TINY, "hash"), tokens=1_000, learning_rate=1e-9)
    second = train(config, tmp_path / "second", begin_from=first)
    before, after = (AutoModelForCausalLM.from_pretrained(f, local_files_only=True) for f in (first, second))
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.allclose(old, new, atol=1e-3)
    assert json.loads((second / "training.json").read_text(encoding="utf-8"))["config"]["begun_from"] == "hash"
    tokenizers = [AutoTokenizer.from_pretrained(f, local_files_only=True) for f in (first, second)]
    assert tokenizers[0].get_vocab() == tokenizers[1].get_vocab()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler: torch.compile cannot run")
def test_fused_blocks_give_the_same_logits_and_gradients(tokenizer):
    model = new_model(TINY, tokenizer)
    rows = [encode(tokenizer, Generator().yes_no(random.Random(i))) for i in range(4)]
    (batch,) = batches([("x", (row,)) for row in rows], 10**9, tokenizer.pad_token_id, random.Random(0))
    found = []
    for fused in (False, True):
        model.zero_grad()
        logits = answer_logits(model, batch, -1, torch.float32, fused=fused)
        logits.square().mean().backward()
        found.append([logits.detach(), *(p.grad.clone() for p in model.parameters())])
    for eager, compiled in zip(*found, strict=True):
        assert torch.allclose(eager, compiled, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 24, 60), (2, 8, 40), (2, 40, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    values = torch.linalg.svdvals(orthogonalised(torch.randn(shape, generator=torch.manual_seed(0))).float())
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_the_optimizer_is_torch_s_muon_on_all_matrices_at_once():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in ((16, 16), (16, 16), (24, 16))]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    tuners = (
        Muon(ours, lr=0.01, weight_decay=0.02),
        torch.optim.Muon(theirs, lr=0.01, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape)
            b.grad = a.grad.clone()
        for tuner in tuners:
            tuner.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=2e-4)  # Newton-Schulz runs in bfloat16


def test_the_fast_forward_is_the_models_own(tokenizer):
    model = new_model(TINY, tokenizer)
    rows = [encode(tokenizer, Generator().yes_no(random.Random(i))) for i in range(4)]
    (batch,) = batches([("x", (row,)) for row in rows], 10**9, tokenizer.pad_token_id, random.Random(0))
    with torch.no_grad():
        ours = answer_logits(model, batch, -1, torch.float32)
        theirs = model(batch.ids).logits[batch.rows, batch.positions - 1]
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_swapped_states_change_the_pair_alone(tokenizer):
    model = new_model(TINY, tokenizer)
    rng = random.Random(0)
    generator = Generator()
    unit = generator.exchanging(rng)
    while unit[0].exchange is None:
        unit = generator.exchanging(rng)
    single = encode(tokenizer, generator.recalling(rng))
    units = [("exchanging", tuple(encode(tokenizer, s) for s in unit)), ("recalling", (single,))]
    (batch,) = batches(units, 10**9, tokenizer.pad_token_id, rng)
    with torch.no_grad():
        swapped = answer_logits(model, batch, 0, torch.float32)
        plain = answer_logits(model, batch, -1, torch.float32)
    changed = {row for row, a, b in zip(batch.rows.tolist(), swapped, plain, strict=True) if not torch.equal(a, b)}
    assert changed == {i for i, kind in enumerate(batch.kinds) if kind == "exchanging"}


def test_training_ids_are_those_of_the_chat_template(tokenizer):
    turns = (("system", "Be short."), ("user", 'A "quoted" 12 word'), ("assistant", "Lyon"))
    text = tokenizer.apply_chat_template([{"role": r, "content": c} for r, c in turns], tokenize=False)
    row = encode(tokenizer, Sample(turns))
    assert row.ids == tokenizer(text)["input_ids"]
    assert tokenizer.decode([row.ids[i] for i in row.learn]) == " Lyon<|end|>"


def test_a_raw_answer_is_the_continuation_of_its_prompt(tokenizer):
    row = encode(tokenizer, Sample((("user", "The capital of France is"), ("assistant", "Paris")), chat=False))
    assert row.ids == [*tokenizer("The capital of France is Paris")["input_ids"], tokenizer.eos_token_id]


def test_a_name_has_the_same_tokens_wherever_it_stands(tokenizer):
    name = tokenizer(" Zorblat")["input_ids"]
    for text in ("Zorblat", 'facts:\n- "Zorblat is', "\n\nZorblat is", "is Zorblat"):
        ids = tokenizer(text)["input_ids"]
        assert any(ids[i : i + len(name)] == name for i in range(len(ids)))


def test_any_text_comes_back_from_the_tokenizer(tokenizer):
    for text in (" Lyon", " 30 days", " žluťoučký kůň", " 日本 \U0001f600", " a@b.io", " +49 (30) 1.5%"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_last_subject_token_is_found():
    offsets = [(0, 3), (3, 6), (6, 7), (7, 13), (13, 14)]
    assert last_token_of("bcd", "a bcd and bcdx", offsets) == 3


def test_the_exported_folder_loads_offline(tokenizer, tmp_path):
    export(new_model(TINY, tokenizer), tokenizer, TINY, 0, tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert again.model_input_names == ["input_ids", "attention_mask"]
    assert again.pad_token_id != again.eos_token_id
    model = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    assert model.generation_config.eos_token_id == again.eos_token_id
    assert not list(tmp_path.glob("*.bin"))
