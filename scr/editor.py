"""The whole data path: a fact goes into memory, a question is judged, the frozen model answers.

    edit:    edits → keys → store
    decide:  question → candidates (recall) → one decision (scope)
    answer:  in scope → the fact stands before the question, or the counterfactual model answers (scr.routing);
             out of scope → the question alone, untouched

This file loads no model. Recall, store and scope are given; ``scr.build`` names the concrete classes.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from memory_store.corrections import Correction, Said
from memory_store.edit import DEFAULT_NAMESPACE, Edit, PutResult
from memory_store.errors import ConfigError, ConflictError, ScrError
from memory_store.identity import fold
from memory_store.store import EditStore
from scr.chain import MOST_HOPS, Ask, Start, at_once, facts_of, follow
from scr.contradiction import OnConflict, checked_policy, contradictions, put_settled
from scr.prompting import facts_block
from scr.protocols import Answer, Decision, Encoder, Judged, Keys, LanguageModel, Route, ScopeClassifier
from scr.relations import turned_round
from scr.routing import Router
from scr.scope.corrections import Corrected, with_corrections
from scr.scope.fail_closed import FailClosed
from scr.scope.overlay import Overlaid
from scr.scope.recall import KINDS, recall
from scr.steps import MOST_TOKENS, Tell, split, through

logger = logging.getLogger("scr")

Message = Mapping[str, Any]
Decompose = Literal["words", "llm"]
HOP_TOKENS = 24
"""New tokens of the model's answer to a part of a question."""
EARLIER_TURNS = 24
"""User turns before the last one whose facts stay in a conversation; each costs some milliseconds at every turn."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What to send to a model that runs elsewhere, and why."""

    messages: Sequence[Message]
    """The caller's own object when no edit governs the question."""
    route: Route
    edits: tuple[Judged, ...] = ()
    trace: Mapping[str, Any] = field(default_factory=dict)
    """``query``, ``hops``, ``threshold``, ``near_misses``, ``timings_ms``, and ``failed`` when the decider did."""


