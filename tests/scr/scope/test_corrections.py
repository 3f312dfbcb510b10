"""Claims about who decides once people have said whether a fact governs a question."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from memory_store.corrections import Said
from memory_store.edit import Edit
from memory_store.store import EditStore
from scr.edited_model import EditedModel
from scr.editor import RetrievalEditor, keys_of
from scr.encoder import HashEncoder
from scr.protocols import Candidate, Decision, Judged, Keys
from scr.scope.corrections import NEAR, Corrected
from scr.scope.cosine import CosineScope
from scr.scope.overlay import Overlaid
from scr.scope.recall import recall

FRANCE = Edit(
    edit_id="fr",
    subject="France",
    prompt="The capital of France is",
    target_new="Lyon",
    statement="The capital of France is Lyon.",
)
MANY = [
    Edit(
        edit_id=f"e{n}",
        subject=f"Land {n}",
        prompt=f"Land {n} grows",
        target_new="rye",
        statement=f"Land {n} grows rye.",
    )
    for n in range(12)
]
ODD = "Whose land grows old with roosters and garlic?"
"""Its words are those of other facts, so neither the search nor a decider finds the one about France."""


class Counting:
    """The encoder without a model, which counts its calls."""

    fingerprint, d_key = HashEncoder().fingerprint, HashEncoder().d_key

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, texts: Sequence[str]) -> Keys:
        self.calls += 1
        return HashEncoder().encode(texts)


class Angles:
    """An encoder of two axes: a text's key stands at the angle given for it, and at 0 where none is."""

    fingerprint, d_key = "angles", 2

    def __init__(self, cosines: dict[str, float]) -> None:
        self.cosines = cosines

    def encode(self, texts: Sequence[str]) -> Keys:
        cosines = np.array([self.cosines.get(text, 1.0) for text in texts])
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)


class Says:
    """A decider to which every candidate has one probability."""

    def __init__(self, probability: float, name: str = "pair", threshold: float = 0.5) -> None:
        self.probability, self.name, self.threshold = probability, name, threshold

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        judged = [tuple(Judged(c.edit, self.probability, {"of": 1.0}) for c in found) for found in candidates]
        fires = self.probability >= self.threshold
        return [Decision(j if fires else (), () if fires else j, self.threshold) for j in judged]


@pytest.fixture
def store() -> Iterator[EditStore]:
    encoder = HashEncoder()
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as opened:
        opened.put([FRANCE, *MANY], keys_of(encoder, [FRANCE, *MANY]))
        yield opened


def editor(store: EditStore, scope: Any = None) -> RetrievalEditor:
    return RetrievalEditor(store, HashEncoder(), scope or CosineScope())


def test_an_allowed_question_fires_with_certainty_though_nothing_finds_it(store: EditStore) -> None:
    edited = editor(store)
    assert edited.decide([ODD])[0].edit_ids == ()
    assert "fr" not in [c.edit.edit_id for c in recall(store, HashEncoder(), [ODD])[0]]
    edited.allow("fr", ODD)
    same = "  whose land GROWS old with roosters, and garlic"
    for decision in edited.decide([ODD, same]):
        assert (decision.edit_ids, decision.probabilities) == (("fr",), (1.0,))
        assert decision.in_scope[0].evidence["allowed"] == 1.0


def test_a_denied_question_never_fires_and_says_what_the_decider_thought(store: EditStore) -> None:
    edited = editor(store)
    assert edited.decide(["The capital of France is"])[0].edit_ids == ("fr",)
    edited.deny("fr", "the capital of France is?")
    (decision,) = edited.decide(["The capital of France is"])
    assert decision.edit_ids == ()
    (denied,) = [j for j in decision.near_misses if j.edit.edit_id == "fr"]
    assert denied.probability == 0.0 and denied.evidence["denied"] == 1.0 and denied.evidence["judged"] > 0.685


def test_the_version_that_supersedes_keeps_what_was_said(store: EditStore) -> None:
    edited = editor(store)
    edited.allow("fr", ODD)
    new = Edit(subject="France", prompt=FRANCE.prompt, target_new="Nice", statement="The capital of France is Nice.")
    (result,) = edited.edit([new])
    assert edited.decide([ODD])[0].edit_ids == (result.edit.edit_id,)
    store.forget([result.edit.edit_id])
    assert edited.decide([ODD])[0].edit_ids == ()


