"""How many contradictions in other words are found when a fact is written, and how often is the alarm false?

    python -m eval.benchmarks.contradictions --data ../shared/data [--rows FILE] [--limit 10000] [--json]

*found*: of the rows (a fact, and the same question answered otherwise in other words) those that are found, once with
subject, prompt and target as given and once with the sentences as ``scr add`` reads them. *other relations*: pairs of
facts about one subject from different rows, which do not contradict each other. *unrelated adds*: the edits of
``counterfact_edit_10000.jsonl`` stored in batches of 256; an alarm is false where the two facts are of different
relations (``counterfact_relations.jsonl``), true where they are of one relation, and neither where that file does not
know the relation of one of them. Only facts of one subject are ever compared, and few subjects have several there.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from memory_store.store import EditStore
from scr.contradiction import Other, contradictions, put_settled, same_subject, suspects
from scr.editor import keys_of
from scr.encoder import load_encoder
from scr.facts import read_fact
from scr.protocols import Encoder, Keys, ScopeClassifier
from scr.scope import load_scope

ROWS = Path("tests/scr/reworded_contradictions.jsonl")
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewordings:
    """Counts of rows."""

    rows: int
    found: int
    """With the fields as given."""
    found_as_sentences: int
    read: int
    """Rows of which both sentences were taken apart; the others are free facts, which contradict nothing."""
    other_relations: int
    """Pairs of facts of one subject from different rows."""
    other_relations_flagged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adds:
    """Counts of edits."""

    added: int
    compared: int
    """Those for which a fact of the same subject with another answer was there, so that the decider was asked."""
    alarms: int
    false_alarms: int
    """Those whose alarms all name facts of another relation."""
    unlabelled: int
    """Those of no known relation, or whose alarms name only such and false ones."""
    seconds: float
    """Finding alone, without the keys that storing needs anyway."""

    @property
    def false_alarm_rate(self) -> float:
        """Share of the added, in [0, 1]."""
        return self.false_alarms / self.added


def rewordings(rows: Sequence[dict[str, Any]], encoder: Encoder, scope: ScopeClassifier) -> Rewordings:
    """Look for each row's second fact among the live ones, where its first stands.

    Raises:
        ConfigError: there are no rows.
    """
    if not rows:
        raise ConfigError("got no rows, wanted at least one pair of facts")
    given = [(Edit(**row["first"]), Edit(**row["second"])) for row in rows]
    typed = [(read_fact(a.statement).edit, read_fact(b.statement).edit) for a, b in given]
    facts = [(n, edit) for n, pair in enumerate(given) for edit in pair]
    others = [(a, b) for (n, a), (m, b) in combinations(facts, 2) if n != m and same_subject(a, b)]
    return Rewordings(
        rows=len(rows),
        found=_found(given, encoder, scope),
        found_as_sentences=_found(typed, encoder, scope),
        read=sum(bool(a.prompt and b.prompt) for a, b in typed),
        other_relations=len(others),
        other_relations_flagged=_found(others, encoder, scope),
    )


def _found(pairs: Sequence[tuple[Edit, Edit]], encoder: Encoder, scope: ScopeClassifier) -> int:
    """How many second facts contradict their first; each pair in a namespace of its own."""
    old = [replace(edit, namespace=f"pair{n}") for n, (edit, _) in enumerate(pairs)]
    new = [replace(edit, namespace=f"pair{n}") for n, (_, edit) in enumerate(pairs)]
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        store.put(old, keys_of(encoder, old))
        return sum(map(bool, contradictions(store, scope, new, keys_of(encoder, new))))


def unrelated_adds(
    edits: Sequence[Edit], encoder: Encoder, scope: ScopeClassifier, *, alarms: list[tuple[Edit, Edit]] | None = None
) -> Adds:
    """Store edits, each with its ``relation`` as a label that neither store nor decider sees, and count the alarms.

    Args:
        alarms: collects each new edit with a fact it was said to contradict.

    Raises:
        ConfigError: there are no edits.
    """
    if not edits:
        raise ConfigError("got no edits, wanted at least one")
    relations = {(edit.subject, edit.prompt): edit.relation for edit in edits}
    compared = raised = false = unlabelled = 0
    seconds = 0.0
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        for batch, keys in _encoded([replace(edit, relation=None) for edit in edits], encoder):
            started = time.perf_counter()
            found = contradictions(store, scope, batch, keys)
            seconds += time.perf_counter() - started
            compared += sum(map(bool, suspects(store, batch, keys)))
            for edit, others in zip(batch, found, strict=True):
                raised += bool(others)
                label = relations[edit.subject, edit.prompt]
                labels = {_label(other, relations) for other in others}
                false += bool(others) and label is not None and not {label, None} & labels
                unlabelled += bool(others) and (label is None or (None in labels and label not in labels))
                if alarms is not None:
                    alarms += [(edit, other.edit) for other in others]
            put_settled(store, batch, keys, found, "keep-both")
    return Adds(
        added=len(edits),
        compared=compared,
        alarms=raised,
        false_alarms=false,
        unlabelled=unlabelled,
        seconds=round(seconds, 1),
    )


def _label(other: Other, relations: dict[tuple[str, str], str | None]) -> str | None:
    return relations[other.edit.subject, other.edit.prompt]


def _encoded(edits: Sequence[Edit], encoder: Encoder) -> Iterator[tuple[Sequence[Edit], dict[str, Keys]]]:
    from tqdm import tqdm

    steps = range(0, len(edits), BATCH)
    for start in tqdm(steps, desc="add", unit="batch", delay=2, leave=False, disable=not sys.stderr.isatty()):
        batch = edits[start : start + BATCH]
        yield batch, keys_of(encoder, batch)


def read_adds(folder: Path, limit: int | None = None) -> list[Edit]:
    """Return the edits of ``counterfact_edit_10000.jsonl``, ``relation`` as their case's relation_id."""
    labels = {row["case_id"]: row["relation_id"] for row in _lines(folder / "counterfact_relations.jsonl")}
    return [
        Edit(
            statement=f"{row['prompt']} {row['target_new']}.",
            subject=row["subject"],
            prompt=row["prompt"],
            target_new=row["target_new"],
            relation=labels[row["case_id"]],
        )
        for row in _lines(folder / "counterfact_edit_10000.jsonl")[:limit]
    ]


