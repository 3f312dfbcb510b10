"""How is one answer scored, and what is a method's score? Pure functions; no answer and no score of nothing.

Two families that never share a column. *Generated*: the model writes on its own from an instruction prompt, greedily,
to a natural stop, and the whole answer is compared after normalisation (WILD, arXiv:2502.11177). *Teacher-forced*: the
answer is given and only its probability is read, which leaks its content and length; the rank-based scores are those of
MEMIT (arXiv:2210.07229). Shares are in [0, 1]. Averaging anything empty is an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eval.benchmarks.main_job import normalised, says
from eval.cases import Kind
from memory_store.errors import ConfigError

# --- generated -------------------------------------------------------------------------------------------------


def natural_stop(text: str, *, sentence: bool = False) -> str:
    """What counts as the answer: up to the end of its first line; with ``sentence``, also of its first sentence.

    The model's own end token has ended the text before. ``sentence`` is for models that continue text and never stop.

    >>> natural_stop(" Lyon\\nQ: and of Spain?"), natural_stop("Lyon. It was", sentence=True)
    ('Lyon', 'Lyon')
    """
    line = text.strip().split("\n", 1)[0]
    return (re.split(r"\.(?:\s|$)", line, maxsplit=1)[0] if sentence else line).strip()


def is_right(kind: Kind, answer: str, accepted: Sequence[str]) -> bool:
    """Whether a generated answer is one of the accepted ones, whole, after normalisation; yes or no by its first word.

    >>> is_right("paraphrase", "The Hague.", ["the hague"]), is_right("paraphrase", "Lyon, Lyon", ["Lyon"])
    (True, False)
    >>> is_right("yes_no", "No, it is Rome.", ["No"]), is_right("paraphrase", "", ["Lyon"])
    (True, False)

    Raises:
        ConfigError: nothing is accepted.
    """
    if not accepted:
        raise ConfigError(f"a {kind} question without an accepted answer cannot be right")
    if kind == "yes_no":
        return normalised(answer).split(" ")[0] in {normalised(a) for a in accepted}
    return bool(answer.strip()) and any(says(answer, a) for a in accepted)


def is_unchanged(answer: str, before: str) -> bool:
    """Locality: whether the answer is the unedited model's own, right or wrong.

    >>> is_unchanged("Paris.", "Paris"), is_unchanged("Lyon", "Paris")
    (True, False)
    """
    return says(answer, before)


def token_ratio(said: Sequence[int], target: Sequence[int]) -> float:
    """Share of positions, of the longer of both, at which a written answer has the right answer's token.

    >>> token_ratio([7, 8], [7, 8]), token_ratio([7, 9, 8], [7, 8]), token_ratio([], [7])
    (1.0, 0.3333333333333333, 0.0)

    Raises:
        ConfigError: the right answer has no tokens.
    """
    if not target:
        raise ConfigError("a right answer without tokens cannot be compared with")
    return sum(a == b for a, b in zip(said, target, strict=False)) / max(len(said), len(target))


# --- teacher-forced --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scored:
    """How probable a given continuation was."""

    total: float
    """Summed log-probability of its tokens, nats."""
    tokens: int
    greedy: bool
    """Every token was the most probable one after the ones before it."""

    @property
    def mean(self) -> float:
        """Log-probability per token.

        Raises:
            ConfigError: no tokens.
        """
        if self.tokens < 1:
            raise ConfigError("a continuation without tokens has no probability")
        return self.total / self.tokens


def wins(wanted: Scored, rival: Scored) -> bool:
    """Rank-based success: the wanted answer is more probable than its rival, both per token.

    ES asks it of the edit's prompt, PS of paraphrases, NS of neighbors (there the old answer is wanted).

    >>> wins(Scored(-2.0, 2, False), Scored(-1.5, 1, True))  # -1.0 against -1.5 a token
    True
    """
    return wanted.mean > rival.mean


def perplexity(scores: Sequence[Scored]) -> float:
    """exp of the mean negative log-probability over all tokens of all texts.

    >>> perplexity([Scored(math.log(0.5), 1, True), Scored(2 * math.log(0.5), 2, True)])
    2.0

    Raises:
        ConfigError: no texts.
    """
    tokens = sum(score.tokens for score in scores)
    if not tokens:
        raise ConfigError("perplexity of no text")
    exponent = -sum(score.total for score in scores) / tokens
    return math.exp(exponent) if exponent < 700 else math.inf


# --- over many -------------------------------------------------------------------------------------------------


def mean(values: Iterable[float]) -> float:
    """
    >>> mean([True, False, True, True])
    0.75

    Raises:
        ConfigError: no values.
    """
    found = [float(value) for value in values]
    if not found:
        raise ConfigError("nothing was measured, so there is no mean")
    return math.fsum(found) / len(found)


def harmonic_mean(values: Iterable[float]) -> float:
    """MEMIT's Score is that of ES, PS and NS; 0 where one of them is.

    >>> round(harmonic_mean([1.0, 0.5]), 4), harmonic_mean([1.0, 0.0])
    (0.6667, 0.0)

    Raises:
        ConfigError: no values, or a negative one.
    """
    found = [float(value) for value in values]
    if not found or min(found) < 0:
        raise ConfigError(f"a harmonic mean needs values that are not negative, got {found}")
    return 0.0 if min(found) == 0 else len(found) / math.fsum(1 / value for value in found)


@dataclass(frozen=True, slots=True)
class Scope:
    """How the scope decision fell, over questions with one governing edit each and questions with none."""

    precision: float | None
    """Of the decisions for an edit, how many were for the governing one; None where none was made."""
    recall: float | None
    """Of the governed questions, how many got their edit; None where there are none."""
    false_fire: float | None
    """Of the questions that nothing governs, how many got an edit; None where there are none."""


def scope_of(decided: Sequence[Sequence[str]], governed: Sequence[str | None]) -> Scope:
    """Precision, recall and false fire of the first decided edit.

    >>> scope_of([["a"], ["b"], [], ["c"]], ["a", "a", "b", None])
    Scope(precision=0.3333333333333333, recall=0.3333333333333333, false_fire=1.0)

    Raises:
        ConfigError: no questions, or lists of different lengths.
    """
    if not decided or len(decided) != len(governed):
        raise ConfigError(f"{len(decided)} decisions for {len(governed)} questions")
    hits = [bool(ids) and ids[0] == edit for ids, edit in zip(decided, governed, strict=True)]
    fired = [bool(ids) for ids in decided]
    inside = [edit is not None for edit in governed]
    return Scope(
        precision=sum(hits) / sum(fired) if any(fired) else None,
        recall=sum(hits) / sum(inside) if any(inside) else None,
        false_fire=sum(f for f, i in zip(fired, inside, strict=True) if not i) / (len(inside) - sum(inside))
        if not all(inside)
        else None,
    )


def by_unit(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Mean of each unit's values, so that an edit counts once however many questions it has.

    >>> by_unit([("a", 1), ("a", 0), ("b", 1)])
    {'a': 0.5, 'b': 1.0}

    Raises:
        ConfigError: no values.
    """
    found: dict[str, list[float]] = {}
    for unit, value in values:
        found.setdefault(unit, []).append(float(value))
    if not found:
        raise ConfigError("nothing was measured, so there are no units")
    return {unit: mean(some) for unit, some in found.items()}


def memit_score(success: Mapping[str, float]) -> float:
    """S of ``prompt`` (ES), ``paraphrase`` (PS) and ``neighbor`` (NS) successes.

    >>> round(memit_score({"prompt": 1.0, "paraphrase": 1.0, "neighbor": 0.5}), 4)
    0.75

    Raises:
        ConfigError: one of the three is missing.
    """
    missing = [kind for kind in ("prompt", "paraphrase", "neighbor") if kind not in success]
    if missing:
        raise ConfigError(f"no success for {', '.join(missing)}, so there is no score")
    return harmonic_mean(success[kind] for kind in ("prompt", "paraphrase", "neighbor"))
