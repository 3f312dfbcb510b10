"""What the benchmark of contradictions in other words counts."""

from collections.abc import Sequence

import pytest

from eval.benchmarks.contradictions import rewordings, unrelated_adds
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.encoder import load_encoder
from scr.protocols import Candidate, Decision, Judged


class CapitalScope:
    """An edit about a capital governs every query that names a capital."""

    name = "capital"

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        return [
            Decision(
                in_scope=tuple(Judged(c.edit, 1.0) for c in found if "capital" in query and "capital" in c.edit.prompt)
            )
            for query, found in zip(queries, candidates, strict=True)
        ]


def fact(prompt: str, target: str, relation: str | None, subject: str = "France") -> Edit:
    return Edit(statement=f"{prompt} {target}.", subject=subject, prompt=prompt, target_new=target, relation=relation)


def test_only_an_alarm_about_another_relation_is_false() -> None:
    edits = [
        fact("The capital of France is", "Lyon", "P36"),
        fact("France's capital city is", "Marseille", "P36"),  # true: the same relation
        fact("The capital of fashion in France is", "Nice", "P99"),  # false: another one
        fact("The capital of Spain is", "Vigo", "P36", "Spain"),
        fact("Spain's capital is", "Leon", None, "Spain"),  # nobody knows
    ]
    alarms: list[tuple[Edit, Edit]] = []
    adds = unrelated_adds(edits, load_encoder("hash"), CapitalScope(), alarms=alarms)
    assert (adds.added, adds.compared, adds.alarms, adds.false_alarms) == (5, 3, 3, 1)
    assert (
        adds.false_alarm_rate == 0.2
        and adds.unlabelled == 1
        and [new.target_new for new, _ in alarms] == ["Marseille", "Nice", "Nice", "Leon"]
    )


def test_rewordings_are_found_as_given_and_as_sentences_and_other_relations_counted_apart() -> None:
    def row(first: Edit, second: Edit) -> dict[str, dict[str, str]]:
        return {
            side: {name: getattr(edit, name) for name in ("statement", "subject", "prompt", "target_new")}
            for side, edit in (("first", first), ("second", second))
        }

    rows = [
        row(fact("The capital of France is", "Lyon", ""), fact("France's capital city is", "Marseille", "")),
        row(fact("The mayor of France is", "Ada Roe", ""), fact("The mayor of all of France is", "Leo Stark", "")),
    ]
    found = rewordings(rows, load_encoder("hash"), CapitalScope())
    assert (found.rows, found.read, found.found, found.found_as_sentences) == (2, 2, 1, 1)
    assert (found.other_relations, found.other_relations_flagged) == (4, 0)
    with pytest.raises(ConfigError, match="no rows"):
        rewordings([], load_encoder("hash"), CapitalScope())
