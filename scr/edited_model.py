"""How does an edit change what a Hugging Face model generates? Row by row, and not at all where no edit governs.

``EditedModel`` stands in front of a frozen model. For each row of a call it asks the editor for a decision. No row in
scope: the caller's own call goes through, argument for argument. Otherwise the rows out of scope run together as the
caller sent them, and each row in scope runs with its facts put in front of its question. What comes back begins with
the caller's own tokens; the facts' tokens never appear.
"""

import contextlib
import json
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

from memory_store.edit import DEFAULT_NAMESPACE, Edit, PutResult
from memory_store.errors import ConfigError, ModelUnavailableError
from memory_store.store import EditStore
from scr.build import build_editor
from scr.config import Settings
from scr.editor import Message, RetrievalEditor, Rewrite, last_user_turn
from scr.facts import read_fact
from scr.language_model import HFLanguageModel, end_token_ids, load_model, pad_token_id
from scr.prompting import facts_block
from scr.protocols import Answer, Decision, Encoder, ScopeClassifier
from scr.turns import Turn, TurnFinder

logger = logging.getLogger("scr")

CONFIG_FILE, STORE_FILE = "scr_config.json", "facts.scr"
MAX_NEW_TOKENS = 64


@dataclass(frozen=True, slots=True)
class _View:
    """Which edits the calls of this thread or task see."""

    enabled: bool = True
    namespace: str | None = None
    as_of: str | None = None


_EVERYTHING = _View()