class RetrievalEditor:
    """Corrects a frozen model from an edit memory; implements ``scr.protocols.Editor``.

    Invariant: nothing in scope → the model receives the prompt byte for byte.
    """

    def __init__(
        self,
        store: EditStore,
        encoder: Encoder,
        scope: ScopeClassifier,
        *,
        model: LanguageModel | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        near_misses: int = 0,
    ) -> None:
        self.store = store
        self.encoder = encoder
        self.scope = scope
        self.model = model
        self.namespace = namespace
        self.near_misses = near_misses
        """How many candidates below the threshold an answer names; they may tell of other facts, so none here."""
        self.special_tokens: Sequence[str] = ()
        """Control tokens of the model that reads the facts, beyond the shapes that are always defused."""
        self.router = Router()
        """Who answers where an edit governs; the model with the fact in its context unless it is set."""
        self.hops = MOST_HOPS
        """Facts that a question may go through before it is asked (``scr.chain``); 0 follows none."""
        self.chain_start: Start = "memory"
        """Whether the model may take the first hop, too; see ``scr.chain.follow``."""
        self._decompose: Decompose = "words"
        self.tell: Tell | None = None
        """What the model writes when it decomposes; None has it continue raw text."""
        self.record_use = False
        """Whether the log notes which edits an answer or a rewrite used, the question hashed."""
        self._batches: list[int] = []

    @property
    def decompose(self) -> Decompose:
        """Who says which questions stand inside one: its ``words``, or the ``llm``, for models large enough."""
        return self._decompose

    @decompose.setter
    def decompose(self, who: Decompose) -> None:
        if who not in ("words", "llm"):
            raise ConfigError(f"questions are decomposed by words or llm, got {who!r}")
        self._decompose = who

    @property
    def scope(self) -> ScopeClassifier:
        """Who decides; whichever is set follows what people corrected, and fails closed."""
        return self._scope

    @scope.setter
    def scope(self, scope: ScopeClassifier) -> None:
        self._scope: ScopeClassifier = FailClosed(Corrected(scope, self.encoder))

    @property
    def _judge(self) -> ScopeClassifier:
        """Who is asked about contradictions: the decider, but no language model, which has no part in writing."""
        return self._pair if self.scope.name == "llm" else self.scope

    @cached_property
    def _pair(self) -> ScopeClassifier:
        from scr.scope.deferred import Deferred

        return Deferred("pair", self.encoder)

    def edit(
        self,
        edits: Sequence[Edit],
        *,
        actor: str | None = None,
        dry_run: bool = False,
        on_conflict: OnConflict = "keep-both",
        check: bool = False,
        imported: Mapping[str, Any] | None = None,
    ) -> list[PutResult]:
        """Store edits under the keys of their statement and of their prompt; one batch, one transaction.

        Args:
            on_conflict: what becomes of an edit that contradicts a live one, or an earlier one of the batch, in other
                words: it takes its place, both stay, or it is not stored (a ``conflict``).
            check: ask questions of each edit that look like its own and are not, and store beside it what keeps it
                silent on them (``scr.adversaries``).
            imported: as for ``EditStore.put``.

        Raises:
            ConfigError: there is no such policy, or ``check`` with several edits.
        """
        policy = checked_policy(on_conflict)
        if check and len(edits) != 1:
            raise ConfigError(
                f"check is for one edit at a time, got {len(edits)}; leave it out, or call edit() for each"
            )
        keys = keys_of(self.encoder, edits)
        found = contradictions(self.store, self._judge, edits, keys)
        said: dict[int, list[Said]] = {}
        if check and not dry_run:
            from scr.adversaries import silenced

            said[0] = silenced(self, put_settled(self.store, edits, keys, found, policy, dry_run=True)[0], keys)
        results = put_settled(
            self.store, edits, keys, found, policy, actor=actor, dry_run=dry_run, imported=imported, said=said
        )
        self._batches += sorted({result.batch for result in results if result.batch})
        return results

    def forget(self, edit_ids: Sequence[str], *, namespace: str | None = None, actor: str | None = None) -> None:
        """Close edits; all or none.

        Raises:
            EditNotFoundError: an id is not live in the namespace.
        """
        namespace = namespace or self.namespace
        if not edit_ids:
            return
        self.store.forget(edit_ids, namespace=namespace, actor=actor)
        self._batches.append(self.store.log(limit=1, namespace=namespace, edit_id=edit_ids[0])[0].batch)

    def allow(
        self, edit_id: str, queries: str | Sequence[str], *, namespace: str | None = None, actor: str | None = None
    ) -> list[Correction]:
        """Say that an edit governs queries, whatever the decider thinks; for every version of it, from now on.

        Queries that are nearly the same follow it (``scr.scope.corrections``).

        Raises:
            EditNotFoundError: the edit_id is unknown in the namespace, or forgotten.
        """
        return self._noted(self.store.allow(edit_id, queries, namespace=namespace or self.namespace, actor=actor))

    def deny(
        self, edit_id: str, queries: str | Sequence[str], *, namespace: str | None = None, actor: str | None = None
    ) -> list[Correction]:
        """Say that an edit does not govern queries; otherwise as ``allow``."""
        return self._noted(self.store.deny(edit_id, queries, namespace=namespace or self.namespace, actor=actor))

    def _noted(self, corrections: list[Correction]) -> list[Correction]:
        self._batches += sorted({correction.batch for correction in corrections if correction.batch})
        return corrections

    def decide(
        self,
        queries: Sequence[str],
        *,
        namespace: str | None = None,
        as_of: str | None = None,
        known_at: str | None = None,
        overlay: Overlaid | None = None,
    ) -> list[Decision]:
        """Which edits govern each query; ``decision.failed`` says why where none could be made (out of scope).

        Args:
            as_of: with the edits valid at that time.
            known_at: with what the memory held at that time, and valid then or ``as_of``.
            overlay: decide as if some more edits were stored.
        """
        space = namespace or self.namespace
        if overlay is None and not self.store.holds(space, as_of=as_of, known_at=known_at):
            return [Decision() for _ in queries]
        # A lone surrogate is no text that an encoder could read.
        readable = [query.encode("utf-8", "replace").decode() for query in queries]
        try:
            memory = overlay or self.store
            candidates = recall(memory, self.encoder, readable, namespace=space, as_of=as_of, known_at=known_at)
            candidates = with_corrections(
                memory, self.encoder, readable, candidates, namespace=space, as_of=as_of, known_at=known_at
            )
        except ScrError:
            raise  # a store or setting that is wrong is said aloud
        except Exception as error:  # an encoder that fails must not take the answer down with it
            logger.warning("recall failed, so nothing is in scope: %s", error)
            return [Decision(failed=f"{type(error).__name__}: {error}") for _ in queries]
        return self.scope.decide(readable, candidates)

    def follow(
        self,
        queries: Sequence[str],
        *,
        namespace: str | None = None,
        as_of: str | None = None,
        known_at: str | None = None,
        ask: Ask | None = None,
    ) -> list[Decision]:
        """As ``decide``, and through facts that stand inside a query (``scr.chain``): ``hops`` and ``asked`` of each.

        Where nothing governs a query, a near fact may from its other end (``scr.relations``): who is whose spouse.

        Args:
            ask: the frozen model, for parts of a query that no edit governs; without it the words alone decompose.
        """
        space = namespace or self.namespace
        if not self.hops or not self.store.holds(space, as_of=as_of, known_at=known_at):
            return self.decide(queries, namespace=namespace, as_of=as_of, known_at=known_at)

        def named(texts: Sequence[str]) -> list[list[Edit]]:
            readable = [text.encode("utf-8", "replace").decode() for text in texts]
            found = self.store.mentioned(readable, namespace=space, as_of=as_of, known_at=known_at)
            return [self.store.get_many(ids, namespace=space) for ids in found]

        def alike(pairs: Sequence[tuple[str, Edit]]) -> list[float]:
            keys = self.encoder.encode([text for text, _ in pairs])
            ids = [[edit.edit_id] for _, edit in pairs]
            kinds = [self.store.similarities(keys, ids, namespace=space, kind=kind) for kind in KINDS]
            return [max(scores[row][0] for scores in kinds) for row in range(len(pairs))]

        def decide(texts: Sequence[str]) -> list[Decision]:
            return self.decide(texts, namespace=namespace, as_of=as_of, known_at=known_at)

        ahead = self.scope.name != "llm"  # which would be asked in vain
        stepped: list[Decision | None] = [None for _ in queries]
        if self.decompose == "llm" and ask is not None:
            stepped = through(queries, split(queries, self.tell or self._told), decide, ask)
        by_words = [i for i, decision in enumerate(stepped) if decision is None]
        some = [queries[i] for i in by_words]
        found = follow(some, decide, named, alike, ask=ask, start=self.chain_start, hops=self.hops, ahead=ahead)
        by_row = dict(zip(by_words, found, strict=True))
        decisions = [decision or by_row[i] for i, decision in enumerate(stepped)]
        return [
            self._backwards(query, decision, space, as_of, known_at)
            if decision.near_misses and not decision.in_scope and not decision.hops
            else decision
            for query, decision in zip(queries, decisions, strict=True)
        ]

    def _told(self, prompts: Sequence[str]) -> list[str]:
        if self.model is None:
            raise ConfigError("this editor has no language model to decompose questions; pass model=")
        return self.model.generate(prompts, max_new_tokens=MOST_TOKENS, stop=("Question:",))

    def _backwards(
        self, query: str, decision: Decision, space: str, as_of: str | None, known_at: str | None
    ) -> Decision:
        """A decision with what near facts say of their object, where the query names it (``scr.relations``)."""
        there = f" {fold(query)} "
        turned = [
            edit
            for judged in decision.near_misses
            if f" {fold(judged.edit.target_new)} " in there
            and f" {fold(judged.edit.subject)} " not in there
            and "denied" not in judged.evidence
            and (edit := turned_round(judged.edit)) is not None
        ]
        if not turned:
            return decision
        overlay = Overlaid(self.store, turned, keys_of(self.encoder, turned))
        (found,) = self.decide([query], namespace=space, as_of=as_of, known_at=known_at, overlay=overlay)
        ids = {edit.edit_id for edit in turned}
        kept = tuple(judged for judged in found.in_scope if judged.edit.edit_id in ids)
        return replace(found, in_scope=kept) if kept else decision

    def note_use(self, queries: Sequence[str], decisions: Sequence[Decision], *, namespace: str | None = None) -> None:
        """Note in the log which edits queries used, where ``record_use`` asks for it; an answer never fails for it."""
        if not self.record_use:
            return
        used = [
            (query, [judged.edit.edit_id for judged in facts_of(decision)])
            for query, decision in zip(queries, decisions, strict=True)
        ]
        try:
            self.store.record_use(used, namespace=namespace or self.namespace)
        except ScrError as error:
            logger.warning("what was used could not be noted in the log: %s", error)

    def rewrite(
        self,
        messages: Sequence[Message],
        *,
        namespace: str | None = None,
        as_of: str | None = None,
        known_at: str | None = None,
    ) -> Rewrite:
        """The same decision for a model that runs elsewhere: facts enter the user turns they govern as quoted data.

        The question is the last user turn. What governed an earlier one stands before that one again, so that a turn
        which only doubts or follows up does not lose the fact.

        Raises:
            ConfigError: ``messages`` holds no user turn.
        """
        turns = user_turns(messages)
        query = turns[-1][1]
        if not query.strip():
            return Rewrite(messages, "base", (), {"query": query})
        started = time.perf_counter()
        asked = [text for _, text in turns]
        followed = self.follow(asked, namespace=namespace, as_of=as_of, known_at=known_at)
        decisions = without_said([at_once(d) for d in followed])
        decision = together(decisions)
        trace = {
            "query": query,
            "hops": followed[-1].hops,
            "threshold": decision.threshold,
            "near_misses": decision.near_misses[: self.near_misses],
            "timings_ms": {"decide": (time.perf_counter() - started) * 1e3},
            "failed": decision.failed,
        }
        self.note_use([query], [decision], namespace=namespace)
        if not decision.in_scope:
            return Rewrite(messages, "base", (), trace)
        if decision.in_scope[0].edit.verbatim:
            return Rewrite(messages, "verbatim", decision.in_scope[:1], trace)
        for (turn, _), governing in zip(turns, decisions, strict=True):
            if governing.in_scope:
                messages = with_block(messages, turn, self._block(governing))
        return Rewrite(messages, "context", decision.in_scope, trace)

    def answer(self, prompts: Sequence[str], *, max_new_tokens: int = 64) -> list[Answer]:
        """Answer raw prompts: the frozen model with the facts that govern in front, or whom the router names."""
        if self.model is None:
            raise ConfigError("this editor has no language model; pass model=, or use rewrite()")
        model = self.model
        decisions = self.follow(prompts, ask=lambda questions: model.generate(questions, max_new_tokens=HOP_TOKENS))
        self.note_use(prompts, decisions)
        prompts = [d.asked or prompt for d, prompt in zip(decisions, prompts, strict=True)]
        routes = [self.router.route(d) for d in decisions]
        asked = [i for i, route in enumerate(routes) if route in ("base", "context")]
        shown = [self._block(decisions[i]) + prompts[i] for i in asked]
        texts = dict(zip(asked, self.model.generate(shown, max_new_tokens=max_new_tokens), strict=True))
        apart = [i for i, route in enumerate(routes) if route == "counterfactual"]
        pairs = [(decisions[i].in_scope[0].edit, prompts[i]) for i in apart]
        texts |= zip(apart, self.router.answer(pairs, max_new_tokens), strict=True)
        return [self.to_answer(texts.get(i, ""), decisions[i], route=route) for i, route in enumerate(routes)]

    def log_likelihood(
        self, pairs: Sequence[tuple[str, str]], decisions: Sequence[Decision] | None = None
    ) -> list[tuple[float, int, bool]]:
        """Teacher-forced: each continuation after its prompt, the governing facts in front of the prompt.

        Facts on the way to an answer (``follow``) are among them. The prompt stays whole, and the model is asked
        nothing; the counterfactual model is given what the facts leave to ask.
        """
        if self.model is None:
            raise ConfigError("this editor has no language model; pass model=")
        decisions = self.follow([prompt for prompt, _ in pairs]) if decisions is None else decisions
        scores: dict[int, tuple[float, int, bool]] = {}
        apart = [i for i, d in enumerate(decisions) if self.router.route(d) == "counterfactual"]
        if apart:
            asked_of = [(decisions[i].in_scope[0].edit, decisions[i].asked or pairs[i][0]) for i in apart]
            triples = [(*asked, pairs[i][1]) for asked, i in zip(asked_of, apart, strict=True)]
            scores |= zip(apart, self.router.counterfactual.log_likelihood(triples), strict=True)
        asked = [i for i in range(len(pairs)) if i not in scores]
        shown = [(self._block(at_once(decisions[i])) + pairs[i][0], pairs[i][1]) for i in asked]
        scores |= zip(asked, self.model.log_likelihood(shown), strict=True)
        return [scores[i] for i in range(len(pairs))]

    def _block(self, decision: Decision) -> str:
        return facts_block([judged.edit.statement for judged in decision.in_scope], self.special_tokens)

    def to_answer(
        self,
        text: str,
        decision: Decision,
        timings_ms: Mapping[str, float] | None = None,
        route: Route | None = None,
    ) -> Answer:
        """Put a decision and what was said together; a verbatim edit answers with its own text, and like the
        counterfactual model with one edit alone."""
        if route != "counterfactual":
            route = "verbatim" if is_verbatim(decision) else "context" if decision.in_scope else "base"
        used = decision.in_scope if route == "context" else decision.in_scope[:1]
        return Answer(
            text=used[0].edit.statement if route == "verbatim" else text,
            route="context" if route == "base" and decision.hops else route,
            used=facts_of(replace(decision, in_scope=used)),
            hops=decision.hops,
            asked=decision.asked,
            near_misses=decision.near_misses[: self.near_misses],
            timings_ms=timings_ms or {},
        )

    def __enter__(self) -> "RetrievalEditor":
        return self

    def __exit__(self, *exc: object) -> None:
        """Take back what this editor wrote, the last batch first; what that had replaced holds again.

        Raises:
            ConflictError: others have since written on top of it, and no other error is on its way; that part stays.
        """
        kept = []
        while self._batches:
            try:
                self.store.revert(self._batches.pop())
            except ConflictError as error:
                logger.warning("left as it is: %s", error)
                kept.append(error)
        if kept and exc[:1] in ((), (None,)):
            raise kept[0]


