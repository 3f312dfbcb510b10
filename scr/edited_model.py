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

from memory_store.corrections import Correction
from memory_store.edit import DEFAULT_NAMESPACE, Edit, PutResult
from memory_store.errors import ConfigError, EditNotFoundError, ModelUnavailableError
from memory_store.store import EditStore
from scr.build import build_editor
from scr.chain import Ask, at_once
from scr.config import Settings
from scr.contradiction import OnConflict
from scr.editor import (
    HOP_TOKENS,
    Decompose,
    Message,
    RetrievalEditor,
    Rewrite,
    is_verbatim,
    together,
    user_turns,
    with_block,
    without_said,
)
from scr.facts import read_fact
from scr.generation import Shown, SplitCall
from scr.language_model import HFLanguageModel, end_token_ids, load_model, pad_token_id
from scr.prior import SHORT, Prior, best_candidate, continued_against
from scr.prompting import defused, facts_block
from scr.protocols import Answer, CounterfactualModel, Decision, Encoder, ScopeClassifier
from scr.routing import Policy, Router
from scr.scope import given_as
from scr.steps import MOST_TOKENS
from scr.turns import Turn, TurnFinder
from scr.verification import Verified, remember, remembered, verify

logger = logging.getLogger("scr")

CONFIG_FILE, STORE_FILE, SCHEMA = "scr_config.json", "facts.scr", "scr.config/1"
MAX_NEW_TOKENS = 64
NO_PRIOR = Prior()
# transformers' own order of generate()'s parameters, for calls that name none.
_POSITIONAL = (
    "inputs",
    "generation_config",
    "logits_processor",
    "stopping_criteria",
    "prefix_allowed_tokens_fn",
    "synced_gpus",
    "assistant_model",
    "streamer",
)


