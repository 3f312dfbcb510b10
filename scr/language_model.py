"""How is a Hugging Face causal LM loaded, and asked? The only file that loads model weights."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from memory_store.errors import ConfigError, ModelUnavailableError
from scr.hub import in_reach, needs_hub
from scr.pocket import MODEL_DIR

logger = logging.getLogger("scr")


def load_model(
    name: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    device: str | None = None,
    any_kind: bool = False,
    **options: Any,
) -> tuple[Any, Any]:
    """Load a causal LM and its tokenizer, ready for inference.

    Args:
        name: Hugging Face name or local folder; None is the built-in pocket model.
        offline: only files that are on this machine.
        device: moved there after loading, unless ``options`` hold a ``device_map``.
        any_kind: an encoder-decoder model too, where the config says that it is one.
        options: passed on to ``AutoModelForCausalLM.from_pretrained`` (``dtype``, ``device_map``, ``revision``, …).

    Raises:
        ModelUnavailableError: nothing loadable there; says where it looked and what to type next.
    """
    where = os.fspath(name) if name is not None else str(MODEL_DIR)
    local = Path(where).expanduser()
    if local.is_dir():
        where = str(local)
        if not (local / "config.json").is_file():
            raise ModelUnavailableError(
                f"{where} holds no config.json; give a folder written by save_pretrained(), or leave -m out"
            )
    elif where.startswith((".", "/", "~")) or where.count("/") > 1:
        raise ModelUnavailableError(f"no model folder at {where}; check -m/--model or SCR_MODEL")
    elif not where.strip():
        raise ConfigError("the model's name is empty; give a Hugging Face name or a folder, or leave -m out")
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    offline = bool(options.pop("local_files_only", offline)) or (needs_hub(where, "hash") and not in_reach())
    shared = {
        k: options[k] for k in ("revision", "token", "cache_dir", "subfolder", "trust_remote_code") if k in options
    }
    if name is None:
        # Stored in 16 bit; computed in 32, which a CPU does faster and which keeps its published figures.
        options.setdefault("dtype", "float32")
    try:
        with without_bar():
            tokenizer = AutoTokenizer.from_pretrained(where, local_files_only=offline, **shared)
            kind = AutoModelForCausalLM
            if any_kind and AutoConfig.from_pretrained(where, local_files_only=offline, **shared).is_encoder_decoder:
                kind = AutoModelForSeq2SeqLM
            model = kind.from_pretrained(where, local_files_only=offline, **options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if local.is_dir():
            raise ModelUnavailableError(f"cannot load the model in {where}: {reason}") from error
        raise ModelUnavailableError(
            f"cannot load model {where!r} ({reason}); check the name, or fetch it where there is a network with "
            f"`hf download {where}`, or give a local folder with -m"
        ) from error
    if device is not None and "device_map" not in options:
        try:
            model = model.to(device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(f"cannot use device {device!r} ({reason}); try cpu, or leave SCR_DEVICE out") from error
    return model.eval(), tokenizer


@contextlib.contextmanager
def without_bar() -> Iterator[None]:
    """Keep the loader's progress bar off stderr; ours stand where more than two seconds pass."""
    from transformers.utils import logging as hf_logging

    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()