def keys_of(encoder: Encoder, edits: Sequence[Edit]) -> dict[str, Keys]:
    """The keys that an edit is found by: of its statement and of its prompt (a free fact's statement again)."""
    keys = encoder.encode([e.statement for e in edits] + [e.prompt or e.statement for e in edits])
    return {"statement": keys[: len(edits)], "prompt": keys[len(edits) :]}


def user_turns(messages: Sequence[Message]) -> list[tuple[int, str]]:
    """Index and text of the user turns: the last one, which asks, and before it the latest 24 that hold text.

    The last one's text is empty where it holds none (an image alone, say).

    Raises:
        ConfigError: there is no user turn.
    """
    turns: list[tuple[int, str]] = []
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].get("role") == "user" and len(turns) <= EARLIER_TURNS:
            content: Any = messages[index].get("content")
            text = content if isinstance(content, str) else ""
            text = text or "\n".join(str(content[at]["text"]) for at in _text_parts(content))
            if text.strip() or not turns:
                turns.insert(0, (index, text))
    if not turns:
        raise ConfigError('no user turn in messages; give at least [{"role": "user", "content": "…"}]')
    return turns


def without_said(decisions: Sequence[Decision]) -> list[Decision]:
    """Decisions of a conversation's turns, verbatim edits of earlier ones left out: those were said, not read."""
    *earlier, last = decisions
    return [replace(d, in_scope=tuple(j for j in d.in_scope if not j.edit.verbatim)) for d in earlier] + [last]


