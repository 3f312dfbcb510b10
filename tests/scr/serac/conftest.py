"""Six edits to learn from, and a tiny encoder-decoder and encoder beside the tiny causal models."""

import json
from pathlib import Path
from typing import Any

import pytest

CITIES = {"France": "Lyon", "Spain": "Vigo", "Peru": "Cusco", "Italy": "Turin", "Kenya": "Nakuru", "Japan": "Kobe"}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "edits.jsonl"
    rows = [
        {
            "statement": f"The capital of {country} is {city}.",
            "prompt": f"The capital of {country} is",
            "subject": country,
            "target_new": city,
            "in_scope": [
                f"What is the capital of {country}?",
                {"query": f"Is {city} the capital of {country}?", "answer": "Yes"},
            ],
            "out_of_scope": [f"Who governs {country}?"],
        }
        for country, city in CITIES.items()
    ]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return file


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> str:
    import torch
    import transformers as t

    folder = tmp_path_factory.mktemp("t5")
    torch.manual_seed(0)
    config = t.T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=1,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=1,
        eos_token_id=0,
        pad_token_id=1,
    )
    t.T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
