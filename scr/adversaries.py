"""Which questions look like a fact's own and are not? Made from its prompt, to be asked before it is stored.

Another name in the subject's place, another number, another relation of the same subject; not a "not", which the scope
decision does not see: every fact would fire on it, and denying that one text would help nobody. A fact that would fire
on one of them gets a threshold of its own, just above what it reached there: never above ``HIGHEST``, since other
wordings of its question reach less than its prompt does, nor above what its prompt reaches. A question that reaches
more is denied by itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from memory_store.corrections import Said
from memory_store.edit import Edit, PutResult
from memory_store.identity import fold, names_of
from scr.editor import RetrievalEditor
from scr.preview import neighbours
from scr.protocols import Keys
from scr.scope.corrections import ALLOWED
from scr.scope.overlay import Overlaid
from scr.scope.thesaurus import RIVALS, exclude_each_other, same_meaning, stem

Kind = Literal["another name", "another number", "another relation"]
MOST_OF_A_KIND = 3
MARGIN = 1e-4
"""How far above the most probable of them the threshold is put."""
HIGHEST = 0.8
"""No threshold of an edit's own is set higher: on the development data, where it was chosen, 0.8 costs 1 of 187
wordings that fired, and one that would silence a "not" (0.99) two of three."""

_NAMES = (
    "Norway", "Lisbon", "Rotterdam", "Ann Keller", "Tomas Vega", "Lake Verne", "Acorn Ltd", "Harbour Bank",
    "the green line", "the spare key", "Mount Ferris", "New Bergen", "The Silent Orchard", "Maria Jane Holt",
    "Saint Olaf Bridge", "University of Tarn", "Castle of the Winds",
)  # fmt: skip
"""Stand in where the memory holds no other name of the same form; nothing is said of them."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Adversary:
    """A question that must not fire the fact."""

    query: str
    kind: Kind


def adversaries(edit: Edit, names: Sequence[str] = ()) -> list[Adversary]:
    """Return questions made from an edit's prompt that it does not answer; none where it has no subject in its prompt.

    Args:
        names: subjects of other facts; those of the same form stand in the subject's place.
    """
    at = edit.prompt.find(edit.subject) if edit.subject else -1
    if at < 0:
        return []
    before, after = edit.prompt[:at], edit.prompt[at + len(edit.subject) :]
    made = [Adversary(f"{before}{name}{after}", "another name") for name in _other_names(edit, names)]
    made += [Adversary(text, "another number") for text in _renumbered(before, edit.subject, after)]
    made += [Adversary(text, "another relation") for text in _other_relations(before, edit.subject, after, edit)]
    unique = {fold(one.query): one for one in reversed(made) if fold(one.query) != fold(edit.prompt)}
    return list(reversed(unique.values()))


def silenced(editor: RetrievalEditor, planned: PutResult, keys: Mapping[str, Keys]) -> list[Said]:
    """Return what keeps a new fact from firing on its adversaries: a threshold of its own, and denials.

    They are asked of the real decision, over the memory as it would be with the fact in it; what people allowed stays
    allowed.

    Args:
        planned: what ``put`` would do with it.
        keys: as ``put`` takes them, one row each.
    """
    edit = planned.edit
    if planned.status not in ("added", "superseded") or not edit.prompt:
        return []
    near = neighbours(editor, edit, keys, planned.superseded)
    made = adversaries(edit, [one.subject for one in near if one.subject])
    if not made:
        return []
    overlay = Overlaid(editor.store, [edit], keys, planned.superseded)
    asked = [edit.prompt, *(one.query for one in made)]
    decisions = editor.decide(asked, namespace=edit.namespace, overlay=overlay)
    judged = [next((j for j in d.in_scope if j.edit.edit_id == edit.edit_id), None) for d in decisions]
    ceiling = min(HIGHEST, judged[0].probability if judged[0] is not None else 0.0)
    fired = [
        (one.query, j.probability) for one, j in zip(made, judged[1:], strict=True) if j and ALLOWED not in j.evidence
    ]
    below = [(probability, query) for query, probability in fired if probability + MARGIN <= ceiling]
    said = [Said("deny", query, why={"by": "check"}) for query, probability in fired if probability + MARGIN > ceiling]
    if below:
        probability, query = max(below)
        said.append(Said("threshold", editor.scope.name, probability + MARGIN, {"by": "check", "because": query}))
    return said


def _other_names(edit: Edit, names: Sequence[str]) -> list[str]:
    own = {word for name in names_of(edit) for word in name.split()}
    form = _form(edit.subject)
    alike = [name for name in (*dict.fromkeys(names), *_NAMES) if _form(name) == form]
    other = [name for name in alike if not own & set(fold(name).split())]
    return (other or [name for name in _NAMES if not own & set(fold(name).split())])[:MOST_OF_A_KIND]


def _form(name: str) -> tuple[int, bool, bool]:
    """How many words (three and more alike), whether it begins with a capital, whether it holds a number."""
    return min(len(name.split()), 3), name[:1].isupper(), bool(_NUMBER.search(name))


def _renumbered(before: str, subject: str, after: str) -> list[str]:
    text = before + subject + after
    made = []
    for match in list(_NUMBER.finditer(text))[:MOST_OF_A_KIND]:
        if len(match[0]) < 9:
            made.append(f"{text[: match.start()]}{int(match[0]) + 1}{text[match.end() :]}")
    return made


def _other_relations(before: str, subject: str, after: str, edit: Edit) -> list[str]:
    """The prompt with a word that says what is asked exchanged for one that asks for something else."""
    text = f"{before}\0{after}"
    words = [word for word in re.findall(r"[^\W\d_]+(?![\w'’])", text) if not word[0].isupper()]
    stems = [stem(word.lower()) for word in words]
    held = {stem(word) for word in fold(f"{edit.statement} {edit.target_new}").split()} - {stem(fold(subject))}
    made: list[str] = []
    for line in RIVALS:
        concepts = [concept.split() for concept in line.split("|")]
        for word, of_word in zip(words, stems, strict=True):
            if not any(word.lower() in concept for concept in concepts):
                continue
            for concept in concepts:
                other = concept[0]
                if not exclude_each_other(of_word, stem(other)):
                    continue
                if any(same_meaning(stem(other), held_stem) for held_stem in (*stems, *held)):
                    continue
                changed = re.sub(rf"\b{re.escape(word)}\b", other, text, count=1).replace("\0", subject)
                if changed not in made:
                    made.append(changed)
    return made[:: max(1, len(made) // MOST_OF_A_KIND)][:MOST_OF_A_KIND]