def test_a_correction_holds_in_its_own_namespace(store: EditStore) -> None:
    edited = editor(store)
    edited.edit([Edit(**{**_fields(FRANCE), "namespace": "b"})])
    edited.allow("fr", ODD, namespace="b")
    assert edited.decide([ODD])[0].edit_ids == ()
    assert edited.decide([ODD], namespace="b")[0].edit_ids == ("fr",)


@pytest.mark.parametrize("kind", ["allow", "deny"])
@pytest.mark.parametrize(
    ("query", "follows"),
    [
        ("Which town rules France?", True),
        ("which town rules france now", True),
        ("Which town rules Peru?", False),
        ("Which town rules New France?", False),
        ("Which town does not rule France?", False),
        ("Which town rules France 2?", False),
        ("Tell me about the seat of all things in France", False),
    ],
)
def test_a_near_variant_follows_where_subject_numbers_and_negations_are_the_same(
    kind: str, query: str, follows: bool
) -> None:
    encoder = Angles({})  # to it all texts are alike
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        edited = RetrievalEditor(store, encoder, Says(0.4 if kind == "allow" else 0.6))
        edited.edit([FRANCE])
        (edited.allow if kind == "allow" else edited.deny)("fr", "Which town rules France?")
        (decision,) = edited.decide([query])
        assert (decision.edit_ids == ("fr",)) == (follows if kind == "allow" else not follows)


@pytest.mark.parametrize(("cosine", "fires"), [(NEAR + 0.001, True), (NEAR - 0.001, False)])
def test_near_begins_at_the_documented_cosine(cosine: float, fires: bool) -> None:
    query = "Which town rules France today?"
    encoder = Angles({query: cosine})
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        edited = RetrievalEditor(store, encoder, Says(0.4))
        edited.edit([FRANCE])
        edited.allow("fr", "Which town rules France?")
        assert bool(edited.decide([query])[0].in_scope) == fires


@pytest.mark.parametrize(("to_denied", "fires"), [(0.99, True), (0.999, False)])
def test_a_denial_beats_an_allowance_only_when_it_is_nearer(to_denied: float, fires: bool) -> None:
    allowed, denied = "Which town rules France now?", "Which town rules France then?"
    encoder = Angles({allowed: 0.995, denied: to_denied})  # the query itself stands at 1
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        edited = RetrievalEditor(store, encoder, Says(0.4))
        edited.edit([FRANCE])
        edited.allow("fr", allowed)
        edited.deny("fr", denied)
        assert bool(edited.decide(["Which town rules France?"])[0].in_scope) == fires


def test_without_corrections_nothing_is_encoded_more_and_the_decision_is_untouched(store: EditStore) -> None:
    encoder, inner = Counting(), Says(0.7)
    RetrievalEditor(store, encoder, inner).decide(["Who rules France?"])
    assert encoder.calls == 1
    candidates = recall(store, HashEncoder(), ["Who rules France?"])
    assert Corrected(inner, encoder).decide(["q"], candidates) == inner.decide(["q"], candidates)
    store.deny("fr", "Quite another question with other words")
    RetrievalEditor(store, encoder, inner).decide(["Who rules France?"])
    assert encoder.calls == 2


def test_an_edits_own_threshold_silences_what_is_below_it(store: EditStore) -> None:
    new = Edit(edit_id="de", subject="Bonn", prompt="The mayor of Bonn is", statement="The mayor of Bonn is Ann Poe.")
    store.put([new], keys_of(HashEncoder(), [new]), said={0: [Said("threshold", "pair", 0.8)]})
    (decision,) = editor(store, Says(0.75)).decide(["Who is the mayor of Bonn?"])
    assert "de" not in decision.edit_ids and "fr" in decision.edit_ids
    assert [j.evidence for j in decision.near_misses] == [{"of": 1.0, "own_threshold": 0.8}]
    assert "de" in editor(store, Says(0.8)).decide(["Who is the mayor of Bonn?"])[0].edit_ids
    assert "de" in editor(store, Says(0.75, "cosine")).decide(["Who is the mayor of Bonn?"])[0].edit_ids


