"""Claims about the methods that others have published: each branch by hand, with a model that says what it is told."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from eval.atlas import load_atlas, spare_facts
from eval.eren import Eren, reading, relevance
from eval.ike import SLOTS, Demonstration, Ike, made_demonstrations
from eval.methods import ENTRIES, NOT_INCLUDED, Bench, make_editor, read_spec
from eval.radius import Radius
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.encoder import HashEncoder
from scr.language_model import load_model
from scr.prompting import with_facts

FRANCE = Edit(
    edit_id="f",
    subject="France",
    prompt="The capital of France is",
    target_new="Lyon",
    statement="The capital of France is Lyon.",
)
SPAIN = Edit(
    edit_id="s",
    subject="Spain",
    prompt="The capital of Spain is",
    target_new="Seville",
    statement="The capital of Spain is Seville.",
)
QUESTION = "What is the capital of France?"


class Told:
    """A bench whose model answers questions about notes by a rule and everything else by its own prompt."""

    def __init__(self, verdict: Callable[[str], str] = str, encoder: object = None) -> None:
        self.encoder = encoder or HashEncoder()
        self.verdict = verdict
        self.language_model = self

    def say(self, contents: Sequence[str]) -> list[str]:
        return [self.verdict(c) if c.endswith("Say yes or no.\nAnswer:") else c for c in contents]

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        return list(prompts)

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return [(-float(len(prompt)), 1, False) for prompt, _ in pairs]

    def forced(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return [(-float(len(prompt)), 2, False) for prompt, _ in pairs]


# --- EREN ------------------------------------------------------------------------------------------------------


def eren(verdict: str) -> Eren:
    made = Eren(Told(lambda _: verdict))
    made.edit([SPAIN, FRANCE])
    return made


def test_eren_asks_whether_the_nearest_notes_help_and_answers_from_them() -> None:
    seen: list[str] = []
    made = Eren(Told(lambda prompt: seen.append(prompt) or "Yes."))
    made.edit([SPAIN, FRANCE])
    (answer,) = made.answer([QUESTION])
    notes = [FRANCE.statement, SPAIN.statement]
    assert seen == [relevance(QUESTION, notes)]
    assert (answer.text, answer.route) == (reading(QUESTION, notes), "context")
    assert [j.edit.edit_id for j in answer.used] == ["f", "s"]


@pytest.mark.parametrize("verdict", ["no", "No, none of them.", "Yesterday", ""])
def test_eren_without_a_yes_gives_the_question_as_it_came(verdict: str) -> None:
    (answer,) = eren(verdict).answer([QUESTION])
    assert (answer.text, answer.route, answer.used) == (QUESTION, "base", ())


def test_eren_reads_likelihoods_behind_what_would_be_answered() -> None:
    (scored,) = eren("yes").forced([(QUESTION, "Lyon")])
    assert scored == (-len(reading(QUESTION, [FRANCE.statement, SPAIN.statement])), 2, False)
    assert eren("no").log_likelihood([(QUESTION, " Lyon")]) == [(-len(QUESTION), 1, False)]


def test_an_empty_memory_is_asked_nothing() -> None:
    def refuse(_prompt: str) -> str:
        raise AssertionError("nothing is stored")

    assert Eren(Told(refuse)).answer([QUESTION])[0].text == QUESTION
    assert Ike(Told(refuse), []).answer([QUESTION])[0].used == ()
    assert Radius(Told(refuse)).answer([QUESTION])[0].used == ()


# --- IKE -------------------------------------------------------------------------------------------------------


def demonstration(number: int) -> Demonstration:
    name = f"Town{number}"
    return Demonstration(
        f"{name} is in X{number}", f"{name} is in", f"X{number}", f"Where is {name}?", "Where is Y?", "Z"
    )


def test_ike_shows_the_uses_in_their_shares_and_the_fact_twice() -> None:
    made = Ike(Told(), [demonstration(i) for i in range(40)])
    made.edit([FRANCE])
    (answer,) = made.answer([QUESTION])
    parts = answer.text.split("\n\n")
    assert len(parts) == 34
    uses = [part.split("\nPrompt: ")[1] for part in parts[:32]]
    assert sum(u.startswith("Town") for u in uses) == SLOTS.count("copy") == 4
    assert sum(u.startswith("Where is Town") for u in uses) == SLOTS.count("update") == 12
    assert uses.count("Where is Y? Z") == SLOTS.count("retain") == 16
    assert parts[32] == "New Fact: The capital of France is Lyon\nPrompt: The capital of France is Lyon"
    assert parts[33] == f"New Fact: The capital of France is Lyon\nPrompt: {QUESTION}"
    assert answer.text == made.answer([QUESTION])[0].text  # shuffled, but by a seed


def test_ike_shows_the_nearest_edit_whatever_is_asked() -> None:
    made = Ike(Told(), [])
    made.edit([SPAIN, FRANCE])
    near, far = made.answer([QUESTION, "zzz qqq"])
    assert [j.edit.edit_id for j in near.used] == ["f"]
    assert far.route == "context" and "New Fact" in far.text


def test_ike_leaves_out_the_farthest_demonstrations_first() -> None:
    demonstrations = [demonstration(i) for i in range(40)]
    whole = Ike(Told(), demonstrations)
    short = Ike(Told(), demonstrations, fits=lambda text: text.count("New Fact") <= 5)
    for made in (whole, short):
        made.edit([FRANCE])
    parts = whole.answer([QUESTION])[0].text.split("\n\n")
    assert short.answer([QUESTION])[0].text.split("\n\n") == parts[-5:]


def test_demonstrations_tell_nothing_about_what_atlas_asks() -> None:
    atlas = load_atlas()
    asked = {case.edit.subject for case in atlas.cases}
    spare = {fact.subject for fact in spare_facts()}
    assert not spare & asked
    fixed = " ".join(probe.prompt for probe in atlas.fixed)
    assert not [name for name in spare if f" {name} " in fixed]
    made = made_demonstrations()
    assert len(made) >= len(SLOTS)
    assert all(one.fact == f"{one.prompt} {one.answer}" for one in made)


# --- radius ----------------------------------------------------------------------------------------------------


class Angles:
    """Texts to unit vectors in a plane, by an angle in degrees; texts of one's own choice, 90 for all others."""

    fingerprint, d_key = "angles", 2

    def __init__(self, angles: dict[str, float]) -> None:
        self._angles = angles

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        turned = np.radians([self._angles.get(text, 90.0) for text in texts])
        return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


