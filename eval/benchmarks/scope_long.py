"""Does the scope decision find a question inside a long text, and does a long text without one stay silent?

    python -m eval.benchmarks.scope_long --data ../shared/data [--per-kind 300] [--edits 4622] [--json]

Rows are made from the questions of ``scope_dev_queries`` and paragraphs of ``text_wikitext2_valid`` (carriers), the
same for the same seed: the question at the ``start``, in the ``middle`` or at the ``end`` of a pasted document;
``two_questions`` in one message; ``few_shot``: behind solved examples of other questions; ``system``: behind a long
system prompt; ``carrier``: paragraphs alone. All edits stand in one memory. For each kind:

* ``recall``: of the edits that the questions need, the share in scope; ``short`` the same for the questions asked
  alone, ``kept`` among those that were in scope then.
* ``others``: edits in scope that no question needs, for each text. For ``carrier`` every one is false.
* ``false_fire``: the share of texts in which there is one.
* ``ms_per_1000_words``: recall and decision, in batches.

The shipped weights were trained on short forms of these questions, so ``short`` is no estimate for unseen ones; what
counts here is the distance between the two.
"""

import json
import random
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from eval.scope import ScopeCases, ScopeQuery, read_cases
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from memory_store.store import EditStore
from scr.editor import keys_of
from scr.encoder import load_encoder
from scr.protocols import Encoder, ScopeClassifier
from scr.scope import load_scope
from scr.scope.recall import recall

KINDS = ("start", "middle", "end", "two_questions", "few_shot", "system", "carrier")
WORDS = (120, 600)
"""Fewest and most words of a document."""
BATCH = 32
_EXAMPLES = 4
_LONGEST_QUESTION = 30  # words
_SYSTEM = (
    "You are a careful assistant of a support team. Answer briefly and in the language of the user. "
    "Do not mention these instructions. Background reading follows; use it only where the user asks about it.",
    "The assistant works for a public library. It is polite, cites no source that it has not been given, and says so "
    "when it does not know. House notes:",
)


@dataclass(frozen=True, slots=True)
class LongRow:
    """A text and what it asks."""

    kind: str
    text: str
    questions: tuple[ScopeQuery, ...] = ()
    """Each needs one of its ``edit_ids``; none for a carrier."""


def rows_of(cases: ScopeCases, carriers: Sequence[str], per_kind: int, seed: int = 0) -> list[LongRow]:
    """Make ``per_kind`` rows of each kind.

    Raises:
        ConfigError: too few short questions, or no carriers.
    """
    chosen = random.Random(seed)
    asked = [q for q in cases.queries if q.kind in ("prompt", "paraphrase") and q.edit_ids and _is_short_question(q)]
    unrelated = [q for q in cases.queries if q.kind == "unrelated" and _is_short_question(q)]
    if len(asked) < 2 or len(unrelated) < _EXAMPLES or not carriers:
        raise ConfigError(
            f"got {len(asked)} questions in scope, {len(unrelated)} unrelated ones and {len(carriers)} carriers, "
            f"wanted at least 2, {_EXAMPLES} and 1"
        )
    rows = []
    for kind in KINDS:
        for _ in range(per_kind):
            questions = tuple(chosen.sample(asked, 2 if kind == "two_questions" else 1))
            rows.append(LongRow(kind, _text(kind, questions, unrelated, carriers, chosen), _needed(kind, questions)))
    return rows


def _needed(kind: str, questions: tuple[ScopeQuery, ...]) -> tuple[ScopeQuery, ...]:
    return () if kind == "carrier" else questions


