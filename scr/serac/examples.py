"""What is learnt from? One JSON object a line: an edit, queries in its scope with their answers, queries outside it.

    {"statement": "…", "prompt": "…", "target_new": "…", "subject": "…",
     "in_scope": [{"query": "…", "answer": "…"}, "…"], "out_of_scope": ["…"]}

A query in scope that is a bare string is answered by ``target_new``; without either it teaches the classifier alone.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory_store.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Asked:
    """A query in scope."""

    query: str
    answer: str = ""
    """What it is to be answered with; empty where nothing is known, and then it is no lesson in answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One edit and what may be asked around it."""

    statement: str
    target_new: str = ""
    subject: str = ""
    in_scope: tuple[Asked, ...] = ()
    out_of_scope: tuple[str, ...] = ()


def read_examples(file: str | os.PathLike[str]) -> list[Example]:
    """Read a JSONL; the edit's own prompt counts as in scope.

    Raises:
        ConfigError: no such file, a line that is no such object, or no line; names the line.
    """
    path = Path(file)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}; give a JSONL of edits, see scr train --help") from error
    examples = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                examples.append(_example(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
                raise ConfigError(
                    f"{path} line {number} is no edit with its queries: {reason}; wanted "
                    '{"statement": "…", "target_new": "…", "in_scope": ["…"], "out_of_scope": ["…"]}'
                ) from error
    if not examples:
        raise ConfigError(f"{path} holds no edits; write one JSON object a line, see scr train --help")
    return examples


def split(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """(to train on, to evaluate on): whole subjects, drawn by a hash of the name, so that none is on both sides."""
    if not 0 < share < 1:
        raise ConfigError(f"the share to evaluate on is {share}, wanted between 0 and 1")
    train: list[Example] = []
    held: list[Example] = []
    for example in examples:
        digest = hashlib.sha256(f"{seed} {(example.subject or example.statement).casefold()}".encode()).digest()
        (held if int.from_bytes(digest[:4], "big") < share * 2**32 else train).append(example)
    return train, held


def _example(row: Any) -> Example:
    if not isinstance(row, Mapping):
        raise TypeError(f"it is {type(row).__name__}")
    statement, target = _text(row["statement"], "statement"), _text(row.get("target_new", ""), "target_new")
    prompt = _text(row.get("prompt", ""), "prompt")
    own = [Asked(prompt, target)] if prompt.strip() else []
    if not statement.strip():
        raise ValueError("its statement is empty")
    return Example(
        statement=statement,
        target_new=target,
        subject=_text(row.get("subject", ""), "subject"),
        in_scope=tuple(dict.fromkeys([*own, *(_asked(one, target) for one in row.get("in_scope", ()))])),
        out_of_scope=tuple(_text(query, "out_of_scope") for query in row.get("out_of_scope", ())),
    )


def _asked(one: Any, target: str) -> Asked:
    if isinstance(one, Mapping):
        return Asked(_text(one["query"], "query"), _text(one.get("answer", target), "answer"))
    return Asked(_text(one, "in_scope"), target)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {type(value).__name__}, wanted text")
    return value


__all__ = ["Asked", "Example", "read_examples", "split"]