@dataclass(frozen=True, slots=True)
class _View:
    """Which edits the calls of this thread or task see."""

    enabled: bool = True
    namespace: str | None = None
    as_of: str | None = None
    known_at: str | None = None


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
        offline: bool | None = None,
        editor: RetrievalEditor | None = None,
        route: Policy = "context",
        counterfactual: CounterfactualModel | str | None = None,
        prior: Prior = NO_PRIOR,
        decompose: Decompose = "words",
    ) -> None:
        """Wrap a model and tokenizer that the caller has.

        Args:
            store: an open store, or the path of one (made if absent); None keeps edits in memory only.
            encoder: an encoder or its name; None is all-MiniLM-L6-v2.
            scope: a decider, or ``pair``, ``cosine``, ``llm`` (this model confirms), or a folder from ``scr train
                scope``.
            offline: look for the encoder on this machine only; None asks ``SCR_OFFLINE``.
            editor: everything above in one, built elsewhere.
            route: who answers where an edit governs (``scr.routing``): this model with the fact in its ``context``, the
                ``counterfactual`` model, or ``auto``, the second where this model does not say the fact it is given.
            counterfactual: the model of the second route, or its name or folder; None is the shipped one.
            prior: how ``ask`` and ``chat`` hold this model's first thought down on the context route (``scr.prior``).
            decompose: who says which questions stand inside one, for chains of facts: its ``words`` (``scr.chain``), or
                this model (``llm``, ``scr.steps``), which costs a generated list for each question and pays for
                large models only.
        """
        self.model = model
        self.tokenizer = tokenizer
        self.prior = prior
        self.language_model = HFLanguageModel(model, tokenizer)
        if editor is None:
            settings = Settings.resolve(
                store=":memory:" if store is None or isinstance(store, EditStore) else os.fspath(store),
                namespace=namespace,
                encoder=encoder if isinstance(encoder, str) else None,
                scope=scope if isinstance(scope, str) else None,
                offline=offline,
            )
            editor = build_editor(
                settings,
                store=store if isinstance(store, EditStore) else None,
                encoder=None if isinstance(encoder, str) else encoder,
                scope=None if isinstance(scope, str) else scope,
                model=self.language_model,
            )
        self.turns = TurnFinder(tokenizer)
        editor.model = self.language_model
        editor.special_tokens = self.turns.special_tokens
        if route != "context" or counterfactual is not None:
            editor.router = Router(route, counterfactual_of(counterfactual, offline))
        editor.tell = self._lists
        editor.decompose = decompose
        if editor.router.obeyed is None:
            editor.router.obeyed = self.obeys
        self.editor = editor
        self._counterfactual_name = counterfactual if isinstance(counterfactual, str) else None
        self._own_counterfactual = counterfactual is not None and not isinstance(counterfactual, str)
        self._obeyed: dict[tuple[str, str], bool] = {}
        self._view: ContextVar[_View] = ContextVar("view", default=_EVERYTHING)
        self._warned: set[str] = set()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] | None = None,
        *,
        store: EditStore | str | os.PathLike[str] | None = None,
        encoder: Encoder | str | None = None,
        scope: ScopeClassifier | str = "pair",
        namespace: str = DEFAULT_NAMESPACE,
        offline: bool | None = None,
        route: Policy | None = None,
        counterfactual: CounterfactualModel | str | None = None,
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
            scope = scope if scope != "pair" else config["scope"]
            namespace = namespace if namespace != DEFAULT_NAMESPACE else config["namespace"]
            route = route if route is not None else config["route"]
            counterfactual = counterfactual if counterfactual is not None else config["counterfactual"]
        offline = Settings.resolve(offline=offline).offline
        model, tokenizer = load_model(name_or_path, offline=offline, **model_options)
        return cls(
            model,
            tokenizer,
            store=store,
            encoder=encoder,
            scope=scope,
            namespace=namespace,
            offline=offline,
            route=route or "context",
            counterfactual=counterfactual,
        )

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the store and a small config; the model's weights are not ours to copy, its name is kept.

        Raises:
            ConfigError: the model has no name or folder to be loaded from again, or a decider or counterfactual model
                of the caller's own stands in, which only the caller can give again.
        """
        name: str | None = self.name
        if not name:
            raise ConfigError(
                "this model was not loaded from a name or folder; save it with model.save_pretrained(FOLDER), load "
                "it from there and wrap that"
            )
        if self._own_counterfactual and self.route != "context":
            raise ConfigError(
                "the counterfactual model is an object of yours; save it with its save_pretrained(FOLDER) and give the "
                "folder as counterfactual="
            )
        if name != "pocket":
            name = str(Path(name).resolve()) if Path(name).is_dir() else name
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        fresh = target / (STORE_FILE + ".tmp")
        fresh.unlink(missing_ok=True)
        self.store.backup(fresh)
        config = {
            "schema": SCHEMA,
            "model": None if name == "pocket" else name,
            "encoder": getattr(self.editor.encoder, "name", None),
            "scope": given_as(self.editor.scope) or self.editor.scope.name,
            "namespace": self.editor.namespace,
            "route": self.route,
            "counterfactual": self._counterfactual_name,
        }
        temporary = target / (CONFIG_FILE + ".tmp")
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        os.replace(fresh, target / STORE_FILE)
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
    def route(self) -> Policy:
        """Who answers where an edit governs."""
        return self.editor.router.policy

    @property
    def device(self) -> Any:
        return self.model.device

    # --- editing -----------------------------------------------------------------------------------------------

    @overload
    def edit(self, facts: str | Edit, *, on_conflict: OnConflict = ..., **fields: Any) -> PutResult: ...
    @overload
    def edit(self, facts: Sequence[str | Edit], *, on_conflict: OnConflict = ..., **fields: Any) -> list[PutResult]: ...
    @overload
    def edit(
        self, facts: None = None, *, question: str, answer: str, on_conflict: OnConflict = ..., **fields: Any
    ) -> PutResult: ...
    def edit(
        self,
        facts: str | Edit | Sequence[str | Edit] | None = None,
        *,
        on_conflict: OnConflict = "keep-both",
        check: bool = False,
        **fields: Any,
    ) -> Any:
        """Add facts: a sentence, an Edit, a list of either, or ``question=`` with ``answer=``.

        One call is one batch and one transaction. ``fields`` (``subject``, ``aliases``, ``source``, …) go to
        ``scr.facts.read_fact`` for sentences. ``on_conflict`` says what becomes of a fact that contradicts a live one
        in other words: ``keep-both`` stores it and names the other in ``contradicts``, ``supersede`` lets it take the
        other's place, ``reject`` does not store it and gives a ``conflict``. ``check`` asks a single fact questions
        that look like its own and stores what keeps it silent on them, as ``scr add`` does.
        """
        single = facts is None or isinstance(facts, str | Edit)
        if isinstance(facts, Edit) and fields:
            raise ConfigError(f"an Edit is complete in itself; {', '.join(fields)} would be lost: set them in the Edit")
        namespace = fields.pop("namespace", None) or self._namespace()
        items: list[Any] = [facts] if single else list(facts)  # type: ignore[arg-type]
        edits = [
            replace(item, namespace=namespace if item.namespace == DEFAULT_NAMESPACE else item.namespace)
            if isinstance(item, Edit)
            else read_fact(item, namespace=namespace, **fields).edit
            for item in items
        ]
        results = self.editor.edit(edits, on_conflict=on_conflict, check=check)
        return results[0] if single else results

    def forget(self, edit_ids: str | Sequence[str]) -> None:
        """Close edits; they stay in the history until a purge.

        Raises:
            EditNotFoundError: an id is not live in this namespace; then nothing is forgotten.
        """
        ids = [edit_ids] if isinstance(edit_ids, str) else list(edit_ids)
        self.editor.forget(ids, namespace=self._namespace())

    def allow(self, edit_id: str, queries: str | Sequence[str]) -> list[Correction]:
        """Say that an edit governs queries, from now on and whatever the decider thinks; undone like any write.

        Raises:
            EditNotFoundError: the edit_id is unknown in this namespace, or forgotten.
        """
        return self.editor.allow(edit_id, queries, namespace=self._namespace())

    def deny(self, edit_id: str, queries: str | Sequence[str]) -> list[Correction]:
        """Say that an edit does not govern queries; otherwise as ``allow``."""
        return self.editor.deny(edit_id, queries, namespace=self._namespace())

    def verify(self, edit_ids: str | Sequence[str] | None = None) -> list[Verified]:
        """Ask this model about edits (None: all live ones), alone and given the fact, and remember what it obeyed.

        Raises:
            EditNotFoundError: an id is not live in this namespace.
        """
        ids = [edit_ids] if isinstance(edit_ids, str) else edit_ids
        live = {edit.edit_id: edit for edit in self.store.edits(self._namespace())}
        for edit_id in ids or ():
            if edit_id not in live:
                raise EditNotFoundError(f"no live edit {edit_id!r} in namespace {self._namespace()!r}; see scr ls")
        found = verify(self, list(live.values()) if ids is None else [live[edit_id] for edit_id in ids])
        remember(self.store, found, self.language_model.fingerprint)
        self._obeyed |= {(one.edit.namespace, one.edit.edit_id): one.obeyed for one in found}
        return found

    def obeys(self, edit: Edit) -> bool:
        """Whether this model, given the fact, says it: as remembered, else asked now and kept in this object only.

        An edit that cannot be asked about (a free fact) counts as obeyed.
        """
        key = (edit.namespace, edit.edit_id)
        if key not in self._obeyed:
            known = remembered(self.store, edit, self.language_model.fingerprint) if edit.edit_id else None
            if known is None:
                known = all(one.obeyed for one in verify(self, [edit]))
            self._obeyed[key] = known
        return self._obeyed[key]

    # --- which edits a call sees -------------------------------------------------------------------------------

    def edits_disabled(self) -> contextlib.AbstractContextManager[None]:
        """Inside, the model answers as if the memory were empty."""
        return self._seeing(enabled=False)

    def as_of(self, instant: str) -> contextlib.AbstractContextManager[None]:
        """Inside, the edits valid at ``instant`` (ISO 8601) govern."""
        return self._seeing(as_of=instant)

    def known_at(self, instant: str) -> contextlib.AbstractContextManager[None]:
        """Inside: what the memory held at ``instant``, valid then or ``as_of``."""
        return self._seeing(known_at=instant)

    def namespace(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Inside, the edits of namespace ``name`` govern, and no others.

        A view belongs to the thread or task that opened it; hand it to a worker with ``contextvars.copy_context()``.
        """
        if not name:
            raise ConfigError("the namespace is empty; name one")
        return self._seeing(namespace=name)

    @contextlib.contextmanager
    def _seeing(self, **change: Any) -> Iterator[None]:
        token = self._view.set(replace(self._view.get(), **change))
        try:
            yield
        finally:
            self._view.reset(token)

    def _namespace(self) -> str:
        seen = self._view.get().namespace
        return self.editor.namespace if seen is None else seen

    def decide(self, queries: Sequence[str]) -> list[Decision]:
        """Which edits govern each query, as this thread sees the memory now."""
        view = self._view.get()
        if not view.enabled:
            return [Decision() for _ in queries]
        return self.editor.decide(queries, namespace=self._namespace(), as_of=view.as_of, known_at=view.known_at)

    def follow(self, queries: Sequence[str], *, ask: Ask | None = None) -> list[Decision]:
        """As ``decide``, and through facts that stand inside a query; see ``RetrievalEditor.follow``."""
        view = self._view.get()
        if not view.enabled:
            return [Decision() for _ in queries]
        return self.editor.follow(
            queries, namespace=self._namespace(), as_of=view.as_of, known_at=view.known_at, ask=ask
        )

    def rewrite(
        self,
        messages: Sequence[Message],
        *,
        namespace: str | None = None,
        as_of: str | None = None,
        known_at: str | None = None,
    ) -> Rewrite:
        """The same decision for a model that runs elsewhere; see ``RetrievalEditor.rewrite``."""
        view = self._view.get()
        if not view.enabled:
            return Rewrite(messages, "base")
        return self.editor.rewrite(
            messages,
            namespace=namespace or self._namespace(),
            as_of=as_of or view.as_of,
            known_at=known_at or view.known_at,
        )

    # --- answering ---------------------------------------------------------------------------------------------

    @overload
    def ask(self, questions: str, **options: Any) -> Answer: ...
    @overload
    def ask(self, questions: Sequence[str], **options: Any) -> list[Answer]: ...
    def ask(self, questions: str | Sequence[str], **options: Any) -> Answer | list[Answer]:
        """Answer one question or several, each on its own: as a user turn where there is a chat template.

        Greedy, at most 64 new tokens, unless ``options`` (those of ``generate``) say otherwise. A model without a
        chat template continues the text, and its answer is the first line.

        Raises:
            ConfigError: a question is empty, or an option belongs to ``generate``.
        """
        if isinstance(questions, str):
            return self._answer([_Asked.question(questions)], options)[0]
        return self._answer([_Asked.question(q) for q in questions], options)

    @overload
    def chat(self, messages: Sequence[Message], *, stream: Literal[False] = False, **options: Any) -> Answer: ...
    @overload
    def chat(self, messages: Sequence[Message], *, stream: Literal[True], **options: Any) -> "AnswerStream": ...
    def chat(self, messages: Sequence[Message], *, stream: bool = False, **options: Any) -> "Answer | AnswerStream":
        """Answer a conversation's last user turn; ``stream=True`` yields the text as it comes.

        What governed an earlier turn still stands there, so that "are you sure?" does not lose the fact.

        Raises:
            ConfigError: the tokenizer has no chat template, or there is no user turn.
        """
        if not self.chats:
            raise ConfigError(f"the tokenizer of {self.name or 'this model'} has no chat template; use ask()")
        asked = _Asked(tuple(messages), tuple(user_turns(messages)))
        if not stream:
            return self._answer([asked], options)[0]
        (asked,), (decisions,), decide_ms = self._timed_decide([asked])
        return AnswerStream(self, asked, decisions, decide_ms, options)

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        """Teacher-forced score of each (prompt, continuation), raw text: (log-probability, tokens, all greedy).

        Chains of facts are followed through the memory alone; see ``RetrievalEditor.log_likelihood``.
        """
        return self.editor.log_likelihood(pairs, self.follow([prompt for prompt, _ in pairs]))

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        return self.ask(list(prompts))

    def __enter__(self) -> "EditedModel":
        return self

    def __exit__(self, *exc: object) -> None:
        """Take back what was added through this object's editor."""
        self.editor.__exit__(*exc)

    def _answer(self, asked: Sequence["_Asked"], options: Mapping[str, Any]) -> list[Answer]:
        limits = _ask_options(options)
        asked, decisions, decide_ms = self._timed_decide(asked)
        routes = [self.editor.router.route(together(d)) for d in decisions]
        shown = [
            ([], together(d)) if route == "counterfactual" else self._fitted(a, d, _room(limits))
            for a, d, route in zip(asked, decisions, routes, strict=True)
        ]
        by_model = [i for i, route in enumerate(routes) if route in ("base", "context")]
        by_other = [i for i, route in enumerate(routes) if route == "counterfactual"]
        started = time.perf_counter()
        held = [i for i in by_model if self.prior.active and shown[i][1].in_scope]
        free = [i for i in by_model if i not in held]
        new = self.language_model.continue_rows([shown[i][0] for i in free], **limits)
        texts = {i: self.text_of(ids) for i, ids in zip(free, new, strict=True)}
        texts |= {i: self._against_prior(*shown[i], self._ids(asked[i]), limits) for i in held}
        pairs = [(shown[i][1].in_scope[0].edit, asked[i].turns[-1][1]) for i in by_other]
        texts |= zip(by_other, self.editor.router.answer(pairs, _room(limits)), strict=True)
        generate_ms = (time.perf_counter() - started) * 1e3 / max(len(texts), 1)
        timings = {"decide": decide_ms, "generate": generate_ms}
        return [
            self.editor.to_answer(texts.get(i, ""), d, timings, route)
            for i, ((_, d), route) in enumerate(zip(shown, routes, strict=True))
        ]

    def _against_prior(self, ids: list[int], decision: Decision, bare: list[int], limits: Mapping[str, Any]) -> str:
        """The answer to ``ids``, which hold facts, with the model's answer to ``bare`` held against it."""
        model, share = self.language_model, self.prior.share
        if self.prior.candidates:
            texts = list(dict.fromkeys(judged.edit.target_new for judged in decision.in_scope))
            lead = "" if self.chats else " "
            answers = [self.tokenizer(lead + text, add_special_tokens=False)["input_ids"] for text in texts if text]
            answers = [answer for answer in answers if len(answer) <= SHORT]
            own = model.continue_rows([bare], **limits)[0]
            if answers:
                # Both end where the stored answers do: a long own answer is judged by its beginning.
                answers = [*answers, *([own[:SHORT]] if own else [])]
                best = best_candidate(model, ids, bare, share, answers)
                return self.text_of(own if own and best == len(answers) - 1 else answers[best])
        return self.text_of(continued_against(model, ids, bare, share, limits))

    def said(self, questions: Sequence[str], decisions: Sequence[Decision], **options: Any) -> list[str]:
        """What the model says to each question with the facts of a given decision, whoever would have decided."""
        limits = _ask_options(options)
        rows = [
            self._fitted(_Asked.question(q), [d], _room(limits))[0] for q, d in zip(questions, decisions, strict=True)
        ]
        return [self.text_of(ids) for ids in self.language_model.continue_rows(rows, **limits)]

    def _timed_decide(self, asked: Sequence["_Asked"]) -> tuple[list["_Asked"], list[list[Decision]], float]:
        """What is left to ask of each one, the decisions of its turns, and milliseconds for each one."""
        started = time.perf_counter()
        decided = iter(self.follow([text for a in asked for _, text in a.turns], ask=self._hops))
        left, decisions = [], []
        for one in asked:
            *earlier, last = [next(decided) for _ in one.turns]
            shorter = one.asking(last.asked) if last.hops else one
            last = last if shorter is not None else at_once(last)
            left.append(shorter or one)
            decisions.append(without_said([*map(at_once, earlier), last]))
        queries = [one.turns[-1][1] for one in asked]
        self.editor.note_use(queries, [together(d) for d in decisions], namespace=self._namespace())
        return left, decisions, (time.perf_counter() - started) * 1e3 / max(len(asked), 1)

    def _hops(self, questions: Sequence[str]) -> list[str]:
        """The frozen model's answers to parts of questions."""
        rows = [self.question_ids(question) for question in questions]
        return [self.text_of(ids) for ids in self.language_model.continue_rows(rows, max_new_tokens=HOP_TOKENS)]

    def _lists(self, prompts: Sequence[str]) -> list[str]:
        """What the frozen model writes to prompts that ask for a list."""
        rows = [self.question_ids(prompt) for prompt in prompts]
        ids = self.language_model.continue_rows(rows, max_new_tokens=MOST_TOKENS)
        return [str(self.tokenizer.decode(new, skip_special_tokens=True)) for new in ids]

    def text_of(self, ids: Sequence[int]) -> str:
        """An answer's text; of a model without a chat template, its first line."""
        text = str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()
        return text if self.chats else text.split("\n", 1)[0].strip()

    @property
    def chats(self) -> bool:
        """Whether questions reach the model as user turns of a chat template."""
        return bool(getattr(self.tokenizer, "chat_template", None))

    def question_ids(self, question: str) -> list[int]:
        """The tokens that ``ask`` sends for a question when no edit governs it."""
        return self._ids(_Asked.question(question))

    def _ids(self, asked: "_Asked", blocks: Sequence[str] = ()) -> list[int]:
        """What the model reads: facts stand in the messages, before the template puts them into words."""
        if not self.chats:
            return self.language_model.prompt_ids("".join(blocks) + asked.turns[-1][1])
        messages: Sequence[Message] = asked.messages
        for (turn, _), block in zip(asked.turns, blocks, strict=False):
            messages = with_block(messages, turn, block) if block else messages
        text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _fitted(self, asked: "_Asked", decisions: list[Decision], room: int) -> tuple[list[int], Decision]:
        """The tokens to send, and what was decided as far as its facts fit the window beside ``room`` new tokens."""
        bare = self._ids(asked)
        if is_verbatim(decisions[-1]) or not together(decisions).in_scope:
            return bare, decisions[-1]
        wanted = [token for token in bare if token in self.turns.control_ids]
        while any(d.in_scope for d in decisions):
            ids = self._ids(asked, [facts_block(_statements(d), self.turns.special_tokens) for d in decisions])
            # No fact may bring a control token of its own, whatever it holds.
            inert = [token for token in ids if token in self.turns.control_ids] == wanted
            if inert and len(ids) + room <= self.language_model.window:
                return ids, together(decisions)
            at = next(i for i, d in enumerate(decisions) if d.in_scope)
            decisions = [*decisions[:at], _without_last(decisions[at]), *decisions[at + 1 :]]
        logger.warning("a fact governs this question but does not fit the model's window, so it is not used")
        return bare, decisions[-1]

    # --- generate(): the caller's own tokens -------------------------------------------------------------------

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """``model.generate`` with the edits that govern each row; every argument of it is taken and means the same.

        The question of a row is its last user turn where the row follows the chat template, else the row's text.
        A row of the result begins with the caller's row; lengths count the caller's tokens only.
        ``inputs_embeds`` and a filled ``past_key_values`` cannot be read as text: such calls go to the model
        untouched, with one warning.

        Chains of facts are followed through the memory alone: the facts stand before the question, which stays as the
        caller wrote it, and hops that no edit covers are left to the model. ``ask`` and ``chat`` shorten the question
        hop by hop and ask the model for those.

        Raises:
            ConfigError: a streamer with several rows of which one is in scope.
        """
        named = {**dict(zip(_POSITIONAL, args, strict=False)), **kwargs}
        inputs, config = named.pop("inputs", None), named.pop("generation_config", None)
        ids = inputs if inputs is not None else named.get("input_ids")
        if not self._view.get().enabled or self._unreadable(named) or ids is None or len(args) > len(_POSITIONAL):
            return self.model.generate(*args, **kwargs)
        call = SplitCall(self.model, ids, config, named)
        turns = [self.turns.find(row) for row in self._rows(call)]
        decisions = self.follow([turn.query for turn in turns])
        self.editor.note_use([turn.query for turn in turns], decisions, namespace=self._namespace())
        shown = [self._shown(t, d, call.room) for t, d in zip(turns, decisions, strict=True)]
        if call.room < 1 or not any(row.ids or row.said is not None for row in shown):
            return self.model.generate(*args, **kwargs)
        if named.get("streamer") is not None and len(shown) > 1:
            raise ConfigError(f"a streamer takes one row at a time, got {len(shown)}; call generate() for each row")
        pad = call.setting("pad_token_id")
        return call.run(shown, pad if pad is not None else pad_token_id(self.model, self.tokenizer))

    def _unreadable(self, named: Mapping[str, Any]) -> bool:
        cache = named.get("past_key_values")
        filled = cache is not None and not (hasattr(cache, "get_seq_length") and cache.get_seq_length() == 0)
        for name in ["inputs_embeds"] * (named.get("inputs_embeds") is not None) + ["past_key_values"] * filled:
            if name not in self._warned:
                self._warned.add(name)
                warnings.warn(f"{name} cannot be read as text: no edit is applied to this call", stacklevel=3)
            return True
        return False

    def _rows(self, call: SplitCall) -> list[list[int]]:
        """Each row without its padding: by the mask, else by the pad token where that is no end token (as HF does)."""
        mask = call.kwargs.get("attention_mask")
        if mask is not None and mask.shape == call.ids.shape:
            return [row[keep.bool()].tolist() for row, keep in zip(call.ids, mask, strict=True)]
        pad, ends = call.setting("pad_token_id"), call.setting("eos_token_id")
        ends = ends.tolist() if hasattr(ends, "tolist") else ends
        if pad is None or pad == ends or (isinstance(ends, list) and pad in ends):
            return [row.tolist() for row in call.ids]
        return [row[row != pad].tolist() for row in call.ids]

    def _shown(self, turn: Turn, decision: Decision, room: int) -> Shown:
        """What becomes of a row of the caller's tokens; facts that do not fit its window are left out, last first.

        This model reads the facts of a chain at once, before the question as it was asked. The counterfactual model
        reads one fact: it answers what the chain leaves to ask, and where no edit governs that, this model does.
        """
        facts = at_once(decision)
        if not facts.in_scope:
            return Shown()
        route = self.editor.router.route(decision if decision.in_scope else facts)
        if route == "counterfactual" and not decision.in_scope:
            return self._left(turn, decision.asked, room)
        if route in ("verbatim", "counterfactual"):
            edit = decision.in_scope[0].edit
            text = edit.statement
            if route == "counterfactual":
                text = self.editor.router.answer([(edit, decision.asked or turn.query)], room)[0]
            said = self._inert(text) or self._inert(defused(text, self.turns.special_tokens))
            return Shown(said=[*said, *end_token_ids(self.model, self.tokenizer)[:1]])
        if not turn.recognised:
            logger.warning("a row with control tokens does not follow the chat template; no fact is put into it")
            return Shown()
        while facts.in_scope:
            block = self._inert(facts_block(_statements(facts), self.turns.special_tokens))
            ids = [*turn.head, *block, *turn.tail]
            if block and len(ids) + room <= self.language_model.window:
                return Shown(ids)
            facts = _without_last(facts)
        logger.warning("a fact governs this prompt but does not fit the model's window, so it is not used")
        return Shown()

    def _left(self, turn: Turn, question: str, room: int) -> Shown:
        """The row with ``question`` in its question's place."""
        asked = self._inert(defused(question, self.turns.special_tokens))
        ids = [*turn.head, *asked, *turn.closing]
        if asked and turn.recognised and len(ids) + room <= self.language_model.window:
            return Shown(ids)
        logger.warning("what a chain of facts leaves to ask has no place in this row, so they are not used")
        return Shown()

    def _inert(self, text: str) -> list[int]:
        """Tokens of a text among which is no control token; nothing, rather than one, if it cannot be done."""
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return [] if any(token in self.turns.control_ids for token in ids) else ids


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as it came: alone, or as the last turn of a conversation."""

    messages: tuple[Message, ...]
    turns: tuple[tuple[int, str], ...]
    """The user turns that are judged, as ``user_turns`` gives them; the last one asks."""

    @classmethod
    def question(cls, question: str) -> "_Asked":
        if not question.strip():
            raise ConfigError("the question is empty; ask something")
        return cls(({"role": "user", "content": question},), ((0, question),))

    def asking(self, question: str) -> "_Asked | None":
        """The same conversation, its last turn another question; None where that turn holds more than text."""
        at = self.turns[-1][0]
        if not isinstance(self.messages[at].get("content"), str):
            return None
        messages = (*self.messages[:at], {**self.messages[at], "content": question}, *self.messages[at + 1 :])
        return _Asked(messages, (*self.turns[:-1], (at, question)))


class AnswerStream:
    """The text of an answer, piece by piece as the model writes it; ``answer`` is whole once it is read to its end.

    It is written once: reading it again gives the same pieces. Leaving it early stops the model.
    """

    def __init__(
        self,
        edited: EditedModel,
        asked: _Asked,
        decisions: list[Decision],
        decide_ms: float,
        options: Mapping[str, Any],
    ) -> None:
        self._edited, self._options, self._decide_ms = edited, _ask_options(options), decide_ms
        self._ids: list[int] = []
        self._decision, self._query = together(decisions), asked.turns[-1][1]
        self._route = edited.editor.router.route(self._decision)
        if self._route != "counterfactual":
            self._ids, self._decision = edited._fitted(asked, decisions, _room(self._options))
        self._pieces: list[str] = []
        self._begun = False
        self.answer: Answer | None = None

    def __iter__(self) -> Iterator[str]:
        if self._begun and self.answer is None:
            raise ConfigError("this stream was left before its end; ask again for another")
        if not self._begun:
            self._begun = True
            started = time.perf_counter()
            editor = self._edited.editor
            if self._route in ("base", "context"):
                yield from self._written()
            elif self._route == "counterfactual":
                pair = (self._decision.in_scope[0].edit, self._query)
                self._pieces = editor.router.answer([pair], _room(self._options))
            timings = {"decide": self._decide_ms, "generate": (time.perf_counter() - started) * 1e3}
            text = "".join(self._pieces).strip()
            self.answer = editor.to_answer(text, self._decision, timings, self._route)
            if self._route in ("verbatim", "counterfactual"):
                self._pieces = [self.answer.text]
                yield self.answer.text
            return
        yield from self._pieces

    def _written(self) -> Iterator[str]:
        import torch
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        streamer = TextIteratorStreamer(self._edited.tokenizer, skip_prompt=True, skip_special_tokens=True)
        left = threading.Event()
        failure: list[BaseException] = []

        def stop(input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            return torch.full((input_ids.shape[0],), left.is_set(), device=input_ids.device)

        def work() -> None:
            try:
                criteria = StoppingCriteriaList([*(self._options.get("stopping_criteria") or ()), stop])
                options = {**self._options, "streamer": streamer, "stopping_criteria": criteria}
                self._edited.language_model.continue_rows([self._ids], **options)
            except BaseException as error:  # raised again below, in the reader's thread
                failure.append(error)
                streamer.end()

        thread = threading.Thread(target=work, name="scr stream", daemon=True)
        thread.start()
        try:
            for piece in streamer:
                self._pieces.append(piece)
                yield piece
        finally:
            left.set()
            thread.join()
        if failure:
            raise failure[0]


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["schema"] != SCHEMA:
            raise ModelUnavailableError(f"{path} has schema {config['schema']!r}; this version reads {SCHEMA}")
        later = {"route": config.get("route", "context"), "counterfactual": config.get("counterfactual")}
        return {**{name: config[name] for name in ("model", "encoder", "scope", "namespace")}, **later}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailableError(f"{path} is not a config written by save_pretrained(): {error}") from error


def counterfactual_of(
    given: CounterfactualModel | str | None, offline: bool | None
) -> CounterfactualModel | Callable[[], CounterfactualModel] | None:
    """What a router takes: a model, or how to load the one of that name or folder."""
    if not isinstance(given, str):
        return given

    def load() -> CounterfactualModel:
        from scr.counterfactual import HFCounterfactual

        return HFCounterfactual.from_pretrained(given, offline=bool(offline))

    return load


def _statements(decision: Decision) -> list[str]:
    return [judged.edit.statement for judged in decision.in_scope]


def _without_last(decision: Decision) -> Decision:
    """The least probable fact was not shown, so it was not used."""
    *kept, last = decision.in_scope
    return replace(decision, in_scope=tuple(kept), near_misses=(last, *decision.near_misses))


def _ask_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of ``ask`` and ``chat``, with the limit on new tokens filled in."""
    for name, instead in (
        ("max_length", "give max_new_tokens, which does not count the prompt"),
        ("num_return_sequences", "use generate() for several answers to one prompt"),
        ("return_dict_in_generate", "use generate() for transformers' own output"),
        ("prefix_allowed_tokens_fn", "use generate() for callables that read the prompt"),
        ("logits_processor", "use generate() for callables that read the prompt"),
    ):
        if options.get(name):
            raise ConfigError(f"ask() and chat() do not take {name}: {instead}")
    if options.get("max_new_tokens") is None and options.get("generation_config") is None:
        return {**options, "max_new_tokens": MAX_NEW_TOKENS}
    return dict(options)


def _room(options: Mapping[str, Any]) -> int:
    """New tokens that an answer may take."""
    config = options.get("generation_config")
    return int(options.get("max_new_tokens") or getattr(config, "max_new_tokens", None) or MAX_NEW_TOKENS)