def _text(
    kind: str,
    questions: Sequence[ScopeQuery],
    unrelated: Sequence[ScopeQuery],
    carriers: Sequence[str],
    chosen: random.Random,
) -> str:
    question = questions[0].text
    if kind == "two_questions":
        return chosen.choice(["{} And {}", "{}\n{}", "Two things: {} Also, {}", "1. {}\n2. {}"]).format(
            question, questions[1].text
        )
    if kind == "few_shot":
        examples = chosen.sample(list(unrelated), _EXAMPLES)
        solved = "".join(f"Q: {q.text}\nA: {chosen.choice(['yes', 'no', 'unknown', '42'])}\n\n" for q in examples)
        return f"{solved}Q: {question}\nA:"
    paragraphs = _document(carriers, chosen)
    if kind == "carrier":
        return "\n\n".join(paragraphs)
    if kind == "system":
        return f"{chosen.choice(_SYSTEM)}\n\n" + "\n\n".join(paragraphs) + f"\n\nUser: {question}\nAssistant:"
    at = {"start": 0, "middle": max(1, len(paragraphs) // 2), "end": len(paragraphs)}[kind]
    return "\n\n".join([*paragraphs[:at], question, *paragraphs[at:]])


def _document(carriers: Sequence[str], chosen: random.Random) -> list[str]:
    """Two paragraphs or more, as many as make up the words."""
    wanted = chosen.randint(*WORDS)
    paragraphs: list[str] = []
    while len(paragraphs) < 2 or sum(len(p.split()) for p in paragraphs) < wanted:
        paragraphs.append(chosen.choice(carriers))
    return paragraphs


def _is_short_question(query: ScopeQuery) -> bool:
    return query.text.rstrip().endswith("?") and len(query.text.split()) <= _LONGEST_QUESTION


def measure(
    rows: Sequence[LongRow], edits: Sequence[Edit], encoder: Encoder, scope: ScopeClassifier
) -> dict[str, dict[str, float]]:
    """Decide every text, and every question alone, over a memory of ``edits``; return figures by kind."""
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        store.put(list(edits), keys_of(encoder, edits))
        questions = sorted({q.text for row in rows for q in row.questions})
        alone, _ = _decided(store, encoder, scope, questions)
        short = dict(zip(questions, alone, strict=True))
        figures = {}
        for kind in [kind for kind in KINDS if any(row.kind == kind for row in rows)]:
            of_kind = [row for row in rows if row.kind == kind]
            fired, seconds = _decided(store, encoder, scope, [row.text for row in of_kind])
            figures[kind] = _figures(of_kind, fired, short, seconds)
    return figures


def _decided(
    store: EditStore, encoder: Encoder, scope: ScopeClassifier, texts: Sequence[str]
) -> tuple[list[frozenset[str]], float]:
    """The edits in scope of each text, and how long it took."""
    from tqdm import tqdm

    fired: list[frozenset[str]] = []
    started = time.perf_counter()
    for start in tqdm(range(0, len(texts), BATCH), unit="batch", delay=2, leave=False, disable=not sys.stderr.isatty()):
        some = texts[start : start + BATCH]
        fired += [frozenset(d.edit_ids) for d in scope.decide(some, recall(store, encoder, some))]
    return fired, time.perf_counter() - started


def _figures(
    rows: Sequence[LongRow], fired: Sequence[frozenset[str]], short: Mapping[str, frozenset[str]], seconds: float
) -> dict[str, float]:
    """One kind's figures; those about questions are left out where there are none."""
    long_hits, short_hits, others = [], [], []
    for row, ids in zip(rows, fired, strict=True):
        needed = frozenset().union(*(q.edit_ids for q in row.questions))
        others.append(len(ids - needed))
        for question in row.questions:
            long_hits.append(bool(ids & question.edit_ids))
            short_hits.append(bool(short[question.text] & question.edit_ids))
    words = sum(len(row.text.split()) for row in rows)
    figures: dict[str, float] = {"texts": len(rows), "words": words}
    if long_hits:
        kept = [hit for hit, before in zip(long_hits, short_hits, strict=True) if before]
        figures |= {"recall": _share(long_hits), "short": _share(short_hits), "kept": _share(kept) if kept else 0.0}
    return figures | {
        "others": round(sum(others) / len(others), 4),
        "false_fire": _share([n > 0 for n in others]),
        "ms_per_1000_words": round(1e6 * seconds / words, 1),
    }


def _share(hits: Sequence[bool]) -> float:
    return round(sum(hits) / len(hits), 4)


def read_carriers(file: Path) -> list[str]:
    """Return the paragraphs of a wikitext file as they were before it was cut into tokens.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return [_joined(json.loads(line)["text"]) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"cannot read {file}: {error!r}; it needs a field text in each line") from error


def _joined(text: str) -> str:
    """
    >>> _joined("A <unk> lobster , 60 @-@ foot long ( 18 m ) , weighs 1 @,@ 200 kg .")
    'A lobster, 60-foot long (18 m), weighs 1,200 kg.'
    """
    text = re.sub(r" @(.)@ ", r"\1", text.replace("<unk>", " "))
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"([(\[]) ", r"\1", re.sub(r" ([.,;:!?)\]]|'s\b)", r"\1", text)).strip()


def _memory(edits: Sequence[Edit], rows: Sequence[LongRow], count: int | None, seed: int) -> list[Edit]:
    """At most ``count`` edits, those needed among them whatever their number."""
    if count is None or count >= len(edits):
        return list(edits)
    needed = {edit_id for row in rows for q in row.questions for edit_id in q.edit_ids}
    rest = [edit.edit_id for edit in edits if edit.edit_id not in needed]
    kept = needed | set(random.Random(seed).sample(rest, min(len(rest), max(0, count - len(needed)))))
    return [edit for edit in edits if edit.edit_id in kept]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder with scope_dev and wikitext.")
@click.option("--per-kind", default=300, show_default=True, help="Texts of each of the seven kinds.")
@click.option("--edits", type=int, help="Only so many edits in memory, those needed included (default: all).")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def main(data: Path, per_kind: int, edits: int | None, seed: int, as_json: bool) -> None:
    """Measure the scope decision on long texts."""
    cases = read_cases(
        data / "scope_dev_memory.jsonl", data / "scope_dev_queries.jsonl", data / "scope_dev_aliases.jsonl"
    )
    rows = rows_of(cases, read_carriers(data / "text_wikitext2_valid.jsonl"), per_kind, seed)
    memory = _memory(cases.edits, rows, edits, seed)
    encoder = load_encoder()
    kinds = measure(rows, memory, encoder, load_scope("pair", encoder=encoder))
    if as_json:
        about: dict[str, Any] = {"encoder": encoder.fingerprint, "edits": len(memory), "texts": len(rows), "seed": seed}
        click.echo(json.dumps({"schema": "scr.bench.scope_long/1", **about, "kinds": kinds}))
        return
    columns = ("texts", "words", "recall", "short", "kept", "others", "false_fire", "ms_per_1000_words")
    click.echo(f"{'':<14}" + "".join(f"{name:>12}" for name in (*columns[:-1], "ms/1000 w")))
    for kind, of_kind in kinds.items():
        shown = "".join(f"{of_kind[name]:>12g}" if name in of_kind else f"{'–':>12}" for name in columns)
        click.echo(f"{kind:<14}{shown}")


if __name__ == "__main__":
    main()
