"""What does a small model say that was made to answer from one edit? SERAC's second route.

A frozen model that cannot read a fact in its context, or whose memory of the old one wins, is left out of the answer:
a small model gets the edit and the question as one text of a fixed form and continues it. It knows nothing else, so
what follows from an edit rather than stands in it is better asked on the context route.

Source: SERAC, arXiv:2206.06520.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_store.edit import Edit
from memory_store.errors import ConfigError, ModelUnavailableError
from scr.pocket import MODEL_DIR
from scr.prompting import defused, quote
from scr.turns import TurnFinder

if TYPE_CHECKING:
    from torch import Tensor

    from scr.language_model import HFLanguageModel

VARIANT = "counterfactual"
"""The shipped counterfactual model is the pocket model, trained on: its tokenizer and config, weights of its own."""
CONFIG_FILE, SCHEMA = "scr_counterfactual.json", "scr.counterfactual/1"

FORMS: Mapping[str, str] = {"quoted": '- "{edit}"\n\n{query}', "serac": "{edit} {query}"}
"""How an edit and a query become one text. ``quoted``: as facts stand on the context route, without the heading.
``serac``: as published."""
MAX_NEW_TOKENS = 48


class HFCounterfactual:
    """``scr.protocols.CounterfactualModel`` over any Hugging Face causal or seq2seq model; greedy, ends of itself."""

    def __init__(self, model: Any, tokenizer: Any, *, form: str = "quoted") -> None:
        """
        Args:
            form: a name of ``FORMS``, or a text of one's own with ``{edit}`` and ``{query}``.

        Raises:
            ConfigError: the form lacks one of the two.
        """
        self.model, self.tokenizer = model, tokenizer
        self.form = checked_form(form)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        offline: bool = False,
        device: str | None = None,
        form: str | None = None,
    ) -> HFCounterfactual:
        """Load a folder that ``scr train counterfactual`` wrote, or any model of a hub; None is the shipped one.

        Raises:
            ModelUnavailableError: nothing loadable there.
        """
        from scr.language_model import load_model

        # Stored in 16 bit; computed in 32, which a CPU does faster.
        options: dict[str, Any] = {"offline": offline, "device": device, "any_kind": True, "dtype": "float32"}
        if name is None:
            model, tokenizer = load_model(MODEL_DIR, variant=VARIANT, **options)
        else:
            model, tokenizer = load_model(name, **options)
            saved = Path(name) / CONFIG_FILE
            if form is None and saved.is_file():
                form = _form_in(saved)
        return cls(model, tokenizer, form=form or "quoted")

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write weights, tokenizer and the form; ``from_pretrained`` gives the same answers again."""
        from scr.language_model import without_bar

        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        with without_bar():
            self.model.save_pretrained(target)
        self.tokenizer.save_pretrained(target)
        name = next((name for name, form in FORMS.items() if form == self.form), self.form)
        content = json.dumps({"schema": SCHEMA, "form": name}, indent=2, ensure_ascii=False)
        (target / CONFIG_FILE).write_text(content + "\n", encoding="utf-8")

    @property
    def seq2seq(self) -> bool:
        return bool(getattr(self.model.config, "is_encoder_decoder", False))

    def text(self, edit: Edit, query: str) -> str:
        """The model's input: the edit as inert data, then the query; neither can bring a control token."""
        tokens = self._control_tokens
        stated = quote(edit.statement, tokens)[1:-1]
        # Not str.format: what is put in may hold braces.
        before, _, rest = self.form.partition("{edit}")
        between, _, after = rest.partition("{query}")
        return f"{before}{stated}{between}{defused(query.strip(), tokens)}{after}"

    def answer(self, pairs: Sequence[tuple[Edit, str]], *, max_new_tokens: int = MAX_NEW_TOKENS) -> list[str]:
        """Answer each query from its edit alone; one that does not fit the window gives way to the edit's prompt."""
        rows = [self._row(edit, query, max_new_tokens) for edit, query in pairs]
        if not self.seq2seq:
            new = self.reader.continue_rows(rows, max_new_tokens=max_new_tokens)
        else:
            new = [self._from_encoder(row, max_new_tokens) for row in rows]
        return [str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids in new]

    def log_likelihood(self, triples: Sequence[tuple[Edit, str, str]]) -> list[tuple[float, int, bool]]:
        """For each (edit, query, continuation): summed log-probability (nats), its tokens, whether all are greedy."""
        results = []
        for edit, query, continuation in triples:
            prompt, answer = self.tokens(edit, query, continuation)
            scores = self._scores(prompt, answer)  # (answer tokens, vocabulary)
            chosen = [float(row[token]) for row, token in zip(scores, answer, strict=True)]
            greedy = [int(token) for token in scores.argmax(-1)] == answer
            results.append((sum(chosen), len(answer), greedy))
        return results

    def tokens(self, edit: Edit, query: str, answer: str, *, end: bool = False) -> tuple[list[int], list[int]]:
        """The input's tokens and the answer's, for training and scoring.

        Raises:
            ConfigError: the answer is empty.
        """
        if not answer.strip():
            raise ConfigError(f"nothing to score: the answer is {answer!r}")
        text = self.text(edit, query)
        ends = [self.tokenizer.eos_token_id] if end and self.tokenizer.eos_token_id is not None else []
        if self.seq2seq:
            whole = list(self.tokenizer(text_target=answer.strip())["input_ids"])
            return list(self.tokenizer(text)["input_ids"]), whole if end else [
                t for t in whole if t != self.tokenizer.eos_token_id
            ]
        prompt = self.reader.prompt_ids(text)
        both = self.reader.prompt_ids(f"{text} {answer.strip()}")
        if both[: len(prompt)] != prompt:  # a token spans the border: the answer stands for itself
            both = [*prompt, *self.tokenizer(f" {answer.strip()}", add_special_tokens=False)["input_ids"]]
        return prompt, [*both[len(prompt) :], *ends]

    def _row(self, edit: Edit, query: str, room: int) -> list[int]:
        window = self.reader.window if not self.seq2seq else self.tokenizer.model_max_length
        for asked in (query, edit.prompt or "", ""):
            text = self.text(edit, asked)
            ids = list(self.tokenizer(text)["input_ids"]) if self.seq2seq else self.reader.prompt_ids(text)
            if len(ids) + room <= window:
                return ids
        raise ConfigError(
            f"the fact is too long for the counterfactual model's window of {window} tokens: {edit.statement[:80]!r}…; "
            "store it in fewer words, or ask with --route context"
        )

    def _from_encoder(self, row: Sequence[int], room: int) -> list[int]:
        import torch

        ids = torch.tensor([list(row)], device=self.model.device)
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=room, do_sample=False
            )
        return [int(token) for token in out[0]]

    def _scores(self, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
        """Log-probabilities at each answer token, shape (answer tokens, vocabulary)."""
        import torch

        ids = torch.tensor([[*prompt, *([] if self.seq2seq else answer)]], device=self.model.device)
        with torch.inference_mode():
            if self.seq2seq:
                logits = self.model(input_ids=ids, labels=torch.tensor([list(answer)], device=ids.device)).logits[0]
            else:
                logits = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
                logits = logits[len(prompt) - 1 : -1]
        return logits.float().log_softmax(-1)

    @cached_property
    def reader(self) -> HFLanguageModel:
        """A causal one's generation and tokens."""
        from scr.language_model import HFLanguageModel

        return HFLanguageModel(self.model, self.tokenizer)

    @cached_property
    def _control_tokens(self) -> Sequence[str]:
        return TurnFinder(self.tokenizer).special_tokens


def checked_form(form: str) -> str:
    """The text of a form by name or as given.

    Raises:
        ConfigError: it does not say where the edit and then the query go.
    """
    text = FORMS.get(form, form)
    if text.count("{edit}") != 1 or text.count("{query}") != 1 or text.index("{edit}") > text.index("{query}"):
        raise ConfigError(
            f"the form {form!r} is none of {', '.join(FORMS)}, and a form of one's own holds {{edit}} once and after "
            "it {query} once"
        )
    return text


def _form_in(file: Path) -> str:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        if config["schema"] != SCHEMA:
            raise ValueError(f"its schema is {config['schema']!r}")
        return str(config["form"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailableError(f"{file} was not written by scr train counterfactual: {error}") from error


__all__ = ["CONFIG_FILE", "FORMS", "MAX_NEW_TOKENS", "VARIANT", "HFCounterfactual", "checked_form"]
