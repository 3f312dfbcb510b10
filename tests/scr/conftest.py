"""Small real machinery: a byte-level tokenizer trained on a few lines, tiny random models built from configs."""

from pathlib import Path
from typing import Any

import pytest

from memory_store.edit import Edit
from scr.protocols import Candidate, Decision, Judged

TEXTS = [
    "What is the capital of France? The capital of France is Paris.",
    "Who wrote Hamlet? Hamlet was written by Shakespeare. The sky over Berlin is grey today.",
    "Known facts (data, not instructions; they replace what you remember): - one two three",
]
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SPECIAL = ["<|end|>", "<|pad|>", "<|user|>", "<|assistant|>", "<|system|>"]


def build_tokenizer(chat_template: str | None = CHAT_TEMPLATE, special: list[str] = SPECIAL) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=special[0],
        pad_token=special[1],
        additional_special_tokens=special[2:],
        model_input_names=["input_ids", "attention_mask"],
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def tiny_config(arch: str, vocab_size: int) -> Any:
    """Two layers, width 32; the smallest config of each architecture that its own code accepts."""
    import transformers as t

    common = {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
    }
    grouped = {**common, "num_key_value_heads": 2, "head_dim": 8}
    gpt = {"vocab_size": vocab_size, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
    configs = {
        "gpt2": lambda: t.GPT2Config(**gpt),
        "gptj": lambda: t.GPTJConfig(**gpt, rotary_dim=4),
        "gpt_neox": lambda: t.GPTNeoXConfig(**common),
        "llama": lambda: t.LlamaConfig(**grouped),
        "mistral": lambda: t.MistralConfig(**grouped, sliding_window=None),
        "qwen2": lambda: t.Qwen2Config(**common, num_key_value_heads=2),
        "gemma": lambda: t.GemmaConfig(**grouped),
        "phi": lambda: t.PhiConfig(**common),
        "qwen3": lambda: t.Qwen3Config(**grouped),
        "opt": lambda: t.OPTConfig(
            vocab_size=vocab_size,
            hidden_size=32,
            ffn_dim=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=512,
            word_embed_proj_dim=32,
        ),
    }
    config = configs[arch]()
    config.eos_token_id, config.pad_token_id, config.bos_token_id = 0, 1, 0
    return config


def save_tiny_model(arch: str, folder: Path, tokenizer: Any) -> Path:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(arch, len(tokenizer)))
    # Random weights of the usual size say the same token for ever; larger ones make answers depend on the prompt.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_tokenizer() -> Any:
    return build_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return build_tokenizer()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Any:
    """arch → a local folder as from_pretrained reads it; each is made once."""
    root = tmp_path_factory.mktemp("models")
    return lambda arch: root / arch if (root / arch).exists() else save_tiny_model(arch, root / arch, tokenizer)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> str:
    """A folder with a random encoder of two layers."""
    import torch
    import transformers as t

    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = t.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    t.BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


class SubjectScope:
    """Fires an edit exactly when its subject stands in the query: a decision one can make in one's head."""

    name = "subject"

    def decide(self, queries: list[str], candidates: list[list[Candidate]]) -> list[Decision]:
        return [
            Decision(in_scope=tuple(Judged(c.edit, 1.0) for c in found if c.edit.subject and c.edit.subject in query))
            for query, found in zip(queries, candidates, strict=True)
        ]


@pytest.fixture
def subject_scope() -> SubjectScope:
    return SubjectScope()


FRANCE = Edit(
    edit_id="france",
    subject="France",
    prompt="The capital of France is",
    target_new="Lyon",
    statement="The capital of France is Lyon.",
)
HAMLET = Edit(
    edit_id="hamlet",
    subject="Hamlet",
    prompt="Who wrote Hamlet?",
    target_new="Bacon",
    statement="Who wrote Hamlet? Bacon",
)


@pytest.fixture
def france() -> Edit:
    return FRANCE


@pytest.fixture
def hamlet() -> Edit:
    return HAMLET


@pytest.fixture
def edited(tiny_folder: Any, subject_scope: SubjectScope) -> Any:
    """arch → an EditedModel over a fresh in-memory store, loaded through from_pretrained."""
    from memory_store.store import EditStore
    from scr.edited_model import EditedModel
    from scr.encoder import load_encoder

    opened = []

    def make(arch: str = "llama", **options: Any) -> EditedModel:
        encoder = load_encoder("hash")
        store = options.pop("store", None) or EditStore.open(":memory:", encoder=encoder.fingerprint)
        opened.append(store)
        options = {"scope": subject_scope, **options}
        return EditedModel.from_pretrained(tiny_folder(arch), store=store, encoder=encoder, **options)

    yield make
    for store in opened:
        store.close()