ANGLES = {
    FRANCE.prompt: 0.0,
    f"Please answer: {FRANCE.prompt}": 10.0,
    "About France: The capital of is": 30.0,  # the farthest positive: 1 - cos 30 = 0.134
    FRANCE.statement: 20.0,
    "The capital of something is": 60.0,  # the nearest negative: 1 - cos 60 = 0.5
    "France": 80.0,
    "near": 37.0,  # 0.2014
    "far": 38.0,  # 0.2120
    "farther": 53.0,  # 0.3982
}


def test_a_radius_ends_between_the_farthest_positive_and_the_nearest_negative() -> None:
    made = Radius(Told(encoder=Angles(ANGLES)), a=0.2)
    made.edit([FRANCE])
    assert made.radii["f"] == pytest.approx(0.8 * 0.13397 + 0.2 * 0.5, abs=1e-4)  # 0.2072
    near, far = made.answer(["near", "far"])
    assert (near.text, near.used[0].edit.edit_id) == (with_facts("near", [FRANCE.statement]), "f")
    assert (far.text, far.route, far.used) == ("far", "base", ())
    made.forget(["f"])
    assert made.answer(["near"])[0].used == () and made.radii == {}


def test_the_codes_weights_make_a_wider_radius_than_the_papers() -> None:
    made = Radius(Told(encoder=Angles(ANGLES)), a=0.2, swapped=True)
    made.edit([FRANCE])
    assert made.radii["f"] == pytest.approx(0.2 * 0.13397 + 0.8 * 0.5, abs=1e-4)  # 0.4268
    assert made.answer(["farther"])[0].route == "context"
    with pytest.raises(ConfigError, match="a is a share"):
        Radius(Told(), a=1.5)


# --- LightEdit, and all of them on a model ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(*load_model(None), encoder="hash", max_new_tokens=8)


def test_lightedit_without_its_correction_is_scr(bench: Bench) -> None:
    from eval.lightedit import LightEdit
    from eval.methods import _edited

    cases = load_atlas(6, fixed=4)
    edits = [case.edit for case in cases.cases]
    prompts = [case.edit.prompt for case in cases.cases] + [probe.prompt for probe in cases.fixed]
    with make_editor(read_spec("scr"), bench, {}) as scr:
        scr.edit(edits)
        wanted = scr.answer(prompts)
    assert {answer.route for answer in wanted} == {"context", "base"}
    with LightEdit(bench, _edited(bench, "pair"), alpha=0.0) as plain:
        plain.edit(edits)
        assert [answer.text for answer in plain.answer(prompts)] == [answer.text for answer in wanted]
    # An overwhelming prior forbids exactly what the model would have begun with by itself.
    with LightEdit(bench, _edited(bench, "pair"), alpha=50.0) as loud:
        loud.edit(edits)
        for bare, answer, before in zip(bench.say(prompts), loud.answer(prompts), wanted, strict=True):
            assert answer.text == before.text if answer.route == "base" else answer.text != bare
    with pytest.raises(ConfigError, match="alpha"):
        LightEdit(bench, _edited(bench, "pair"), alpha=-1.0)


@pytest.mark.parametrize("name", ["ike", "eren", "lightedit", "radius"])
def test_every_opponent_edits_answers_and_forgets_on_a_model(name: str, bench: Bench) -> None:
    case = load_atlas(1).cases[0]
    asked = [case.edit.prompt]
    with make_editor(read_spec(name), bench, {}) as editor:
        assert [a.text for a in editor.answer(asked)] == bench.say(asked)
        (result,) = editor.edit([case.edit])
        assert result.status == "added"
        (answer,) = editor.answer(asked)
        assert answer.route == "base" or answer.used[0].edit.edit_id == case.edit.edit_id
        ((total, tokens, _),) = editor.forced([(asked[0], case.edit.target_new)])
        assert total < 0 and tokens >= 1
        editor.forget([case.edit.edit_id])
        assert [a.text for a in editor.answer(asked)] == bench.say(asked)


def test_all_that_is_compared_is_listed_and_what_is_not_is_named() -> None:
    assert {"ike", "eren", "lightedit", "radius"} <= {n for n, e in ENTRIES.items() if e.family == "retrieval"}
    assert set(NOT_INCLUDED) == {"mend", "pmet"}
