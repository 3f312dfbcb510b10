"""How does what a user typed become an Edit? Parsed where the parser is sure, stored as a free fact where it is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memory_store.edit import Edit
from memory_store.errors import ConfigError, InvalidEditError
from scr.statement import MIN_CONFIDENCE, from_question, from_triple, parse


@dataclass(frozen=True, slots=True)
class Reading:
    """An edit and how it was arrived at."""

    edit: Edit
    confidence: float
    """That subject, prompt and target are right, in [0, 1]; 1 where the caller gave them."""
    committed: bool
    """False: stored as a free fact, which supersedes nothing."""


def read_fact(
    statement: str | None = None,
    *,
    question: str | None = None,
    answer: str | None = None,
    triple: tuple[str, str, str] | None = None,
    subject: str | None = None,
    prompt: str | None = None,
    target: str | None = None,
    **fields: Any,
) -> Reading:
    """Make an edit from a sentence, from a question and its answer, or from a triple.

    ``subject``, ``prompt`` and ``target`` override what the parser found; ``fields`` are the Edit's others.

    Raises:
        ConfigError: none or several of the three forms were given, or only half of a question and answer.
        InvalidEditError: the text is empty.
    """
    if (question is None) != (answer is None):
        raise ConfigError("a question needs its answer: give both, as in  -q 'Who is the CEO?' -a 'Jane Roe'")
    if sum(form is not None for form in (statement, question, triple)) != 1:
        raise ConfigError("give one fact: a sentence, or a question and its answer, or a triple")
    if question is not None and answer is not None:
        if not question.strip() or not answer.strip():
            raise InvalidEditError("the question or the answer is empty; give both")
        parsed = from_question(question.strip(), answer.strip(), subject=subject)
    elif triple is not None:
        if not all(part.strip() for part in triple):
            raise InvalidEditError("a part of the triple is empty; give subject, relation and object")
        parsed = from_triple(*(part.strip() for part in triple))
        fields.setdefault("relation", triple[1].strip())
    else:
        parsed = parse(statement or "")
    given = {"subject": subject, "prompt": prompt, "target_new": target}
    overridden: Mapping[str, str] = {name: text.strip() for name, text in given.items() if text is not None}
    found = {"subject": parsed.subject, "prompt": parsed.prompt, "target_new": parsed.target_new}
    committed = statement is None or parsed.confidence >= MIN_CONFIDENCE or set(overridden) == set(given)
    if not committed:
        found = dict.fromkeys(found, "")
    found.update(overridden)
    if overridden and all(found.values()):
        committed = True
    # Verbatim, the stored text is the answer itself, and the question no part of it.
    verbatim_answer = answer.strip() if answer is not None and fields.get("verbatim") else None
    edit = Edit(
        statement=verbatim_answer or parsed.statement,
        subject=found["subject"],
        prompt=found["prompt"],
        target_new=found["target_new"],
        **fields,
    )
    return Reading(edit, 1.0 if set(overridden) == set(given) else parsed.confidence, committed)