@pytest.mark.parametrize(("name", "calibrated", "fired"), [("pair", 0.9, 0), ("pair", 0.3, 5), ("cosine", 0.3, 1)])
def test_a_calibrated_threshold_replaces_the_deciders_own(
    store: EditStore, name: str, calibrated: float, fired: int
) -> None:
    store.calibrate(name, calibrated)
    (decision,) = editor(store, Says(0.4, name)).decide(["What does Land 1 grow?"])
    assert (len(decision.in_scope), decision.threshold) == (fired, calibrated)
    (other,) = editor(store, Says(0.4, "llm")).decide(["What does Land 1 grow?"])
    assert (other.in_scope, other.threshold) == ((), 0.5)


def test_where_the_decider_fails_nothing_fires(store: EditStore) -> None:
    class Breaks:
        name = "breaks"

        def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
            raise RuntimeError("out of order")

    edited = editor(store, Breaks())
    edited.allow("fr", ODD)
    (decision,) = edited.decide([ODD])
    assert decision.in_scope == () and "out of order" in decision.failed


def test_leaving_the_editor_takes_its_corrections_back(store: EditStore) -> None:
    with editor(store) as edited:
        edited.allow("fr", ODD)
        assert edited.decide([ODD])[0].edit_ids == ("fr",)
    assert edited.decide([ODD])[0].edit_ids == () and store.verify().ok


def test_the_model_answers_an_allowed_question_with_the_fact_and_a_denied_one_alone(edited: Any) -> None:
    model = edited()
    model.edit(FRANCE)
    asked = "What is the capital of France?"
    assert model.ask(asked, max_new_tokens=2).route == "context"
    model.deny("fr", asked)
    model.allow("fr", ODD)
    assert [a.route for a in model.ask([asked, ODD], max_new_tokens=2)] == ["base", "context"]
    with model.namespace("other"):
        assert model.ask(ODD, max_new_tokens=2).route == "base"


@pytest.mark.parametrize(
    "new",
    [
        Edit(edit_id="new", subject="France", prompt=FRANCE.prompt, target_new="Nice", statement="It is Nice."),
        Edit(edit_id="new", subject="Peru", prompt="The capital of Peru is", statement="The capital of Peru is Cusco."),
        Edit(edit_id="new", statement="Land 3 and Land 4 grow oats."),
    ],
    ids=["superseding", "added", "free"],
)
def test_an_overlay_finds_what_the_store_would_with_the_edit_in_it(store: EditStore, new: Edit) -> None:
    encoder = HashEncoder()
    keys = keys_of(encoder, [new])
    queries = ["The capital of France is", "Peru?", "Where do oats grow in Land 4?", "Who wrote Hamlet?", ODD]
    store.allow("fr", ODD)
    (planned,) = store.put([new], keys, dry_run=True)
    head = store.head()
    would = editor(store).decide(queries, overlay=Overlaid(store, [new], keys, planned.superseded))
    found = recall(Overlaid(store, [new], keys, planned.superseded), encoder, queries)
    assert store.head() == head
    store.put([new], keys)
    assert _shown(would) == _shown(editor(store).decide(queries))
    assert [_scores(of_query) for of_query in found] == [_scores(c) for c in recall(store, encoder, queries)]


def _shown(decisions: Sequence[Decision]) -> list[Any]:
    return [[(j.edit.edit_id, round(j.probability, 5)) for j in (*d.in_scope, *d.near_misses)] for d in decisions]


def _scores(candidates: Sequence[Candidate]) -> list[Any]:
    return sorted((c.edit.edit_id, {k: round(float(s), 4) for k, s in c.scores.items()}) for c in candidates)


def _fields(edit: Edit) -> dict[str, Any]:
    return {name: getattr(edit, name) for name in Edit.__dataclass_fields__}


def test_a_model_checks_a_fact_when_asked_to(tiny_folder: Any) -> None:
    model = EditedModel.from_pretrained(tiny_folder("llama"))
    model.edit("The capital of France is Lyon.")
    assert model.store.corrections() == []
    result = model.edit("The wifi password of the Lisbon office is sardine.", check=True)
    said = model.store.corrections(edit_id=result.edit.edit_id)
    assert said and {c.kind for c in said} <= {"deny", "threshold"}
    assert model.decide([result.edit.prompt])[0].edit_ids == (result.edit.edit_id,)