class HFLanguageModel:
    """``scr.protocols.LanguageModel`` over raw text: no chat template, greedy, tokens as the tokenizer gives them."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        if getattr(model.config, "is_encoder_decoder", False):
            raise ConfigError(f"{type(model).__name__} is an encoder-decoder model; give a causal language model")
        self.model = model
        self.tokenizer = tokenizer

    @cached_property
    def fingerprint(self) -> str:
        """Names this model's weights and how it is asked: another model, or an upgraded one, has another."""
        return fingerprint_of(self.model, str(getattr(self.tokenizer, "chat_template", None) or ""))

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        """Greedy continuations, cut before the first of ``stop``; without the prompts and special tokens."""
        rows = [self.prompt_ids(p) for p in prompts]
        texts = []
        for ids in self.continue_rows(rows, max_new_tokens=max_new_tokens):
            text = self.tokenizer.decode(ids, skip_special_tokens=True)
            ends = [at for s in stop if (at := text.find(s)) >= 0]
            texts.append(text[: min(ends)] if ends else text)
        return texts

    def continue_rows(self, rows: Sequence[Sequence[int]], **options: Any) -> list[list[int]]:
        """New token ids after each row, up to and without the end token.

        Rows of one length run together and nothing is padded, so that a row's answer does not depend on its company.
        ``options`` go to ``model.generate``; greedy unless they say otherwise.
        """
        import torch

        by_length: dict[int, list[int]] = {}
        for index, row in enumerate(rows):
            by_length.setdefault(len(row), []).append(index)
        if options.get("generation_config") is None:
            options = {"do_sample": False, "pad_token_id": pad_token_id(self.model, self.tokenizer), **options}
        ends = end_token_ids(self.model, self.tokenizer)
        out: list[list[int]] = [[] for _ in rows]
        for length, members in sorted(by_length.items()):
            for start in range(0, len(members), 64):
                batch = members[start : start + 64]
                ids = torch.tensor([list(rows[i]) for i in batch], device=self.model.device)  # (batch, length)
                with torch.inference_mode():
                    sequences = self.model.generate(
                        input_ids=ids, attention_mask=torch.ones_like(ids), **options
                    )  # (batch, length + new)
                for index, new in zip(batch, sequences[:, length:].tolist(), strict=True):
                    stop_at = next((at for at, token in enumerate(new) if token in ends), len(new))
                    out[index] = new[:stop_at]
        return out

    def prompt_ids(self, text: str) -> list[int]:
        """``text`` as the start of something: with what the tokenizer puts before a text, without what it puts after.

        An empty text is the token that begins, or else ends, a text.
        """
        plain = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        whole = list(self.tokenizer(text)["input_ids"])
        for at in range(len(whole) - len(plain) + 1):
            if whole[at : at + len(plain)] == plain:
                plain = whole[: at + len(plain)]
                break
        if not plain:
            start = self.tokenizer.bos_token_id
            plain = [start] if start is not None else end_token_ids(self.model, self.tokenizer)[:1]
        if not plain:
            raise ConfigError("the prompt is empty and the tokenizer has no token that begins or ends a text")
        return plain

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        """Teacher-forced. The space between prompt and continuation belongs to the continuation.

        The pair is tokenised as one text; the continuation's tokens are those that the prompt alone does not have.

        Raises:
            ConfigError: a continuation is empty, or the pair is longer than the model's window.
        """
        import torch

        results = []
        for prompt, continuation in pairs:
            if not continuation.strip():
                raise ConfigError(f"nothing to score: the continuation is {continuation!r}")
            head = self.prompt_ids(prompt.rstrip())
            whole = self.prompt_ids(prompt + continuation)
            if not prompt.strip():
                whole = [*head, *whole[1:]] if whole[:1] == head else [*head, *whole]
            # A token may span the border; it is then scored whole.
            shared = next((i for i, (a, b) in enumerate(zip(head, whole, strict=False)) if a != b), len(head))
            if len(whole) > self.window:
                raise ConfigError(f"prompt and continuation are {len(whole)} tokens, the window is {self.window}")
            ids = torch.tensor([whole], device=self.model.device)
            with torch.inference_mode():
                logits = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]  # (tokens, vocab)
            wanted = ids[0, shared:]
            scores = logits[shared - 1 : -1].float().log_softmax(-1)  # (continuation, vocab)
            chosen = scores.gather(-1, wanted[:, None])[:, 0]
            greedy = bool((scores.argmax(-1) == wanted).all())
            results.append((float(chosen.double().sum()), len(wanted), greedy))
        return results

    @property
    def window(self) -> int:
        """The most tokens that the model reads; without a stated limit, more than any prompt has."""
        config = self.model.config
        text = config.get_text_config() if hasattr(config, "get_text_config") else config
        return int(getattr(text, "max_position_embeddings", None) or getattr(text, "n_positions", None) or 10**9)


SAMPLED = 64
"""Values of each weight matrix that enter a fingerprint."""


def fingerprint_of(model: Any, template: str = "") -> str:
    """A hash of every parameter's name, shape and 64 of its values, evenly spread, and of the chat template.

    A training step moves nearly every value, so it shows; reading all of a large model's would take minutes.
    """
    digest = hashlib.sha256(template.encode())
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        if parameter.device.type != "meta":  # offloaded elsewhere: its name and shape have to do
            flat = parameter.detach().reshape(-1)
            values = flat[:: max(1, flat.numel() // SAMPLED)][:SAMPLED]
            digest.update(repr(values.float().cpu().tolist()).encode())
    return digest.hexdigest()[:32]


def pad_token_id(model: Any, tokenizer: Any) -> int | None:
    """What fills a finished row: the caller's own setting, else the tokenizer's, else the end token."""
    config = getattr(model, "generation_config", None)
    for value in (getattr(config, "pad_token_id", None), tokenizer.pad_token_id, *end_token_ids(model, tokenizer)):
        if value is not None:
            return int(value)
    return None


def end_token_ids(model: Any, tokenizer: Any) -> list[int]:
    """Every token that ends an answer: the generation config may name several."""
    config = getattr(model, "generation_config", None)
    ends = getattr(config, "eos_token_id", None)
    if ends is None:
        ends = tokenizer.eos_token_id
    return [] if ends is None else [int(e) for e in (ends if isinstance(ends, list) else [ends])]