def _lines(file: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.benchmarks.contradictions", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with counterfact_edit_10000.jsonl; left out: no adds")
    parser.add_argument(
        "--rows", type=Path, default=ROWS, help=f"rows with a first and a second fact (default: {ROWS})"
    )
    parser.add_argument("--limit", type=int, help="only so many of the adds")
    parser.add_argument("--show", action="store_true", help="list the alarms among the adds on stderr")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args()
    encoder = load_encoder(offline=True)
    scope = load_scope("pair", encoder=encoder)
    found = rewordings(_lines(options.rows), encoder, scope)
    alarms: list[tuple[Edit, Edit]] = []
    adds = (
        unrelated_adds(read_adds(options.data, options.limit), encoder, scope, alarms=alarms) if options.data else None
    )
    if options.show:
        for new, old in alarms:
            print(f"{new.statement}  |  {old.statement}", file=sys.stderr)
    if options.json:
        of_adds = None if adds is None else {**asdict(adds), "false_alarm_rate": adds.false_alarm_rate}
        print(json.dumps({"schema": "scr.bench.contradictions/1", "rewordings": asdict(found), "adds": of_adds}))
        return
    print(f"found                     {found.found} of {found.rows}")
    print(f"found as sentences        {found.found_as_sentences} of {found.rows} ({found.read} were taken apart)")
    print(f"other relations flagged   {found.other_relations_flagged} of {found.other_relations} pairs")
    if adds is not None:
        print(f"alarms among the adds     {adds.alarms} of {adds.added} ({adds.compared} asked the decider)")
        print(
            f"false alarms              {adds.false_alarms} ({adds.false_alarm_rate:.3%}); {adds.seconds} s of finding"
        )


if __name__ == "__main__":
    main()
