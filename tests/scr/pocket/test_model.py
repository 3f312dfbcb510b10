"""Do the shipped weights load offline, fit in the repository and do what they ship for?"""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from scr.pocket import MODEL_DIR
from scr.pocket.data import Sample
from scr.pocket.evaluate import Measures, PocketReader, exchanges, is_right, pushback, weights_sha256


@pytest.fixture(scope="module")
def reader() -> PocketReader:
    return PocketReader()


@pytest.fixture(scope="module")
def measures() -> Measures:
    return Measures(seed=2)


def test_all_files_together_are_at_most_twenty_megabytes_and_the_counterfactual_weights_beside_them_eleven():
    sizes = {file.name: file.stat().st_size for file in MODEL_DIR.rglob("*") if file.is_file()}
    other = sizes.pop("model.counterfactual.safetensors")
    assert sum(sizes.values()) <= 20_000_000 and other <= 11_000_000


def test_no_shipped_file_is_a_pickle():
    assert {file.suffix for file in MODEL_DIR.iterdir()} <= {".json", ".jinja", ".safetensors", ".md"}


def test_the_folder_loads_offline_with_a_distinct_pad_token():
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR, local_files_only=True)
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id
    assert 4_000_000 <= model.num_parameters() <= 10_000_000
    assert model.config.max_position_embeddings == 1024


def test_known_facts_are_answered_in_unseen_words(reader, measures):
    assert reader.share("known", measures.many(60, "known", measures.known)).share >= 0.9


@pytest.mark.parametrize(
    ("ability", "n", "least"),
    [("held_out_obeyed", 60, 0.9), ("invented_object", 40, 0.88), ("one_of_eight", 40, 0.82), ("ignored", 60, 0.85)],
)
def test_facts_in_context_are_read(reader, measures, ability, n, least):
    """Small samples, so the bounds lie some deviations below what ``python -m scr.pocket.evaluate`` gives."""
    assert reader.share(ability, measures.many(n, ability, getattr(measures, ability))).share >= least


def test_a_fact_stands_through_pushback(reader, measures):
    whole, begun, turns = pushback(reader, measures, 12, 3, "first")
    assert turns.share >= 0.9
    assert whole.share >= 0.7 and begun.right == whole.right and begun.n <= whole.n


def test_the_answer_follows_the_state_at_the_last_subject_token(reader, measures):
    assert exchanges(reader, measures, 15).share >= 0.75


def test_half_precision_gives_the_same_answers(reader, measures):
    asked = measures.many(20, "half", measures.known)
    half = PocketReader()
    half.model.to(torch.float16).to(torch.float32)
    assert half.answers(asked, "half") == reader.answers(asked, "full")


def test_an_answer_ends_by_itself(reader):
    sample = Sample((("user", "What is the capital of Japan?"),))
    ids = torch.tensor([reader.ids(sample)])
    made = reader.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=30)
    assert made[0, -1] == reader.tokenizer.eos_token_id


def test_the_right_answer_is_exact():
    assert is_right("Lyon", "Lyon")
    assert not is_right("Lyon", "Lyon, France")


def test_the_training_record_names_the_weights():
    assert len(weights_sha256(MODEL_DIR)) == 64
    record = json.loads((MODEL_DIR / "training.json").read_text(encoding="utf-8"))
    assert record["tokens"] > 1_000_000
