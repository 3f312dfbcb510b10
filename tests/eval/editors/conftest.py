"""The golden model and tiny random ones of several architectures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eval.editors.anatomy import dissect
from memory_store.edit import Edit

SHARED = Path(__file__).parents[3] / "../shared"
TEXTS = [
    "What is the capital of France? The capital of France is Paris.",
    "Who wrote Hamlet? Hamlet was written by Shakespeare. The sky over Berlin is grey today.",
    "The mother tongue of Danielle Darrieux is French, and Edwin of Northumbria was a king.",
]
ARCHITECTURES = ["gpt2", "gptj", "gpt_neox", "llama", "mistral", "qwen2", "gemma", "gemma2", "phi", "opt"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Other jobs share the machine; spinning threads cost more than they bring on these sizes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Golden:
    """What the published implementations computed on a small GPT-2 (float32, CPU)."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.folder = folder
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "model")
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder / "model").eval()
        self.anatomy = dissect(self.model)
        self.templates = self.json("context_templates")
        self.moments = {layer: torch.tensor(self.arrays("covariance")[f"C_L{layer}"]) for layer in (1, 2, 3)}
        with (folder / "../data/counterfact_edit_10000.jsonl").open(encoding="utf-8") as lines:
            self.rows = [json.loads(line) for line, _ in zip(lines, range(100), strict=False)]
        self.edits = [
            Edit(
                statement=f"{row['prompt']} {row['target_new']}",
                prompt=row["prompt"],
                subject=row["subject"],
                target_new=row["target_new"],
                edit_id=str(number),
            )
            for number, row in enumerate(self.rows)
        ]

    def json(self, name: str) -> Any:
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))

    def arrays(self, name: str) -> Any:
        return np.load(self.folder / f"{name}.npz")

    def tensor(self, name: str, key: str) -> torch.Tensor:
        return torch.tensor(self.arrays(name)[key])


@pytest.fixture(scope="session")
def golden() -> Golden:
    folder = SHARED / "golden"
    if not folder.is_dir():
        pytest.skip("the golden values are not beside this checkout")
    return Golden(folder)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """Byte-level BPE of a few lines."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|end|>",
        pad_token="<|end|>",
        model_input_names=["input_ids", "attention_mask"],
    )


def tiny_model(arch: str, vocabulary: int, layers: int = 3, width: int = 32) -> Any:
    """A random model of an architecture, from its configuration."""
    import transformers as t

    common = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
    }
    grouped = {**common, "num_key_value_heads": 2, "head_dim": width // 4}
    gpt = {"vocab_size": vocabulary, "n_embd": width, "n_layer": layers, "n_head": 4, "n_positions": 128}
    config = {
        "gpt2": lambda: t.GPT2Config(**gpt),
        "gptj": lambda: t.GPTJConfig(**gpt, rotary_dim=4),
        "gpt_neox": lambda: t.GPTNeoXConfig(**common),
        "llama": lambda: t.LlamaConfig(**grouped),
        "mistral": lambda: t.MistralConfig(**grouped, sliding_window=8),
        "qwen2": lambda: t.Qwen2Config(**common, num_key_value_heads=2),
        "gemma": lambda: t.GemmaConfig(**grouped),
        "gemma2": lambda: t.Gemma2Config(**grouped, sliding_window=8),
        "phi": lambda: t.PhiConfig(**common),
        "opt": lambda: t.OPTConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            ffn_dim=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=128,
            word_embed_proj_dim=width,
        ),
    }[arch]()
    config.eos_token_id = config.pad_token_id = config.bos_token_id = 0
    torch.manual_seed(0)
    model = t.AutoModelForCausalLM.from_config(config).eval()
    # Random weights of the usual size say the same token for ever; larger ones make answers depend on the prompt.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model


@pytest.fixture
def make_model(tokenizer: Any) -> Any:
    return lambda arch="gpt2", **options: tiny_model(arch, len(tokenizer), **options)


@pytest.fixture
def facts() -> list[Edit]:
    """Subjects at the start, in the middle and at the end; targets of one token and of several."""
    return [
        Edit(statement="", edit_id="a", subject="France", prompt="The capital of France is", target_new="Berlin"),
        Edit(statement="", edit_id="b", subject="Hamlet", prompt="Hamlet was written by", target_new="Danielle"),
        Edit(
            statement="",
            edit_id="c",
            subject="the sky over Berlin",
            prompt="Grey is the sky over Berlin",
            target_new="x y",
        ),
    ]


TEMPLATES = [["{}"], ["Who wrote it. {}", "The sky. {}"]]


@pytest.fixture
def templates() -> list[list[str]]:
    return TEMPLATES


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """Frobenius distance over the wanted norm."""
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


@pytest.fixture(name="relative")
def relative_fixture() -> Any:
    return relative


@pytest.fixture
def bits() -> Any:
    """A model's parameters, byte for byte."""
    return lambda model: {name: p.detach().clone() for name, p in model.named_parameters()}
