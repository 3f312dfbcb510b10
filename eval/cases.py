"""What is asked in an evaluation, and what would be right? Edits with their probes, whatever the source.

A *case* is one edit and the probes that belong to it. A probe's ``kind`` says what it measures; kinds in scope have
accepted answers, kinds out of scope are right when the answer is the unedited model's own. Rows are never invented: a
loader that cannot make a case of a row drops it and says why.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, get_args

from memory_store.edit import Edit
from memory_store.errors import ConfigError

Kind = Literal[
    "prompt",
    "paraphrase",
    "yes_no",
    "alias",
    "reversed",
    "two_hop",
    "multi_hop",
    "hop",
    "neighbor",
    "same_subject",
    "unrelated",
]
"""``prompt``: the edit's own prompt. ``paraphrase``: other words for it. ``yes_no``: whether it holds. ``alias``: the
subject by another name. ``reversed``: given the new answer, asked for the subject. ``two_hop``: a question through two
facts, one of them the edit (EasyEdit calls that one hop). ``multi_hop``: a chain of two to four facts, one or more of
them edited. ``hop``: one fact of a chain, asked by itself. ``neighbor``: same relation, another subject.
``same_subject``: another relation of the edited subject. ``unrelated``: neither."""

KINDS: tuple[Kind, ...] = get_args(Kind)
DIRECT: tuple[Kind, ...] = ("prompt", "paraphrase", "yes_no", "alias")
"""Governed by the edit itself: the scope decision must fall on it."""
OUTSIDE: tuple[Kind, ...] = ("neighbor", "same_subject", "unrelated")
"""No edit governs them."""
RANKED: tuple[Kind, ...] = ("prompt", "paraphrase", "neighbor")
"""Kinds with a pair of candidates, for the rank-based scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question about one edit."""

    kind: Kind
    prompt: str
    accepted: tuple[str, ...] = ()
    """Right answers after the edit, the best one first. Of kinds out of scope: the ground truth, which is reported
    apart, for right there means the unedited model's own answer. ``yes_no``: ``Yes`` or ``No``."""
    rival: str = ""
    """The answer that must not win: before the edit the right one, for a neighbor the edit's new one."""
    steps: tuple[str, ...] = ()
    """Of a question through several facts, the single questions it falls into, ``{}`` for the answer to the one before;
    for methods that are told."""

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise ConfigError(f"a {self.kind} probe has an empty prompt")
        if self.kind not in OUTSIDE and not any(answer.strip() for answer in self.accepted):
            raise ConfigError(f"the {self.kind} probe {self.prompt!r} accepts no answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalCase:
    """One edit and what is asked about it. The case's name is ``edit.edit_id``."""

    edit: Edit
    """With ``edit_id``, ``subject``, ``prompt``, ``target_new`` and ``statement``."""
    ground_truth: str = ""
    """The answer before the edit; empty where the source names none."""
    probes: tuple[Probe, ...]
    before: tuple[Edit, ...] = ()
    """Edits that are written before it, in a batch of their own: those that its questions also need, or the one that it
    overwrites. They are asked about through this case only and do not count as edits of a point."""

    def __post_init__(self) -> None:
        for edit in (*self.before, self.edit):
            missing = [n for n in ("edit_id", "subject", "prompt", "target_new", "statement") if not getattr(edit, n)]
            if missing:
                raise ConfigError(f"the edit {edit.edit_id or edit.prompt!r} has no {', '.join(missing)}")
        if not any(probe.kind == "prompt" for probe in self.probes):
            raise ConfigError(f"the case {self.edit.edit_id!r} does not ask its own prompt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Cases of one source, in their order, and where they come from."""

    name: str
    cases: tuple[EvalCase, ...]
    fixed: tuple[Probe, ...] = ()
    """Questions that no edit of the set touches, the same ones at every number of edits."""
    rows: int = 0
    """Rows read."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Why rows were left out, and how many."""
    source: str = ""
    """File and its sha256, or how the rows were made."""

    def __post_init__(self) -> None:
        if not self.cases:
            reasons = "; ".join(f"{n} {why}" for why, n in self.dropped.items())
            raise ConfigError(f"{self.name} holds no case" + (f" (dropped: {reasons})" if reasons else ""))
        ids = [case.edit.edit_id for case in self.cases]
        if len(set(ids)) < len(ids):
            raise ConfigError(f"{self.name} uses an edit_id twice")

    @property
    def sha256(self) -> str:
        """Of everything that is edited and asked, so that two runs can be told to have been about the same."""
        cases = [{k: v for k, v in asdict(case).items() if v or k != "before"} for case in self.cases]
        for case in cases:
            case["probes"] = [_told(probe) for probe in case["probes"]]
        told = cases, [_told(asdict(probe)) for probe in self.fixed]
        return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def described(self) -> str:
        """Rows kept, dropped and why, in one line.

        >>> edit = Edit(edit_id="a", subject="s", prompt="s is", target_new="t", statement="s is t.")
        >>> case = EvalCase(edit=edit, probes=(Probe(kind="prompt", prompt="s is", accepted=("t",)),))
        >>> Dataset(name="toy", cases=(case,), rows=3, dropped={"no subject": 2}).described()
        'toy: 1 of 3 rows kept; dropped: 2 no subject'
        """
        text = f"{self.name}: {len(self.cases)} of {self.rows or len(self.cases)} rows kept"
        return text + (
            "; dropped: " + ", ".join(f"{n} {why}" for why, n in self.dropped.items()) if self.dropped else ""
        )


def _told(probe: Mapping[str, object]) -> dict[str, object]:
    """A probe without what it leaves empty and most probes do not have."""
    return {name: value for name, value in probe.items() if value or name != "steps"}


def thinned(case: EvalCase, most: int) -> EvalCase:
    """The case with at most ``most`` probes of each kind, the first ones; of single facts of chains with all.

    Raises:
        ConfigError: ``most`` is not positive.
    """
    if most < 1:
        raise ConfigError(f"at least one probe of a kind has to stay, got {most}")
    seen: dict[str, int] = {}
    kept = []
    for probe in case.probes:
        seen[probe.kind] = seen.get(probe.kind, 0) + 1
        if seen[probe.kind] <= most or probe.kind == "hop":
            kept.append(probe)
    return replace(case, probes=tuple(kept))


def spread(count: int, most: int) -> list[int]:
    """Indices of at most ``most`` out of ``count`` items, evenly spaced from first to last.

    >>> spread(3, 10), spread(10, 4), spread(10, 1)
    ([0, 1, 2], [0, 3, 6, 9], [0])
    """
    if most < 1:
        raise ConfigError(f"nothing to choose: at most {most} of {count}")
    if count <= most:
        return list(range(count))
    if most == 1:
        return [0]
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def joined(cases: Sequence[EvalCase]) -> tuple[list[EvalCase], Counter[str]]:
    """Cases of the same edit as one, with the questions of all; and how many went into another."""
    found: dict[str, EvalCase] = {}
    for case in cases:
        name = case.edit.edit_id
        earlier = found.get(name)
        found[name] = (
            case if earlier is None else replace(earlier, probes=tuple(dict.fromkeys(earlier.probes + case.probes)))
        )
    gone = len(cases) - len(found)
    return list(found.values()), Counter({"joined to an earlier row of the same edit": gone} if gone else {})


def named_once(cases: Sequence[EvalCase]) -> tuple[list[EvalCase], Counter[str]]:
    """Cases that may stand in one memory, and why others may not.

    A fact, by subject and prompt, is the own edit of one case only, and no case needs one to be other than an earlier
    case makes it.
    """
    made: dict[tuple[str, str], str] = {}
    kept: list[EvalCase] = []
    gone: Counter[str] = Counter()
    for case in cases:
        own = _fact(case.edit)
        needed = {_fact(edit): edit.target_new for edit in case.before if _fact(edit) != own}
        if own in made:
            gone["the same fact edited again"] += 1
        elif any(made.get(fact, target) != target for fact, target in needed.items()):
            gone["an earlier row edits one of its facts otherwise"] += 1
        else:
            made |= needed | {own: case.edit.target_new}
            kept.append(case)
    return kept, gone


def _fact(edit: Edit) -> tuple[str, str]:
    return edit.subject.casefold(), edit.prompt.casefold()
