"""The benchmark of chains counts what it says it counts, on rows one can check by hand."""

from typing import Any

from eval.benchmarks.chains import cost, memory_of, mquake, ripple


def rewrite(subject: str, relation: str, prompt: str, target: str) -> dict[str, Any]:
    return {
        "subject": subject,
        "relation_id": relation,
        "prompt": prompt,
        "target_new": {"str": target},
        "question": None,
    }


def row(edits: list[dict[str, Any]], question: str, hops: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    """``hops``: subject, relation, question and answer of each fact of the chain."""
    labels = [[subject, relation, answer] for subject, relation, _, answer in hops]
    single = [{"question": asked, "answer": answer, "answer_alias": []} for _, _, asked, answer in hops]
    return {
        "requested_rewrite": edits,
        "questions": [question],
        "new_answer": hops[-1][3],
        "new_answer_alias": [],
        "single_hops": single,
        "new_single_hops": single,
        "orig": {"triples": labels, "triples_labeled": labels, "new_triples": labels, "new_triples_labeled": labels},
    }


BORN = rewrite("Ada Byron", "born", "{} was born in", "Chile")
CAPITAL = "What is the capital of the country where {} was born?"
ADA = row(
    [BORN],
    CAPITAL.format("Ada Byron"),
    [
        ("Ada Byron", "born", "Where was Ada Byron born?", "Chile"),
        ("Chile", "capital", "What is the capital of Chile?", "Santiago"),
    ],
)
BO = row(
    [rewrite("Peru", "capital", "The capital of {} is", "Cusco")],
    CAPITAL.format("Bo Ek"),
    [("Bo Ek", "born", "Where was Bo Ek born?", "Peru"), ("Peru", "capital", "What is the capital of Peru?", "Cusco")],
)
AGAIN = row(
    [rewrite("Ada Byron", "born", "{} was born in", "Oslo")],
    CAPITAL.format("Ada Byron"),
    [("Ada Byron", "born", "Where was Ada Byron born?", "Oslo")],
)


def test_a_row_that_contradicts_an_earlier_one_is_dropped_with_its_edit() -> None:
    memory = memory_of([ADA, AGAIN, BO])
    assert memory.dropped == 1 and [number for number, _ in memory.rows] == [0, 2]
    assert sorted(edit.target_new for edit in memory.edits.values()) == ["Chile", "Cusco"]


def test_two_hops_of_which_the_first_is_edited_need_nobody() -> None:
    figures = ripple([ADA], "all")
    assert figures["precision"] == figures["recall"] == figures["left_as_the_row_asks_it"] == 1.0


def test_the_oracle_answers_what_is_not_edited_and_nothing_else() -> None:
    figures = mquake([ADA, BO], "all", 2)
    assert figures["even"]["questions"] == figures["odd"]["questions"] == 1
    assert figures["odd"] == {k: v for k, v in mquake([ADA, BO], "odd", 2).items() if k in figures["odd"]}
    assert figures["questions"] == 2 and figures["no_edited_subject"] == 0.5
    assert figures["without_oracle"] == {"precision": 1.0, "recall": 0.5}
    assert figures["with_oracle"]["recall"] == figures["with_oracle"]["hop_accuracy"] == 1.0


def test_the_cost_of_a_hop_is_counted_over_chains() -> None:
    assert cost(memory_of([ADA]), [ADA])["questions"] == 1
