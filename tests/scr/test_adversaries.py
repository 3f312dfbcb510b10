"""Claims about questions that only look like a fact's own, and what keeps the fact silent on them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from memory_store.identity import fold
from memory_store.store import EditStore
from scr.adversaries import HIGHEST, MARGIN, adversaries
from scr.editor import RetrievalEditor
from scr.encoder import HashEncoder
from scr.protocols import Candidate, Decision, Judged

FRANCE = Edit(
    edit_id="fr",
    subject="France",
    prompt="The capital of France is",
    target_new="Lyon",
    statement="The capital of France is Lyon.",
)


class Scores:
    """A decider that gives each query the probability written for it; 0.99 to others, from 0.5 on it fires."""

    name = "pair"

    def __init__(self, of: dict[str, float]) -> None:
        self.of = of

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        decisions = []
        for query, found in zip(queries, candidates, strict=True):
            judged = tuple(Judged(c.edit, self.of.get(query, 0.99)) for c in found)
            fires = bool(judged) and judged[0].probability >= 0.5
            decisions.append(Decision(judged if fires else (), () if fires else judged))
        return decisions


@pytest.fixture
def made() -> Iterator[Callable[[dict[str, float]], RetrievalEditor]]:
    """An editor over an empty store with such a decider; every adversary not named reaches 0.1."""
    stores: list[EditStore] = []

    def make(of: dict[str, float]) -> RetrievalEditor:
        stores.append(EditStore.open(":memory:", encoder=HashEncoder().fingerprint))
        low = {one.query: 0.1 for one in adversaries(FRANCE)}
        return RetrievalEditor(stores[-1], HashEncoder(), Scores({**low, **of}))

    yield make
    for store in stores:
        store.close()


def said(editor: RetrievalEditor) -> list[tuple[str, str, float | None]]:
    return [(c.kind, c.text, c.value) for c in editor.store.corrections()]


def test_each_kind_of_look_alike_is_made_from_the_prompt() -> None:
    edit = Edit(subject="Apollo 11", prompt="Apollo 11 was launched by the captain in", statement="…")
    of_kind: dict[str, list[str]] = {}
    for one in adversaries(edit, ["Soyuz 7", "Apollo Theatre", "Peru"]):
        of_kind.setdefault(one.kind, []).append(one.query)
    assert of_kind["another name"][0] == "Soyuz 7 was launched by the captain in"
    assert not any(" not " in one.query for one in adversaries(edit))
    assert of_kind["another number"] == ["Apollo 12 was launched by the captain in"]
    assert "Apollo 11 was launched by the coach in" in of_kind["another relation"]


def test_no_look_alike_is_the_prompt_itself_or_shares_a_name_of_the_subject() -> None:
    for one in adversaries(FRANCE, ["Île de France", "FRANCE", "Peru"]):
        assert fold(one.query) != fold(FRANCE.prompt)
        assert one.kind != "another name" or "france" not in fold(one.query)


def test_a_word_is_not_exchanged_for_one_that_asks_the_same() -> None:
    edit = Edit(subject="Rio", prompt="The seat of government and capital of Rio is", statement="…")
    asked = [one.query for one in adversaries(edit) if one.kind == "another relation"]
    assert asked and not any("government of Rio" in query for query in asked)


@pytest.mark.parametrize("edit", [Edit(statement="Free."), Edit(statement="x", subject="Acme", prompt="Who runs it?")])
def test_without_its_subject_in_its_prompt_nothing_is_made(edit: Edit) -> None:
    assert adversaries(edit) == []


def test_a_look_alike_that_fires_raises_the_edits_own_threshold_just_above(
    made: Callable[[dict[str, float]], RetrievalEditor],
) -> None:
    editor = made({"The currency of France is": 0.7, "The mayor of France is": 0.6})
    (result,) = editor.edit([FRANCE], check=True)
    assert said(editor) == [("threshold", "pair", pytest.approx(0.7 + MARGIN))]
    assert {event.batch for event in editor.store.log()} == {result.batch}
    assert editor.decide(["The currency of France is", FRANCE.prompt, "France's capital?"])[0].edit_ids == ()
    assert editor.decide([FRANCE.prompt])[0].edit_ids == ("fr",)
    editor.store.undo()
    assert said(editor) == [] and editor.store.edits() == [] and editor.store.verify().ok


def test_one_that_only_a_high_threshold_would_silence_is_denied_by_itself(
    made: Callable[[dict[str, float]], RetrievalEditor],
) -> None:
    editor = made({"The mayor of France is": HIGHEST + 0.1, "The currency of France is": 0.7})
    editor.edit([FRANCE], check=True)
    assert said(editor) == [
        ("deny", "The mayor of France is", None),
        ("threshold", "pair", pytest.approx(0.7 + MARGIN)),
    ]
    assert [d.edit_ids for d in editor.decide(["The mayor of France is", FRANCE.prompt])] == [(), ("fr",)]


def test_the_threshold_never_exceeds_what_the_prompt_itself_reaches(
    made: Callable[[dict[str, float]], RetrievalEditor],
) -> None:
    editor = made({FRANCE.prompt: 0.65, "The currency of France is": 0.7})
    editor.edit([FRANCE], check=True)
    assert said(editor) == [("deny", "The currency of France is", None)]
    assert editor.decide([FRANCE.prompt])[0].edit_ids == ("fr",)


def test_what_people_allowed_stays_allowed(made: Callable[[dict[str, float]], RetrievalEditor]) -> None:
    editor = made({"The currency of France is": 0.99})
    editor.edit([FRANCE])
    editor.allow("fr", "The currency of France is")
    new = Edit(subject="France", prompt=FRANCE.prompt, target_new="Nice", statement="The capital of France is Nice.")
    editor.edit([new], check=True)
    assert said(editor) == [("allow", "The currency of France is", None)]


def test_the_interface_checks_when_asked_to_and_one_edit_at_a_time(
    made: Callable[[dict[str, float]], RetrievalEditor],
) -> None:
    editor = made({"The currency of France is": 0.7})
    editor.edit([FRANCE])
    assert said(editor) == []
    with pytest.raises(ConfigError, match="one edit at a time, got 2"):
        editor.edit([FRANCE, FRANCE], check=True)
    editor.edit([FRANCE], check=True)  # a duplicate: nothing is stored, so nothing is said
    editor.edit([replace(FRANCE, target_new="Nice", edit_id="")], check=True, dry_run=True)
    assert said(editor) == []