class EditedModel:
    """A frozen causal LM that answers from an edit memory where an edit governs the question.

    Guarantee: no row in scope → the wrapped model gets the caller's call, bit for bit.
    Implements ``scr.protocols.Editor``. The wrapped model is never changed; ``.model`` is the caller's own object.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        store: EditStore | str | os.PathLike[str] | None = None,
        encoder: Encoder | str | None = None,
        scope: ScopeClassifier | str = "pair",
        namespace: str = DEFAULT_NAMESPACE,
        editor: RetrievalEditor | None = None,
    ) -> None:
        """Wrap a model and tokenizer that the caller has.

        Args:
            store: an open store, or the path of one (made if absent); None keeps edits in memory only.
            encoder: an encoder or its name; None is all-MiniLM-L6-v2.
            scope: a decider, or ``pair``, ``cosine``, ``llm`` (this model confirms).
            editor: everything above in one, built elsewhere.
        """
        self.model = model
        self.tokenizer = tokenizer
        self.language_model = HFLanguageModel(model, tokenizer)
        if editor is None:
            settings = Settings.resolve(
                store=":memory:" if store is None or isinstance(store, EditStore) else os.fspath(store),
                namespace=namespace,
                encoder=encoder if isinstance(encoder, str) else None,
                scope=scope if isinstance(scope, str) else None,
            )
            editor = build_editor(
                settings,
                store=store if isinstance(store, EditStore) else None,
                encoder=None if isinstance(encoder, str) else encoder,
                scope=None if isinstance(scope, str) else scope,
                model=self.language_model,
            )
        editor.model = self.language_model
        self.editor = editor
        self._turns = TurnFinder(tokenizer)
        self._view: ContextVar[_View] = ContextVar("view", default=_EVERYTHING)
        self._warned_embeds = False

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] | None = None,
        *,
        store: EditStore | str | os.PathLike[str] | None = None,
        encoder: Encoder | str | None = None,
        scope: ScopeClassifier | str = "pair",
        namespace: str = DEFAULT_NAMESPACE,
        offline: bool = False,
        **model_options: Any,
    ) -> "EditedModel":
        """Load a model (None: the built-in one) and wrap it; ``model_options`` such as ``device_map`` are passed on.

        A folder written by ``save_pretrained`` brings its store, and the name of the model it belongs to.

        Raises:
            ModelUnavailableError: nothing loadable there.
            EncoderMismatchError: the store was filled by another encoder.
        """
        saved = Path(name_or_path) / CONFIG_FILE if name_or_path is not None else None
        if saved is not None and saved.is_file():
            config = _read_config(saved)
            name_or_path = config["model"]
            store = store if store is not None else saved.parent / STORE_FILE
            encoder = encoder if encoder is not None else config["encoder"]
            namespace = namespace if namespace != DEFAULT_NAMESPACE else config["namespace"]
        model, tokenizer = load_model(name_or_path, offline=offline, **model_options)
        return cls(model, tokenizer, store=store, encoder=encoder, scope=scope, namespace=namespace)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the store and a small config; the model's weights are not ours to copy, its name is kept."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        self.store.backup(target / STORE_FILE)
        config = {
            "schema": "scr.config/1",
            "model": self.name or None,
            "encoder": getattr(self.editor.encoder, "name", None),
            "namespace": self.editor.namespace,
        }
        temporary = target / (CONFIG_FILE + ".tmp")
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, target / CONFIG_FILE)

    @property
    def name(self) -> str:
        """The wrapped model's name or folder; ``pocket`` for the built-in one."""
        from scr.pocket import MODEL_DIR

        name = str(getattr(self.model.config, "_name_or_path", ""))
        return "pocket" if name == str(MODEL_DIR) else name

    @property
    def store(self) -> EditStore:
        return self.editor.store

    @property
    def device(self) -> Any:
        return self.model.device

    # --- editing -----------------------------------------------------------------------------------------------

    @overload
    def edit(self, facts: str | Edit, **fields: Any) -> PutResult: ...
    @overload
    def edit(self, facts: Sequence[str | Edit], **fields: Any) -> list[PutResult]: ...
    @overload
    def edit(self, facts: None = None, *, question: str, answer: str, **fields: Any) -> PutResult: ...
    def edit(self, facts: str | Edit | Sequence[str | Edit] | None = None, **fields: Any) -> Any:
        """Add facts: a sentence, an Edit, a list of either, or ``question=`` with ``answer=``.

        One call is one batch and one transaction. ``fields`` (``subject``, ``aliases``, ``source``, …) go to
        ``scr.facts.read_fact`` for sentences.
        """
        single = facts is None or isinstance(facts, str | Edit)
        namespace = fields.pop("namespace", None) or self._namespace()
        items: list[Any] = [facts] if single else list(facts)  # type: ignore[arg-type]
        edits = [
            replace(item, namespace=namespace if item.namespace == DEFAULT_NAMESPACE else item.namespace)
            if isinstance(item, Edit)
            else read_fact(item, namespace=namespace, **fields).edit
            for item in items
        ]
        results = self.editor.edit(edits)
        return results[0] if single else results

    def forget(self, edit_ids: str | Sequence[str]) -> None:
        """Close edits; they stay in the history until a purge.

        Raises:
            EditNotFoundError: an id is not live in this namespace; then nothing is forgotten.
        """
        ids = [edit_ids] if isinstance(edit_ids, str) else list(edit_ids)
        self.editor.forget(ids, namespace=self._namespace())

    # --- which edits a call sees -------------------------------------------------------------------------------

    def edits_disabled(self) -> contextlib.AbstractContextManager[None]:
        """Inside, the model answers as if the memory were empty."""
        return self._seeing(enabled=False)

    def as_of(self, instant: str) -> contextlib.AbstractContextManager[None]:
        """Inside, the edits valid at ``instant`` (ISO 8601) govern."""
        return self._seeing(as_of=instant)

    def namespace(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Inside, the edits of namespace ``name`` govern, and no others."""
        return self._seeing(namespace=name)

    @contextlib.contextmanager
    def _seeing(self, **change: Any) -> Iterator[None]:
        token = self._view.set(replace(self._view.get(), **change))
        try:
            yield
        finally:
            self._view.reset(token)

    def _namespace(self) -> str:
        return self._view.get().namespace or self.editor.namespace

    def decide(self, queries: Sequence[str]) -> list[Decision]:
        """Which edits govern each query, as this thread sees the memory now."""
        view = self._view.get()
        if not view.enabled:
            return [Decision() for _ in queries]
        return self.editor.decide(queries, namespace=self._namespace(), as_of=view.as_of)

    def rewrite(
        self, messages: Sequence[Message], *, namespace: str | None = None, as_of: str | None = None
    ) -> Rewrite:
        """The same decision for a model that runs elsewhere; see ``RetrievalEditor.rewrite``."""
        view = self._view.get()
        if not view.enabled:
            return Rewrite(messages, "base")
        return self.editor.rewrite(messages, namespace=namespace or self._namespace(), as_of=as_of or view.as_of)

    # --- answering ---------------------------------------------------------------------------------------------

    @overload
    def ask(self, questions: str, **options: Any) -> Answer: ...
    @overload
    def ask(self, questions: Sequence[str], **options: Any) -> list[Answer]: ...
    def ask(self, questions: str | Sequence[str], **options: Any) -> Answer | list[Answer]:
        """Answer one question or several, each on its own: as a user turn where there is a chat template.

        Greedy, at most 64 new tokens, unless ``options`` (those of ``generate``) say otherwise. A model without a
        chat template continues the text, and its answer is the first line.
        """
        if isinstance(questions, str):
            return self._answer([self.question_ids(questions)], [questions], options)[0]
        return self._answer([self.question_ids(q) for q in questions], list(questions), options)

    @overload
    def chat(self, messages: Sequence[Message], *, stream: Literal[False] = False, **options: Any) -> Answer: ...
    @overload
    def chat(self, messages: Sequence[Message], *, stream: Literal[True], **options: Any) -> "AnswerStream": ...
    def chat(self, messages: Sequence[Message], *, stream: bool = False, **options: Any) -> "Answer | AnswerStream":
        """Answer a conversation's last user turn; ``stream=True`` yields the text as it comes.

        Raises:
            ConfigError: the tokenizer has no chat template, or there is no user turn.
        """
        _, query = last_user_turn(messages)
        row = self._conversation_row(messages)
        if not stream:
            return self._answer([row], [query], options)[0]
        (decision,), decide_ms = self._timed_decide([query])
        return AnswerStream(self, row, decision, decide_ms, options)

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        """Teacher-forced score of each (prompt, continuation), raw text: (log-probability, tokens, all greedy)."""
        if not self._view.get().enabled:
            return self.language_model.log_likelihood(pairs)
        blocks = [facts_block(_statements(d), self._turns.special_tokens) for d in self.decide([p for p, _ in pairs])]
        shown = [(block + prompt, text) for block, (prompt, text) in zip(blocks, pairs, strict=True)]
        return self.language_model.log_likelihood(shown)

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        return self.ask(list(prompts))

    def __enter__(self) -> "EditedModel":
        return self

    def __exit__(self, *exc: object) -> None:
        """Forget what was added through this object's editor."""
        self.editor.__exit__(*exc)

    def _answer(self, rows: list[list[int]], queries: list[str], options: Mapping[str, Any]) -> list[Answer]:
        decisions, decide_ms = self._timed_decide(queries)
        shown = [self._shown(row, decision) for row, decision in zip(rows, decisions, strict=True)]
        asked = [i for i, (_, route) in enumerate(shown) if route != "verbatim"]
        started = time.perf_counter()
        new = self.language_model.continue_rows([shown[i][0] for i in asked], **_with_limit(options))
        generate_ms = (time.perf_counter() - started) * 1e3 / max(len(asked), 1)
        texts = {i: self._text(ids) for i, ids in zip(asked, new, strict=True)}
        timings = {"decide": decide_ms, "generate": generate_ms}
        return [
            self.editor.to_answer(texts.get(i, ""), decision if shown[i][1] != "base" else _silent(decision), timings)
            for i, decision in enumerate(decisions)
        ]

    def _timed_decide(self, queries: Sequence[str]) -> tuple[list[Decision], float]:
        """Decisions, and milliseconds for each."""
        started = time.perf_counter()
        decisions = self.decide(queries)
        return decisions, (time.perf_counter() - started) * 1e3 / max(len(queries), 1)

    def _text(self, ids: Sequence[int]) -> str:
        text = str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()
        return text if self._chats else text.split("\n", 1)[0].strip()

    @property
    def _chats(self) -> bool:
        return bool(getattr(self.tokenizer, "chat_template", None))

    def question_ids(self, question: str) -> list[int]:
        """The tokens that ``ask`` sends for a question when no edit governs it."""
        if self._chats:
            return self._conversation_row([{"role": "user", "content": question}])
        return list(self.tokenizer(question)["input_ids"])

    def _conversation_row(self, messages: Sequence[Message]) -> list[int]:
        if not self._chats:
            raise ConfigError(f"the tokenizer of {self.name or 'this model'} has no chat template; use ask()")
        text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _shown(self, row: list[int], decision: Decision, turn: Turn | None = None) -> tuple[list[int], str]:
        """The row that the model reads, and the route; facts that do not fit its window are left out, last first."""
        if not decision.in_scope:
            return row, "base"
        if decision.in_scope[0].edit.verbatim:
            return row, "verbatim"
        turn = turn or self._turns.find(row)
        window = getattr(self.model.config, "max_position_embeddings", None) or 10**9
        statements = _statements(decision)
        while statements:
            block = facts_block(statements, self._turns.special_tokens)
            # Control tokens are never split off a fact's text, whatever it holds.
            ids = self.tokenizer(block, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            if len(row) + len(ids) < window:
                return [*row[: turn.insert_at], *ids, *row[turn.insert_at :]], "context"
            statements = statements[:-1]
        logger.warning("a fact governs this prompt but does not fit the model's window of %d tokens", window)
        return row, "base"

    # --- generate(): the caller's own tokens -------------------------------------------------------------------

    def generate(self, inputs: Any = None, generation_config: Any = None, **kwargs: Any) -> Any:
        """``model.generate`` with the edits that govern each row; every argument of it is taken and means the same.

        The question of a row is its last user turn where the row follows the chat template, else the row's text.
        A row of the result begins with the caller's row; lengths count the caller's tokens only.
        ``inputs_embeds`` cannot be read as text: such calls go to the model untouched, with one warning.
        """
        ids = inputs if inputs is not None else kwargs.get("input_ids")
        if kwargs.get("inputs_embeds") is not None:
            if not self._warned_embeds:
                self._warned_embeds = True
                warnings.warn("inputs_embeds cannot be read as text: no edit is applied to this call", stacklevel=2)
            ids = None
        if ids is None or not self._view.get().enabled or kwargs.get("past_key_values") is not None:
            return self.model.generate(inputs, generation_config, **kwargs)
        rows = self._rows(ids, kwargs.get("attention_mask"))
        turns = [self._turns.find(row) for row in rows]
        decisions = self.decide([turn.query for turn in turns])
        shown = [self._shown(r, d, t) for r, d, t in zip(rows, decisions, turns, strict=True)]
        silent = [i for i, (_, route) in enumerate(shown) if route == "base"]
        limits = self._limits(ids.shape[1], generation_config, kwargs)
        if len(silent) == len(rows) or limits is None:
            return self.model.generate(inputs, generation_config, **kwargs)
        call = _Call(self.model, ids, generation_config, kwargs, limits)
        return call.run(shown, silent, decisions, self._verbatim_ids, pad_token_id(self.model, self.tokenizer))

    def _verbatim_ids(self, decision: Decision) -> list[int]:
        text = decision.in_scope[0].edit.statement
        ids = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [*ids, *end_token_ids(self.model, self.tokenizer)[:1]]

    def _rows(self, ids: Any, mask: Any) -> list[list[int]]:
        """Each row without its padding: by the mask, else by the pad token where that is no end token (as HF does)."""
        if mask is not None and mask.shape == ids.shape:
            return [row[keep.bool()].tolist() for row, keep in zip(ids, mask, strict=True)]
        pad = pad_token_id(self.model, self.tokenizer)
        if pad is None or pad in end_token_ids(self.model, self.tokenizer):
            return [row.tolist() for row in ids]
        return [row[row != pad].tolist() for row in ids]

    def _limits(self, width: int, config: Any, kwargs: Mapping[str, Any]) -> dict[str, int] | None:
        """``max_length`` and ``min_length`` count the prompt: said again as new tokens. None: no room, HF's to say."""

        def setting(name: str) -> Any:
            for holder in (kwargs.get(name), getattr(config, name, None)):
                if holder is not None:
                    return holder
            return getattr(self.model.generation_config, name, None)

        limits = {}
        if setting("max_new_tokens") is None and setting("max_length") is not None:
            limits["max_new_tokens"] = int(setting("max_length")) - width
            if limits["max_new_tokens"] < 1:
                return None
        if setting("min_new_tokens") is None and (setting("min_length") or 0) > 0:
            limits["min_new_tokens"] = max(int(setting("min_length")) - width, 0)
        return limits


class _Call:
    """One ``generate`` call in which at least one row is in scope: split, run, and put together again."""

    def __init__(self, model: Any, ids: Any, config: Any, kwargs: Mapping[str, Any], limits: dict[str, int]) -> None:
        self.model = model
        self.ids = ids  # (rows, width)
        self.config = config
        self.kwargs = {k: v for k, v in kwargs.items() if k != "input_ids"}
        self.limits = limits
        returned = kwargs.get("num_return_sequences") or getattr(config, "num_return_sequences", None)
        self.returned = int(returned or getattr(model.generation_config, "num_return_sequences", None) or 1)

    def run(
        self,
        shown: list[tuple[list[int], str]],
        silent: list[int],
        decisions: list[Decision],
        verbatim_ids: Callable[[Decision], list[int]],
        pad: int | None,
    ) -> Any:
        """Rows out of scope first, so that sampling draws for them what the base run of those rows draws."""
        parts: list[tuple[list[int], Any, Any]] = []  # (rows, new tokens, the whole output)
        if silent:
            output = self.model.generate(self.ids[silent], self.config, **self._for_rows(silent))
            parts.append((silent, _sequences(output)[:, self.ids.shape[1] :], output))
        groups: dict[int, list[int]] = {}
        alone = any(self.kwargs.get(k) is not None for k in ("assistant_model", "streamer", "prompt_lookup_num_tokens"))
        for index, (row, route) in enumerate(shown):
            if route == "verbatim":
                new = self._verbatim(index, verbatim_ids(decisions[index]))
                parts.append(([index], new, None))
            elif route == "context":
                groups.setdefault(index if alone else -len(row), []).append(index)
        for rows in groups.values():
            output = self._in_scope(rows, [shown[i][0] for i in rows])
            parts.append((rows, _sequences(output)[:, len(shown[rows[0]][0]) :], output))
        return self._together(parts, pad)

    def _for_rows(self, rows: list[int]) -> dict[str, Any]:
        """The caller's keyword arguments for some of the rows: tensors that have one entry a row are cut."""
        count = self.ids.shape[0]
        cut = {
            k: v[rows] if hasattr(v, "shape") and len(v.shape) > 0 and v.shape[0] == count and k != "inputs" else v
            for k, v in self.kwargs.items()
        }
        allowed = cut.get("prefix_allowed_tokens_fn")
        if allowed is not None and rows != list(range(count)):
            cut["prefix_allowed_tokens_fn"] = lambda row, ids: allowed(rows[row], ids)
        return cut

    def _in_scope(self, rows: list[int], texts: list[list[int]]) -> Any:
        """Rows with their facts, all of one length, so that nothing is padded."""
        import torch

        ids = torch.tensor(texts, dtype=self.ids.dtype, device=self.ids.device)  # (rows, length)
        cut = self._for_rows(rows)
        for name in ("attention_mask", "position_ids", "token_type_ids", "cache_position"):
            cut.pop(name, None)
        if self.limits.get("max_new_tokens"):
            cut.pop("max_length", None)
        if "min_new_tokens" in self.limits:
            cut.pop("min_length", None)
        config = self.config
        if config is not None and self.limits:
            config = _copy_without_lengths(config, self.limits)
        seen = self.ids[rows]  # (rows, width): what the caller's own callables are shown in place of the facts
        length = ids.shape[1]
        for name, wrapper in (("logits_processor", _Processor), ("stopping_criteria", _Criterion)):
            if cut.get(name):
                cut[name] = type(cut[name])(wrapper(item, seen, length) for item in cut[name])
        if cut.get("prefix_allowed_tokens_fn") is not None:
            allowed = cut["prefix_allowed_tokens_fn"]
            cut["prefix_allowed_tokens_fn"] = lambda row, tokens: allowed(
                row, torch.cat([seen[row].to(tokens.device), tokens[length:]])
            )
        if cut.get("streamer") is not None:
            cut["streamer"] = _PromptSwap(cut["streamer"], seen)
        return self.model.generate(ids, config, attention_mask=torch.ones_like(ids), **{**cut, **self.limits})

    def _verbatim(self, index: int, ids: list[int]) -> Any:
        import torch

        limit = self.kwargs.get("max_new_tokens") or getattr(self.config, "max_new_tokens", None)
        limit = limit or self.limits.get("max_new_tokens") or len(ids)
        new = torch.tensor([ids[:limit]] * self.returned, dtype=self.ids.dtype, device=self.ids.device)
        streamer = self.kwargs.get("streamer")
        if streamer is not None:
            streamer.put(self.ids[[index]].cpu())
            for token in new[0]:
                streamer.put(token[None].cpu())
            streamer.end()
        return new

    def _together(self, parts: list[tuple[list[int], Any, Any]], pad: int | None) -> Any:
        import torch

        width = max(new.shape[1] for _, new, _ in parts)
        total = self.ids.shape[0] * self.returned
        new_tokens = torch.full((total, width), pad or 0, dtype=self.ids.dtype, device=self.ids.device)
        for rows, new, _ in parts:
            where = [r * self.returned + s for r in rows for s in range(self.returned)]
            new_tokens[where, : new.shape[1]] = new.to(new_tokens.device)
        sequences = torch.cat([self.ids.repeat_interleave(self.returned, dim=0), new_tokens], dim=1)
        outputs = [output for _, _, output in parts if output is not None]
        if not outputs or not hasattr(outputs[0], "sequences"):
            wants_dict = self.kwargs.get("return_dict_in_generate") or getattr(
                self.config, "return_dict_in_generate", False
            )
            if not wants_dict:
                return sequences
            from transformers.generation.utils import GenerateDecoderOnlyOutput

            return GenerateDecoderOnlyOutput(sequences=sequences)
        merged = outputs[0]
        merged.sequences = sequences
        if len(parts) == 1:
            return merged
        # Several runs: what has one row a sequence is put together, what has not is left out rather than wrong.
        for name in list(merged.keys()):
            if name == "sequences":
                continue
            values = [getattr(output, name, None) if output is not None else None for _, _, output in parts]
            merged[name] = self._merge(name, values, parts, total)
        return merged

    def _merge(self, name: str, values: list[Any], parts: list[tuple[list[int], Any, Any]], total: int) -> Any:
        import torch

        if name == "sequences_scores":
            rows_and_values = list(zip(parts, values, strict=True))
            out = torch.full((total,), float("nan"))
            for (rows, _, _), value in rows_and_values:
                if value is not None:
                    out[[r * self.returned + s for r in rows for s in range(self.returned)]] = value.float().cpu()
            return out.to(self.ids.device)
        one_a_row = all(
            v is None or (isinstance(v, tuple) and v and v[0].shape[0] == len(rows) * self.returned)
            for v, (rows, _, _) in zip(values, parts, strict=True)
        )
        if name not in ("scores", "logits") or not one_a_row:
            return None
        steps = max(len(v) for v in values if v is not None)
        vocabulary = next(v for v in values if v is not None)[0].shape[-1]
        merged = [torch.full((total, vocabulary), float("nan"), device=self.ids.device) for _ in range(steps)]
        for value, (rows, _, _) in zip(values, parts, strict=True):
            where = [r * self.returned + s for r in rows for s in range(self.returned)]
            for step, scores in enumerate(value or ()):
                merged[step][where] = scores.float().to(self.ids.device)
        return tuple(merged)


class _SeesCallersPrompt:
    """Stands before a caller's own callable, which is to see its own prompt and never the facts."""

    def __init__(self, inner: Any, seen: Any, length: int) -> None:
        self.inner, self.seen, self.length = inner, seen, length

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def swapped(self, input_ids: Any) -> Any:
        import torch

        seen = self.seen.repeat_interleave(input_ids.shape[0] // self.seen.shape[0], dim=0).to(input_ids.device)
        return torch.cat([seen, input_ids[:, self.length :]], dim=1)


class _Processor(_SeesCallersPrompt):
    # transformers counts the parameters, so there is no **kwargs here.
    def __call__(self, input_ids: Any, scores: Any) -> Any:
        return self.inner(self.swapped(input_ids), scores)


class _Criterion(_SeesCallersPrompt):
    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return self.inner(self.swapped(input_ids), scores, **kwargs)


class _PromptSwap:
    """A caller's streamer that is given the caller's prompt in place of the one with the facts."""

    def __init__(self, inner: Any, seen: Any) -> None:
        self.inner, self.seen, self.started = inner, seen, False

    def put(self, value: Any) -> None:
        self.inner.put(value if self.started else self.seen.cpu())
        self.started = True

    def end(self) -> None:
        self.inner.end()


class AnswerStream:
    """The text of an answer, piece by piece as the model writes it; ``answer`` is whole once it is read to its end."""

    def __init__(
        self,
        edited: EditedModel,
        row: list[int],
        decision: Decision,
        decide_ms: float,
        options: Mapping[str, Any],
    ) -> None:
        self._edited, self._row, self._decision = edited, row, decision
        self._decide_ms, self._options = decide_ms, options
        self.answer: Answer | None = None

    def __iter__(self) -> Iterator[str]:
        from transformers import TextIteratorStreamer

        edited, started = self._edited, time.perf_counter()
        row, route = edited._shown(self._row, self._decision)
        decision = self._decision if route != "base" else _silent(self._decision)
        pieces: list[str] = []
        if route != "verbatim":
            streamer = TextIteratorStreamer(edited.tokenizer, skip_prompt=True, skip_special_tokens=True)
            failure: list[BaseException] = []

            def work() -> None:
                try:
                    edited.language_model.continue_rows([row], streamer=streamer, **_with_limit(self._options))
                except BaseException as error:  # raised again below, in the reader's thread
                    failure.append(error)
                    streamer.end()

            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            for piece in streamer:
                pieces.append(piece)
                yield piece
            thread.join()
            if failure:
                raise failure[0]
        timings = {"decide": self._decide_ms, "generate": (time.perf_counter() - started) * 1e3}
        self.answer = edited.editor.to_answer("".join(pieces).strip(), decision, timings)
        if route == "verbatim":
            yield self.answer.text


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["schema"] != "scr.config/1":
            raise ModelUnavailableError(f"{path} has schema {config['schema']!r}; this version reads scr.config/1")
        return {"model": config["model"], "encoder": config["encoder"], "namespace": config["namespace"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailableError(f"{path} is not a config written by save_pretrained(): {error}") from error


def _statements(decision: Decision) -> list[str]:
    return [judged.edit.statement for judged in decision.in_scope]


def _silent(decision: Decision) -> Decision:
    """A decision whose facts could not be shown: nothing was used."""
    return replace(decision, in_scope=(), near_misses=decision.in_scope + decision.near_misses)


def _with_limit(options: Mapping[str, Any]) -> dict[str, Any]:
    if any(options.get(k) is not None for k in ("max_new_tokens", "max_length", "generation_config")):
        return dict(options)
    return {"max_new_tokens": MAX_NEW_TOKENS, **options}


def _sequences(output: Any) -> Any:
    return getattr(output, "sequences", output)


def _copy_without_lengths(config: Any, limits: Mapping[str, int]) -> Any:
    """The caller's GenerationConfig with the lengths that count the prompt taken out."""
    import copy

    config = copy.deepcopy(config)
    if "max_new_tokens" in limits:
        config.max_length = None
    if "min_new_tokens" in limits:
        config.min_length = None
    return config
