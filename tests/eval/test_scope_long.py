"""Long texts around short questions: what is made, and what is counted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eval.benchmarks.scope_long import KINDS, LongRow, main, measure, read_carriers, rows_of
from eval.scope import ScopeCases, ScopeQuery
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.encoder import load_encoder
from scr.protocols import Candidate, Decision, Judged

CITIES = ("Lyon", "Vigo", "Graz", "Porto", "Turin", "Cusco")
CARRIERS = [f"The {animal} sleeps through most of the day and hunts at night. " * 6 for animal in ("owl", "fox", "bat")]


def cases() -> ScopeCases:
    edits = [
        Edit(
            edit_id=f"e{n}",
            statement=f"The seat of Acme {city} is {n}.",
            subject=f"Acme {city}",
            prompt="",
            target_new="",
        )
        for n, city in enumerate(CITIES)
    ]
    queries = [
        ScopeQuery(f"Where is the seat of Acme {city}?", "prompt", "made", frozenset({f"e{n}"}))
        for n, city in enumerate(CITIES)
    ]
    others = [ScopeQuery(f"Why is the sky over hill {n} so grey?", "unrelated", "made", frozenset()) for n in range(6)]
    return ScopeCases(tuple(edits), (*queries, *others))


class NamesScope:
    """An edit governs every text in which its whole subject stands."""

    name = "names"

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        return [
            Decision(in_scope=tuple(Judged(c.edit, 1.0) for c in found if c.edit.subject in query))
            for query, found in zip(queries, candidates, strict=True)
        ]


def test_rows_are_the_same_for_the_same_seed_and_hold_their_questions() -> None:
    rows = rows_of(cases(), CARRIERS, per_kind=4, seed=3)
    assert rows == rows_of(cases(), CARRIERS, per_kind=4, seed=3) != rows_of(cases(), CARRIERS, per_kind=4, seed=4)
    assert [row.kind for row in rows] == [kind for kind in KINDS for _ in range(4)]
    for row in rows:
        assert all(question.text in row.text for question in row.questions)
        assert len(row.questions) == {"carrier": 0, "two_questions": 2}.get(row.kind, 1)
        assert row.kind in ("two_questions", "few_shot") or len(row.text.split()) >= 120
    by_kind = {row.kind: row for row in rows}
    assert by_kind["start"].text.startswith(by_kind["start"].questions[0].text)
    assert by_kind["end"].text.endswith(by_kind["end"].questions[0].text)


def test_figures_of_a_decider_that_one_can_follow() -> None:
    made = cases()
    (lyon, vigo, *_) = made.queries
    rows = [
        LongRow("two_questions", f"{lyon.text} And {vigo.text}", (lyon, vigo)),
        LongRow("two_questions", f"{lyon.text} And the other one?", (lyon, vigo)),
        LongRow("carrier", f"{CARRIERS[0]} Acme Graz was there. {CARRIERS[1]}"),
        LongRow("carrier", CARRIERS[2]),
    ]
    figures = measure(rows, made.edits, load_encoder("hash"), NamesScope())
    two, carrier = figures["two_questions"], figures["carrier"]
    assert (two["recall"], two["short"], two["kept"], two["others"]) == (0.75, 1, 0.75, 0)
    assert (carrier["others"], carrier["false_fire"]) == (0.5, 0.5) and "recall" not in carrier
    assert all(of_kind["ms_per_1000_words"] > 0 for of_kind in figures.values())


def test_too_little_to_make_rows_from_is_said() -> None:
    with pytest.raises(ConfigError, match="0 carriers"):
        rows_of(cases(), [], per_kind=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = cases()

    def write(name: str, rows: list[dict[str, Any]]) -> None:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    write(
        "scope_dev_memory.jsonl",
        [{"edit_id": e.edit_id, "statement": e.statement, "subject": e.subject} for e in made.edits],
    )
    write(
        "scope_dev_queries.jsonl", [{"query": q.text, "kind": q.kind, "edit_ids": [*q.edit_ids]} for q in made.queries]
    )
    write("scope_dev_aliases.jsonl", [])
    write("text_wikitext2_valid.jsonl", [{"text": text.replace(".", " .")} for text in CARRIERS])
    return tmp_path


def test_the_command_measures_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCR_ENCODER", "hash")
    assert read_carriers(folder / "text_wikitext2_valid.jsonl")[0].startswith("The owl sleeps through most of the day")
    result = CliRunner().invoke(main, ["--data", str(folder), "--per-kind", "2", "--edits", "6", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["texts"] == 2 * len(KINDS) and report["edits"] == 6 and set(report["kinds"]) == set(KINDS)
    assert CliRunner().invoke(main, ["--data", str(folder), "--per-kind", "1"]).stdout.count("\n") == 1 + len(KINDS)
