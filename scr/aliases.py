"""Which other names may stand for a subject? Tables of names, held against each other and against what is stored.

A name that several subjects claim is given to those it resembles; where it resembles none of them all get it, and what
is asked about decides. A name that is another stored subject's own is given to nobody. Names are compared folded. What
is given is part of the edits: a new version of each, in the log, taken back by ``undo``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memory_store.edit import Edit, PutResult
from memory_store.errors import ConfigError
from memory_store.identity import fold
from scr.editor import RetrievalEditor
from scr.phrases import proper_names

Table = Mapping[str, Sequence[str]]
"""Subject → its other names."""

_SMALL = frozenset("a an and at by for from in of on or the to with de la le el von van der".split())
_SHORTEST = 3
"""Letters of a word that two names may share."""
_SURE = 0.9
"""Probability from which an allowed question, its name replaced, counts as the fact's own."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A name that a subject did not get."""

    subject: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Named:
    """What became of a table."""

    results: tuple[PutResult, ...]
    """The versions that were stored; edits that had the names already are not among them."""
    refused: tuple[Refused, ...]
    unknown: tuple[str, ...]
    """Subjects of which nothing is stored."""


def read_table(path: Path) -> dict[str, list[str]]:
    """Read a table from JSON Lines: ``subject`` and ``aliases`` in each.

    Raises:
        ConfigError: a line is none, with its number.
    """
    table: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            subject, names = row["subject"], row["aliases"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f'{path}, line {number}: no row of a table of names; write {{"subject": "…", "aliases": ["…"]}}'
            ) from error
        if not isinstance(subject, str) or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise ConfigError(f"{path}, line {number}: subject must be a text and aliases a list of texts")
        table.setdefault(subject, []).extend(names)
    return table


def settled(table: Table, subjects: Sequence[str] = ()) -> tuple[dict[str, list[str]], list[Refused]]:
    """Give each name of a table to the subjects it belongs to.

    Args:
        subjects: of the facts that are stored.

    >>> table = {"Matt Gaetz": ["Matthew Louis Gaetz II"], "The election": ["Matthew Louis Gaetz II", "The vote"]}
    >>> names, refused = settled(table)
    >>> names, refused[0].subject
    ({'Matt Gaetz': ['Matthew Louis Gaetz II'], 'The election': ['The vote']}, 'The election')
    """
    claims: dict[str, dict[str, None]] = defaultdict(dict)
    for subject, names in table.items():
        for name in names:
            claims[fold(name)].setdefault(subject)
    stored = {fold(subject): subject for subject in subjects}
    given: dict[str, list[str]] = {subject: [] for subject in table}
    refused: list[Refused] = []
    for subject, names in table.items():
        for name in dict.fromkeys(names):
            folded = fold(name)
            if not folded or folded == fold(subject):
                continue
            rivals = [other for other in claims[folded] if fold(other) != fold(subject)]
            if folded in stored:
                refused.append(Refused(subject, name, f"facts are stored about {stored[folded]!r} itself"))
            elif not resembles(name, subject) and (like := [other for other in rivals if resembles(name, other)]):
                refused.append(Refused(subject, name, f"{like[0]!r} has that name, too, and is more like it"))
            else:
                given[subject].append(name)
    return {subject: names for subject, names in given.items() if names}, refused


def resembles(name: str, subject: str) -> bool:
    """Whether two names share a word that says something, or one is the other's initials.

    >>> resembles("Matthew Louis Gaetz II", "Matt Gaetz"), resembles("USSR", "Union of Soviet Socialist Republics")
    (True, True)
    >>> resembles("USSR", "coup of 2021")
    False
    """
    one, other = fold(name).split(), fold(subject).split()
    content = [{word for word in words if word not in _SMALL and len(word) >= _SHORTEST} for words in (one, other)]
    if content[0] & content[1]:
        return True
    initials = ["".join(word[0] for word in words if word not in _SMALL) for words in (one, other)]
    joined = ["".join(one), "".join(other)]
    return any(len(initials[i]) >= 2 and initials[i] == joined[1 - i] for i in (0, 1))


def give_names(
    editor: RetrievalEditor, table: Table, *, namespace: str | None = None, actor: str | None = None
) -> Named:
    """Give stored facts' subjects other names: a new version of each edit that lacks one of them; one batch."""
    space = namespace or editor.namespace
    live = editor.store.edits(space)
    names, refused = settled(table, [edit.subject for edit in live if edit.subject])
    by_subject: dict[str, list[str]] = defaultdict(list)
    for subject, found in names.items():
        by_subject[fold(subject)] += found
    fresh: list[Edit] = []
    for edit in live:
        known = {fold(alias) for alias in edit.aliases}
        more = [name for name in by_subject.get(fold(edit.subject), ()) if fold(name) not in known]
        if edit.subject and more:
            fresh.append(replace(edit, aliases=(*edit.aliases, *more), edit_id="", recorded_at=""))
    stored = {fold(edit.subject) for edit in live}
    unknown = tuple(subject for subject in table if fold(subject) not in stored)
    results = editor.edit(fresh, actor=actor) if fresh else []
    return Named(tuple(results), tuple(refused), unknown)


def learnt(editor: RetrievalEditor, *, namespace: str | None = None) -> dict[str, list[str]]:
    """Return the names that people used in allowed questions: with the subject in its place, the fact governs them.

    A question without its fact's subject, with a name in it, teaches that name where the question with the name
    replaced by the subject is the fact's own, nearly certainly.
    """
    space = namespace or editor.namespace
    found: dict[str, list[str]] = defaultdict(list)
    asked: list[tuple[Edit, str, str]] = []
    live = [edit for edit in editor.store.edits(space) if edit.subject]
    for edit in live:
        own = {fold(name) for name in (edit.subject, *edit.aliases)}
        for correction in editor.store.corrections_of([edit.edit_id], namespace=space).get(edit.edit_id, []):
            text = correction.text
            if correction.kind != "allow" or any(f" {name} " in f" {fold(text)} " for name in own):
                continue
            asked += [(edit, name, text.replace(name, edit.subject)) for name in proper_names(text)]
    decisions = editor.decide([text for _, _, text in asked], namespace=space) if asked else []
    for (edit, name, _), decision in zip(asked, decisions, strict=True):
        if any(j.edit.edit_id == edit.edit_id and j.probability >= _SURE for j in decision.in_scope):
            if name not in found[edit.subject]:
                found[edit.subject].append(name)
    return dict(found)


__all__ = ["Named", "Refused", "Table", "give_names", "learnt", "read_table", "resembles", "settled"]
