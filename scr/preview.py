"""What would change if this fact were stored? Asked of the real decision, over the memory as it would then be.

Nothing is written. The questions are those the caller gives, what people allowed and denied so far, and the prompts of
the facts nearest to the new one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from memory_store.edit import Edit, PutResult
from memory_store.identity import normal
from scr.editor import RetrievalEditor, keys_of
from scr.protocols import Decision, Judged, Keys
from scr.scope.overlay import Overlaid

BATCH = 256
NEIGHBOURS = 8
"""Stored facts, nearest by either key, whose prompts are asked."""

Source = Literal["own", "neighbour", "said", "given"]
"""Of a question: the new fact's prompt, a near fact's, what people allowed or denied, or the caller."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question and what the new fact would do to it."""

    query: str
    source: Source
    of: Edit | None
    """The stored fact whose prompt it is."""
    probability: float | None
    """Of the new fact; None where it would be no candidate."""
    fires: bool
    before: tuple[Judged, ...] = ()
    """What fires now; filled in where the new fact would fire."""
    after: tuple[Judged, ...] = ()
    """What would fire then."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What storing one fact would do."""

    planned: PutResult
    """What ``put`` would say."""
    threshold: float
    questions: tuple[Question, ...] = ()

    @property
    def fires(self) -> tuple[Question, ...]:
        """Those on which the new fact would fire, the most probable first."""
        return tuple(sorted((q for q in self.questions if q.fires), key=lambda q: -(q.probability or 0.0)))

    @property
    def silent_neighbours(self) -> tuple[Question, ...]:
        """Prompts of near facts on which it would stay silent, the most probable first."""
        near = (q for q in self.questions if not q.fires and q.source == "neighbour")
        return tuple(sorted(near, key=lambda q: -(q.probability or 0.0)))


def preview(
    editor: RetrievalEditor,
    edit: Edit,
    queries: Sequence[str] = (),
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Preview:
    """Say what would change if ``edit`` were stored in its namespace.

    Args:
        queries: questions that are asked of the model in reality.
        progress: called with how many questions are decided, and how many there are.
    """
    store = editor.store
    (planned,) = editor.edit([edit], dry_run=True)
    if planned.status in ("duplicate", "conflict"):
        return Preview(planned, 0.0)
    edit = planned.edit
    keys = keys_of(editor.encoder, [edit])
    asked: dict[str, tuple[str, Source, Edit | None]] = {}
    near = neighbours(editor, edit, keys, planned.superseded)
    of_near: list[tuple[str, Source, Edit | None]] = [(e.prompt or e.statement, "neighbour", e) for e in near]
    said = [c.text for c in store.corrections(edit.namespace) if c.value is None]
    for query, source, of in [
        (edit.prompt or edit.statement, "own", None),
        *of_near,
        *((query, "said", None) for query in said),
        *((query, "given", None) for query in queries),
    ]:
        asked.setdefault(normal(query), (query, source, of))
    overlay = Overlaid(store, [edit], keys, planned.superseded)
    questions: list[Question] = []
    threshold = 0.0
    rows = list(asked.values())
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        decisions = editor.decide([query for query, _, _ in part], namespace=edit.namespace, overlay=overlay)
        firing = [query for (query, _, _), d in zip(part, decisions, strict=True) if edit.edit_id in d.edit_ids]
        now = dict(zip(firing, editor.decide(firing, namespace=edit.namespace), strict=True)) if firing else {}
        for row, decision in zip(part, decisions, strict=True):
            threshold = decision.threshold
            questions.append(_question(*row, edit.edit_id, decision, now.get(row[0])))
        if progress is not None:
            progress(len(questions), len(rows))
    return Preview(planned, threshold, tuple(questions))


def neighbours(
    editor: RetrievalEditor, edit: Edit, keys: Mapping[str, Keys], replaced: Sequence[str] = ()
) -> list[Edit]:
    """Return the stored edits nearest to a new one by its prompt or statement, nearest first."""
    best: dict[str, float] = {}
    for kind, rows in keys.items():
        k = NEIGHBOURS + len(replaced)
        (hits,) = editor.store.nearest(rows, k, kind=kind, namespace=edit.namespace)
        for hit in hits:
            best[hit.edit_id] = max(best.get(hit.edit_id, -1.0), hit.score)
    ids = sorted((i for i in best if i not in (*replaced, edit.edit_id)), key=lambda i: (-best[i], i))[:NEIGHBOURS]
    return editor.store.get_many(ids, namespace=edit.namespace)


def _question(
    query: str, source: Source, of: Edit | None, edit_id: str, decision: Decision, now: Decision | None
) -> Question:
    judged = (*decision.in_scope, *decision.near_misses)
    return Question(
        query,
        source,
        of,
        next((j.probability for j in judged if j.edit.edit_id == edit_id), None),
        edit_id in decision.edit_ids,
        () if now is None else now.in_scope,
        () if now is None else decision.in_scope,
    )