def together(decisions: Sequence[Decision]) -> Decision:
    """The last turn's decision; after its own facts those of the earlier turns, the latest first, each once."""
    found: dict[str, Judged] = {}
    for decision in reversed(decisions):
        for judged in decision.in_scope:
            found.setdefault(judged.edit.edit_id, judged)
    return replace(decisions[-1], in_scope=tuple(found.values()))


def with_block(messages: Sequence[Message], turn: int, block: str) -> list[Message]:
    """New messages in which the text of one turn has ``block`` in front; the caller's are left alone."""
    content: Any = messages[turn]["content"]
    if isinstance(content, str):
        content = block + content
    else:
        first = _text_parts(content)[0]
        content = [*content[:first], {**content[first], "text": block + content[first]["text"]}, *content[first + 1 :]]
    return [*messages[:turn], {**messages[turn], "content": content}, *messages[turn + 1 :]]


def _text_parts(content: Any) -> list[int]:
    """Indices of the text parts of a message's content."""
    parts = content if isinstance(content, list) else []
    return [at for at, part in enumerate(parts) if isinstance(part, Mapping) and part.get("type") == "text"]


def is_verbatim(decision: Decision) -> bool:
    """Whether the top edit's own text is the answer."""
    return bool(decision.in_scope) and decision.in_scope[0].edit.verbatim
