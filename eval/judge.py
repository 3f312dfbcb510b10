"""What does a language model think of the answers of a run? An optional judge at any OpenAI-compatible address.

Each question whose right answer is known is put to it with the accepted answers and what was said; it replies CORRECT
or INCORRECT. The verdicts lie in ``judged.jsonl`` beside the run, each (question, answer) once, so that judging goes on
where it was interrupted; figures by the judge stand in columns of their own. An empty answer is wrong without asking.
Rules of the judgement: arXiv:2502.11177.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.runner import METHODS_FOLDER, Journal, file_of, read_manifest
from memory_store.errors import ConfigError

JUDGED_FILE = "judged.jsonl"
_ASKED = """Judge whether an answer to a question is right.

It is CORRECT if it says one of the accepted answers, in whatever words. It is INCORRECT if it says something else, \
contradicts itself, repeats the answer over and over, or lists several answers of which one is right.

Question: {question}
Accepted answers: {accepted}
Answer to judge: {answer}

Reply with one word, CORRECT or INCORRECT."""

_NO = r"(?P<no>\bin\s*|\bnot\s+|n['\u2019]t\s+)?"
_BEGINS = re.compile(rf"{_NO}correct(?=[.!:,;\n]|$)", re.IGNORECASE)
_ENDS = re.compile(rf"{_NO}correct$", re.IGNORECASE)

Key = tuple[str, tuple[str, ...], str]
"""Question, accepted answers, answer."""


def verdict_of(reply: str) -> bool | None:
    """The verdict with which a judge's reply begins or ends; None where it does neither.

    >>> verdict_of("INCORRECT"), verdict_of("The answer is correct."), verdict_of("It is not correct.")
    (False, True, False)
    >>> verdict_of("Is this correct? I cannot tell.") is None
    True
    """
    said = reply.strip().strip("\"'*.!` ")
    m = _BEGINS.match(said) or _ENDS.search(said)
    return None if m is None else m["no"] is None


def key_of(row: Mapping[str, Any]) -> Key:
    return row["prompt"], tuple(row["accepted"]), row["answer"]


def verdicts(out: Path) -> dict[Key, bool]:
    """What was judged so far in a run's folder; empty where nobody judged."""
    return {key_of(row): row["correct"] for row in Journal.read(out / JUDGED_FILE) if row["correct"] is not None}


def judge(
    out: Path,
    ask: Callable[[str], str],
    *,
    name: str,
    methods: Sequence[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, int]:
    """Judge what is not judged yet.

    Args:
        ask: a judge's reply to a text.
        name: the judge's; all verdicts of a folder are of one.
        methods: labels whose answers are judged; None is all.

    Returns:
        How many were ``judged`` now, and how many replies held no verdict (``unclear``).

    Raises:
        ConfigError: no run there, an unknown method, verdicts of another judge, or whatever ``ask`` raises.
    """
    labels = list(read_manifest(out)["methods"])
    unknown = [label for label in methods or () if label not in labels]
    if unknown:
        raise ConfigError(f"{out} holds no method {unknown[0]!r}; it has {', '.join(labels)}")
    todo: dict[Key, None] = {}
    for label in methods or labels:
        for row in Journal.read(out / METHODS_FOLDER / file_of(label)):
            if row.get("right") is not None:
                todo[key_of(row)] = None
    told = {"judged": 0, "unclear": 0}
    with Journal(out / JUDGED_FILE) as journal:
        others = {row["judge"] for row in journal.rows} - {name}
        if others:
            raise ConfigError(
                f"{out / JUDGED_FILE} is of the judge {others.pop()!r}; take that one, or move the file away"
            )
        have = {key_of(row) for row in journal.rows}
        missing = [key for key in todo if key not in have]
        for number, (question, accepted, answer) in enumerate(missing, start=1):
            reply = ""
            if answer.strip():
                reply = ask(_ASKED.format(question=question, accepted="; ".join(accepted), answer=answer))
            correct = verdict_of(reply) if answer.strip() else False
            told["judged"] += 1
            told["unclear"] += correct is None
            row = {"prompt": question, "accepted": list(accepted), "answer": answer, "correct": correct}
            journal.add([{**row, "judge": name, "reply": reply[:200]}])
            if progress is not None:
                progress("judged", number, len(missing))
    return told


def remote(address: str, model: str, *, seconds: float = 60.0) -> Callable[[str], str]:
    """A judge at ``address``, such as http://localhost:8000/v1; the key, if it wants one, is in OPENAI_API_KEY.

    Raises:
        ConfigError: the address is not one of the web; when asked, nobody answers there, or not as the protocol says.
    """
    if not address.startswith(("http://", "https://")):
        raise ConfigError(
            f"an address begins with http:// or https://, such as http://localhost:8000/v1; got {address!r}"
        )
    where = address.rstrip("/") + "/chat/completions"
    headers = {"Content-Type": "application/json"}
    key = os.environ.get("OPENAI_API_KEY")

    def ask(text: str) -> str:
        messages = [{"role": "user", "content": text}]
        body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 16}
        try:
            request = urllib.request.Request(where, json.dumps(body).encode(), headers)
            if key:
                request.add_unredirected_header("Authorization", f"Bearer {key}")  # for this address and no other
            with urllib.request.urlopen(request, timeout=seconds) as reply:
                return str(json.load(reply)["choices"][0]["message"]["content"] or "")
        except urllib.error.HTTPError as error:
            raise ConfigError(
                f"{where} refuses: {error.code} {error.reason}; check --model, and OPENAI_API_KEY"
            ) from error
        except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError) as error:
            raise ConfigError(f"no judge at {where} ({error}); start one there, and run the same command") from error

    return ask


__all__ = ["JUDGED_FILE", "judge", "remote", "verdict_of", "verdicts"]
