"""Does every fact fire where it should, and nowhere it was denied? An edit's own prompt and what people said, as tests.

Each check is one question that goes through the real decision. A fact's own prompt (a free fact's statement) and the
questions allowed for it must fire it; the questions denied for it must not.
"""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from memory_store.edit import DEFAULT_NAMESPACE, Edit
from memory_store.identity import identity_of, normal
from memory_store.store import EditStore
from scr.editor import RetrievalEditor, is_verbatim
from scr.protocols import Decision, Judged

BATCH = 256
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Check:
    """One question and what it has to do with one edit."""

    edit: Edit
    query: str
    source: Literal["own", "allowed", "denied"]
    """Its own prompt or statement, or said by people."""

    @property
    def must_fire(self) -> bool:
        return self.source != "denied"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the decision made of a check."""

    check: Check
    passed: bool
    probability: float | None
    """Of the edit; None where it was no candidate."""
    threshold: float
    instead: tuple[Judged, ...]
    """What fired, other than the edit."""
    failed: str = ""
    """Why no decision could be made."""


def checks_of(store: EditStore, namespace: str = DEFAULT_NAMESPACE) -> list[Check]:
    """Return the checks of every edit that is valid now, in stored order; each question once for an edit.

    What was said takes the place of the own prompt: a prompt that people denied is not expected to fire.
    """
    said: dict[str, list[tuple[str, Literal["allowed", "denied"]]]] = {}
    for correction in store.corrections(namespace):
        if correction.kind in ("allow", "deny"):
            word: Literal["allowed", "denied"] = "allowed" if correction.kind == "allow" else "denied"
            said.setdefault(correction.identity, []).append((correction.text, word))
    checks = []
    for edit in store.edits(namespace):
        of_edit = said.get(identity_of(edit), []) if said else []
        own = edit.prompt or edit.statement
        if normal(own) not in [normal(query) for query, _ in of_edit]:
            checks.append(Check(edit, own, "own"))
        checks += [Check(edit, query, source) for query, source in of_edit]
    return checks


def run(
    editor: RetrievalEditor,
    checks: Sequence[Check],
    *,
    namespace: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """Put each check's question to the decision.

    Args:
        progress: called with how many are done, and how many there are.
    """
    outcomes: list[Outcome] = []
    for start in range(0, len(checks), BATCH):
        part = checks[start : start + BATCH]
        decisions = editor.decide([check.query for check in part], namespace=namespace)
        outcomes += map(outcome, part, decisions)
        if progress is not None:
            progress(len(outcomes), len(checks))
    return outcomes


def outcome(check: Check, decision: Decision) -> Outcome:
    """Compare one decision with what was expected; a verbatim edit above it keeps an edit from being used."""
    edit_id = check.edit.edit_id
    used = decision.in_scope[:1] if is_verbatim(decision) else decision.in_scope
    fired = edit_id in [judged.edit.edit_id for judged in used]
    judged = (*decision.in_scope, *decision.near_misses)
    return Outcome(
        check,
        fired == check.must_fire,
        next((j.probability for j in judged if j.edit.edit_id == edit_id), None),
        decision.threshold,
        tuple(j for j in used if j.edit.edit_id != edit_id),
        decision.failed,
    )


def as_junit(outcomes: Sequence[Outcome], told: Callable[[Outcome], str], namespace: str) -> bytes:
    """Return JUnit XML, which test runners' reports read: a test case for each check, a class for each edit.

    Args:
        told: a failed outcome in words.
    """
    failures = sum(not outcome.passed for outcome in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failures), "errors": "0", "skipped": "0"}
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": _text(f"scr test {namespace}"), **counts})
    seen: Counter[tuple[str, str]] = Counter()
    for one in outcomes:
        name = f"{'must fire' if one.check.must_fire else 'must not fire'}: {one.check.query}"
        seen[one.check.edit.edit_id, name] += 1
        if (again := seen[one.check.edit.edit_id, name]) > 1:
            name += f" ({again})"
        case = ET.SubElement(
            suite, "testcase", {"classname": _text(one.check.edit.edit_id), "name": _text(name), "time": "0"}
        )
        if not one.passed:
            message = _text(told(one))
            ET.SubElement(case, "failure", {"message": message, "type": "scope"}).text = message
    ET.indent(suites)
    return ET.tostring(suites, encoding="utf-8", xml_declaration=True)


def _text(text: str) -> str:
    """``text`` without the characters that XML does not have."""
    return _NO_XML.sub("\ufffd", text)
