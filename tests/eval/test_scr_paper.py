"""Claims about SCR as published: each branch worked out by hand with a model that says what it is told to."""

from collections.abc import Callable, Sequence

import pytest

from eval.scr_paper import ScrPaper, confirmation, read_verdict, reasoning
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.encoder import HashEncoder

FRANCE = Edit(edit_id="f", statement="The capital of France is Lyon.", target_new="Lyon")
SPAIN = Edit(edit_id="s", statement="The capital of Spain is Seville.", target_new="Seville")
QUESTION = "What is the capital of France?"


class Told:
    """A bench whose model answers confirmations by a rule and everything else by its own prompt, so it can be seen."""

    def __init__(self, verdict: Callable[[str], str]) -> None:
        self.encoder, self.verdict = HashEncoder(), verdict
        self.language_model = self

    def say(self, contents: Sequence[str]) -> list[str]:
        return [self.verdict(c) if c.startswith("Facts:") else c for c in contents]

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        return list(prompts)

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        """How long the prompt is, so that a test sees which prompt was scored."""
        return [(-float(len(prompt)), 1, False) for prompt, _ in pairs]


def editor(verdict: str, k: int = 5) -> ScrPaper:
    made = ScrPaper(Told(lambda _: verdict), k=k)
    made.edit([SPAIN, FRANCE])
    return made


def test_facts_are_shown_best_first_without_a_threshold() -> None:
    seen: list[str] = []
    made = ScrPaper(Told(lambda prompt: seen.append(prompt) or "no relevant fact"))
    made.edit([SPAIN, FRANCE])
    made.answer([QUESTION])
    assert seen == [confirmation(QUESTION, [FRANCE.statement, SPAIN.statement])]
    made.answer(["zzz qqq"])  # nothing is near, and the facts are shown all the same
    assert len(seen) == 2


def test_none_means_the_bare_question() -> None:
    (answer,) = editor("There is NO RELEVANT information.").answer([QUESTION])
    assert (answer.text, answer.route, answer.used) == (QUESTION, "base", ())


def test_with_several_facts_the_models_own_words_are_the_fact() -> None:
    (answer,) = editor("The fact that best matches is: the capital of france is lyon.").answer([QUESTION])
    assert answer.text == reasoning(QUESTION, "the capital of france is lyon.")
    assert [j.edit.edit_id for j in answer.used] == ["f"]


def test_with_one_fact_the_stored_sentence_is_used_whatever_the_model_said() -> None:
    (answer,) = editor("Something about France", k=1).answer([QUESTION])
    assert answer.text == reasoning(QUESTION, FRANCE.statement)


def test_the_word_false_in_a_fact_loses_it_as_published() -> None:
    assert read_verdict("The False Prophet was written by Ann.") == ""
    (answer,) = editor("The capital of France is False River.").answer([QUESTION])
    assert answer.route == "base"


def test_an_empty_verdict_is_none() -> None:
    assert editor("  ").answer([QUESTION])[0].route == "base"


def test_an_empty_memory_asks_for_no_confirmation() -> None:
    def refuse(_prompt: str) -> str:
        raise AssertionError("nothing is stored")

    assert ScrPaper(Told(refuse)).answer([QUESTION])[0].text == QUESTION


def test_likelihoods_are_read_after_the_prompt_that_would_be_answered() -> None:
    (scored,) = editor("Something", k=1).log_likelihood([(QUESTION, " Lyon")])
    assert scored[0] == -len(reasoning(QUESTION, FRANCE.statement))
    (bare,) = editor("no relevant fact").log_likelihood([(QUESTION, " Lyon")])
    assert bare[0] == -len(QUESTION)


def test_forgetting_takes_a_fact_away() -> None:
    made = editor("Something", k=1)
    made.forget(["f"])
    assert [e.edit_id for e in made.retrieved([QUESTION])[0]] == ["s"]
    with made:
        pass
    assert made.retrieved([QUESTION]) == [[]]
    with pytest.raises(ConfigError):
        ScrPaper(Told(str), k=0)
