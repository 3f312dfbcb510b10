"""What the parts promise each other. Read this first.

Every method is batched; a single item is a batch of one. Rows of an array are texts or edits; a key is a unit
float32 vector. A decider or encoder never changes what it is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from memory_store.corrections import Correction
from memory_store.edit import Edit, PutResult

Keys = NDArray[np.float32]
"""Unit rows, shape (texts, d_key)."""

Route = Literal["base", "context", "counterfactual", "verbatim"]


class Encoder(Protocol):
    """Texts to keys."""

    @property
    def fingerprint(self) -> str:
        """Model, revision and pooling; a store refuses keys of another one."""

    @property
    def d_key(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Keys:
        """Return unit rows, shape (len(texts), d_key), float32; the order is the texts'."""


class LanguageModel(Protocol):
    """A frozen model. The space between a prompt and its continuation belongs to the continuation."""

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        """Greedy continuations without the prompts."""

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        """For each (prompt, continuation): summed log-probability (nats), its tokens, whether all are greedy."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An edit that recall found for a query."""

    edit: Edit
    scores: Mapping[str, float]
    """Cosine of the query with each stored kind of key (``statement``, ``prompt``), in [-1, 1]."""
    corrections: tuple[Correction, ...] = ()
    """What people said about when it fires; only ``scr.scope.corrections`` reads it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate after the pair decision."""

    edit: Edit
    probability: float
    """That the edit governs the query, in [0, 1]."""
    evidence: Mapping[str, float] = field(default_factory=dict)
    """What the decision rests on, by name, for people."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One fact inside a question, found before the question was asked."""

    phrase: str
    """The words of the question that stood for it."""
    answer: str
    """What stands in their place from then on."""
    judged: Judged | None = None
    """The edit that says so; None where the model did."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Which edits govern one query."""

    in_scope: tuple[Judged, ...] = ()
    """Probability at or above the threshold, most probable first."""
    near_misses: tuple[Judged, ...] = ()
    """Below it, most probable first."""
    threshold: float = 0.5
    failed: str = ""
    """Why no decision could be made; then nothing is in scope."""
    hops: tuple[Hop, ...] = ()
    """Facts inside the query that were found first; then the decision is about ``asked`` (``scr.chain``)."""
    asked: str = ""
    """What the hops left of the query; empty where there was none."""

    @property
    def edit_ids(self) -> tuple[str, ...]:
        return tuple(j.edit.edit_id for j in self.in_scope)

    @property
    def probabilities(self) -> tuple[float, ...]:
        return tuple(j.probability for j in self.in_scope)


class ScopeClassifier(Protocol):
    """The pair decision: queries and their candidates in, one decision each out.

    One query's decision never depends on the other queries of the batch.
    """

    @property
    def name(self) -> str:
        """As users select it: ``pair``, ``cosine``, ``llm``."""

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]: ...


class CounterfactualModel(Protocol):
    """Answers from an edit alone: SERAC's second route. It never sees the model that is edited."""

    def answer(self, pairs: Sequence[tuple[Edit, str]], *, max_new_tokens: int) -> list[str]:
        """What each query is answered with, given that its edit holds."""

    def log_likelihood(self, triples: Sequence[tuple[Edit, str, str]]) -> list[tuple[float, int, bool]]:
        """For each (edit, query, continuation), as ``LanguageModel.log_likelihood``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said and why."""

    text: str
    route: Route
    used: tuple[Judged, ...] = ()
    near_misses: tuple[Judged, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    hops: tuple[Hop, ...] = ()
    """Facts inside the question that were found first, in their order; ``used`` holds those of the memory too."""
    asked: str = ""
    """What the hops left to ask; empty where the question was asked as it came."""


class Editor(Protocol):
    """Anything that edits: the retrieval editor here, the weight editors of ``eval.editors``.

    A context manager that undoes everything on exit. A weight editor forgets by restoring the base weights and
    re-applying the remaining edits in order.
    """

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]: ...

    def forget(self, edit_ids: Sequence[str]) -> None: ...

    def answer(self, prompts: Sequence[str]) -> list[Answer]: ...

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]: ...

    def __enter__(self) -> "Editor": ...

    def __exit__(self, *exc: object) -> None: ...


__all__ = [
    "Answer",
    "Candidate",
    "CounterfactualModel",
    "Decision",
    "Editor",
    "Encoder",
    "Hop",
    "Judged",
    "Keys",
    "LanguageModel",
    "Route",
    "ScopeClassifier",
]
