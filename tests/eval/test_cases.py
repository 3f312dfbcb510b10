"""Claims about cases, and about what the loaders make of each benchmark's rows."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.cases import Dataset, EvalCase, Probe, joined, named_once, spread, thinned
from eval.datasets import NAMES, load_dataset
from memory_store.edit import Edit
from memory_store.errors import ConfigError

SHARED = Path(__file__).parents[2] / "../shared/data"
needs_rows = pytest.mark.skipif(not SHARED.is_dir(), reason="the benchmark rows are not beside this checkout")


def edit(name: str = "a", **fields: Any) -> Edit:
    return Edit(
        **{
            "edit_id": name,
            "subject": "France",
            "prompt": "The capital of France is",
            "target_new": "Lyon",
            "statement": "The capital of France is Lyon.",
            **fields,
        }
    )


OWN = Probe(kind="prompt", prompt="The capital of France is", accepted=("Lyon",), rival="Paris")


def case(name: str = "a", *more: Probe, **fields: Any) -> EvalCase:
    return EvalCase(edit=edit(name, **fields), ground_truth="Paris", probes=(OWN, *more))


def test_a_question_in_scope_without_an_accepted_answer_is_refused() -> None:
    with pytest.raises(ConfigError, match="accepts no answer"):
        Probe(kind="paraphrase", prompt="Which city?", accepted=("",))
    assert Probe(kind="neighbor", prompt="The capital of Spain is").accepted == ()


def test_a_case_needs_its_edit_whole_and_its_own_prompt_asked() -> None:
    with pytest.raises(ConfigError, match="no target_new"):
        case(target_new="")
    with pytest.raises(ConfigError, match="own prompt"):
        EvalCase(edit=edit(), probes=(Probe(kind="paraphrase", prompt="x", accepted=("y",)),))


def test_a_data_set_of_nothing_is_refused_with_the_reasons() -> None:
    with pytest.raises(ConfigError, match="2 without a subject"):
        Dataset(name="toy", cases=(), dropped={"without a subject": 2})
    with pytest.raises(ConfigError, match="twice"):
        Dataset(name="toy", cases=(case("a"), case("a")))


def test_the_content_hash_changes_with_any_question() -> None:
    one = Dataset(name="toy", cases=(case("a"),))
    assert one.sha256 == Dataset(name="other name", cases=(case("a"),), rows=7).sha256
    assert one.sha256 != Dataset(name="toy", cases=(case("a", Probe(kind="neighbor", prompt="x")),)).sha256


def test_thinning_keeps_the_first_probes_of_each_kind() -> None:
    more = [Probe(kind="neighbor", prompt=f"n{i}") for i in range(5)]
    assert [p.prompt for p in thinned(case("a", *more), 2).probes] == [OWN.prompt, "n0", "n1"]


def test_spread_takes_first_and_last() -> None:
    assert spread(1000, 3) == [0, 500, 999]
    with pytest.raises(ConfigError):
        spread(3, 0)


def test_a_fact_edited_twice_stays_once() -> None:
    kept, gone = named_once([case("a"), case("b", target_new="Nice"), case("c", prompt="France's capital is")])
    assert [c.edit.edit_id for c in kept] == ["a", "c"]
    assert gone == {"the same fact edited again": 1}


def needing(name: str, *before: Edit, **fields: Any) -> EvalCase:
    return replace(case(name, **fields), before=before)


def test_a_case_that_needs_a_fact_otherwise_than_an_earlier_one_is_left_out() -> None:
    spain = {"subject": "Spain", "prompt": "The capital of Spain is"}
    first = needing("a", edit("s", **spain, target_new="Toledo"))
    alike = needing("b", edit("s", **spain, target_new="Toledo"), prompt="France's capital is")
    other = needing("c", edit("t", **spain, target_new="Cadiz"), prompt="France has the capital")
    own = case("d", **spain, target_new="Toledo")
    kept, gone = named_once([first, alike, other, own])
    assert [c.edit.edit_id for c in kept] == ["a", "b"]
    assert gone == {"an earlier row edits one of its facts otherwise": 1, "the same fact edited again": 1}


def test_what_an_edit_overwrites_is_no_other_fact() -> None:
    overwritten = needing("a", edit("first", target_new="Nice"))
    assert named_once([overwritten]) == ([overwritten], {})


def test_rows_about_one_edit_are_joined_with_all_their_questions() -> None:
    more = [Probe(kind="two_hop", prompt=f"q{i}", accepted=("x",)) for i in range(2)]
    (one,), gone = joined([case("a", more[0]), case("a", more[1]), case("a", more[1])])
    assert [p.prompt for p in one.probes] == [OWN.prompt, "q0", "q1"]
    assert gone == {"joined to an earlier row of the same edit": 2}


def test_the_content_hash_of_cases_that_need_nothing_is_what_it_was() -> None:
    """Runs that were begun before cases could need other edits go on."""
    assert Dataset(name="toy", cases=(case("a"),)).sha256.startswith("3f37016481b2")
    assert Dataset(name="toy", cases=(needing("a", edit("b", prompt="x")),)).sha256[:12] != "3f37016481b2"


FULL_ROW = {
    "case_id": 7,
    "requested_rewrite": {
        "prompt": "{} was born in",
        "target_new": {"str": "Rome"},
        "target_true": {"str": "Oslo"},
        "subject": "Ann Bee",
    },
    "paraphrase_prompts": ["It rains. Ann Bee is native to", "Ann Bee comes from"],
    "neighborhood_prompts": ["Cy Dee was born in"],
    "attribute_prompts": [],
    "generation_prompts": ["Ann Bee lives in"],
    "portability": {"New Question": "In which country was Ann Bee born?", "New Answer": "Italy"},
}
FLAT_ROW = {
    "case_id": 3,
    "prompt": "Ann Bee was born in",
    "target_new": "Rome",
    "subject": "Ann Bee",
    "ground_truth": "Oslo",
    "rephrase_prompt": "Ann Bee comes from",
    "locality_prompt": "Cy Dee was born in",
    "locality_ground_truth": "Oslo",
}
ZSRE_ROW = {
    "subject": "Ann Bee",
    "src": "Where was Ann Bee born?",
    "pred": "Oslo",
    "rephrase": "Which town was Ann Bee born in?",
    "alt": "Rome",
    "answers": ["Oslo"],
    "loc": "nq question: who wrote hamlet",
    "loc_ans": "Shakespeare",
    "portability": {"New Question": "In which country was Ann Bee born?", "New Answer": "Italy"},
}


def written(folder: Path, rows: list[Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        (FULL_ROW, ["prompt", "paraphrase", "paraphrase", "two_hop", "neighbor"]),
        (FLAT_ROW, ["prompt", "paraphrase", "neighbor"]),
    ],
)
def test_counterfact_is_read_in_both_of_its_shapes(tmp_path: Path, row: Any, kinds: list[str]) -> None:
    (only,) = load_dataset("counterfact", written(tmp_path, [row])).cases
    assert (only.edit.prompt, only.edit.subject, only.edit.target_new) == ("Ann Bee was born in", "Ann Bee", "Rome")
    assert only.edit.statement == "Ann Bee was born in Rome."
    assert only.ground_truth == "Oslo"
    assert [p.kind for p in only.probes] == kinds
    neighbor = only.probes[-1]
    assert (neighbor.prompt, neighbor.accepted, neighbor.rival) == ("Cy Dee was born in", ("Oslo",), "Rome")


def test_zsre_is_read_and_its_new_answer_may_not_be_an_old_one(tmp_path: Path) -> None:
    no_op = {**ZSRE_ROW, "alt": "oslo"}
    found = load_dataset("zsre", written(tmp_path, [ZSRE_ROW, no_op, {**ZSRE_ROW, "subject": "Elsewhere"}]))
    (only,) = found.cases
    assert [(p.kind, p.accepted) for p in only.probes] == [
        ("prompt", ("Rome",)),
        ("paraphrase", ("Rome",)),
        ("two_hop", ("Italy",)),
        ("unrelated", ("Shakespeare",)),
    ]
    assert only.probes[-1].prompt == "who wrote hamlet"
    assert found.rows == 3
    assert found.dropped == {"new answer among the true ones": 1, "subject not in the prompt": 1}


def test_knowedit_keeps_aliases_consequences_and_the_same_subject(tmp_path: Path) -> None:
    row = {
        "subject": "Ann Bee",
        "prompt": "The birthplace of Ann Bee is",
        "target_new": "Rome",
        "ground_truth": ["Oslo"],
        "generate_prompt": ["1. Where was Ann Bee born?", "2. Ann Bee comes from"],
        "portability": {
            "Subject_Aliasing": [{"prompt": "A. Bee was born in", "ground_truth": [["Rome", "Roma", "Rome"]]}],
            "Reasoning": [{"prompt": "Ann Bee's home country is", "ground_truth": [["Italy"]]}],
            "Logical_Generalization": [{"prompt": "Born in Rome was", "ground_truth": []}],
        },
        "locality": {
            "Relation_Specificity": [{"prompt": "Ann Bee's job is", "ground_truth": [["baker"]]}],
            "Forgetfulness": [{"prompt": "Ann Bee was not born in", "ground_truth": [["Oslo"]]}],
        },
    }
    (only,) = load_dataset("knowedit", written(tmp_path, [row])).cases
    assert [(p.kind, p.prompt, p.accepted) for p in only.probes] == [
        ("prompt", "The birthplace of Ann Bee is", ("Rome",)),
        ("paraphrase", "Where was Ann Bee born?", ("Rome",)),
        ("paraphrase", "Ann Bee comes from", ("Rome",)),
        ("alias", "A. Bee was born in", ("Rome", "Roma")),
        ("two_hop", "Ann Bee's home country is", ("Italy",)),
        ("same_subject", "Ann Bee's job is", ("baker",)),
    ]


def test_halluedit_keeps_what_its_model_said_as_the_old_answer(tmp_path: Path) -> None:
    row = {
        "subject": "Ann Bee",
        "object": "Rome",
        "question": "Where was Ann Bee born?",
        "output_some_model": "Oslo",
        "paraphrased_question": "What is Ann Bee's birthplace?",
        "yes_question": "Was Ann Bee born in Rome?",
        "no_question": "Was Ann Bee born in Oslo?",
        "locality_question": "What is Ann Bee's job?",
        "reversed_relation_question": "Who was born in Rome?",
        "question_2hop": "In which country was Ann Bee born?",
        "answer_2hop": "Italy",
    }
    found = load_dataset("halluedit", written(tmp_path, [row, {**row, "output_some_model": "rome."}]))
    (only,) = found.cases
    assert found.dropped == {"the model's answer was right already": 1}
    assert (only.ground_truth, only.edit.statement) == ("Oslo", "Where was Ann Bee born? Rome")
    kinds = ["prompt", "paraphrase", "yes_no", "yes_no", "reversed", "two_hop", "same_subject"]
    assert [p.kind for p in only.probes] == kinds
    assert [p.accepted for p in only.probes[2:]] == [("Yes",), ("No",), ("Ann Bee",), ("Italy",), ()]


def test_qaedit_has_no_rival_and_a_stray_mark_is_no_answer(tmp_path: Path) -> None:
    row = {
        "id": 5,
        "subject": "most points",
        "prompt": "who has the most points?",
        "target": "Ann Bee *",
        "rephrase": "Who holds most points?",
        "locality": [{"loc": "who wrote it", "loc_ans": "Cy"}, {"loc": "", "loc_ans": "x"}],
    }
    (only,) = load_dataset("qaedit", written(tmp_path, [row])).cases
    assert [(p.kind, p.accepted, p.rival) for p in only.probes] == [
        ("prompt", ("Ann Bee",), ""),
        ("paraphrase", ("Ann Bee",), ""),
        ("unrelated", ("Cy",), ""),
    ]


def rewrite(subject: str, prompt: str, new: str, true: str, question: str | None = None) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "relation_id": "P1",
        "target_new": {"str": new, "id": "Q1"},
        "target_true": {"str": true, "id": "Q2"},
        "subject": subject,
        "question": question,
    }


CHAIN_ROW = {
    "case_id": 1,
    "requested_rewrite": [
        rewrite("Ann Bee", "{} was born in", "Rome", "Oslo", "Where was Ann Bee born?"),
        rewrite("Rome", "{} lies in", "Gaul", "Italy", "In which country is Rome?"),
    ],
    "questions": ["In which country was Ann Bee born?", "Which country is Ann Bee's birthplace in?"],
    "answer": "Norway",
    "answer_alias": ["NO"],
    "new_answer": "Gaul",
    "new_answer_alias": ["Gallia", "Gaul"],
    "single_hops": [],
    "new_single_hops": [],
    "orig": {},
}


def test_mquake_writes_the_whole_chain_and_asks_it(tmp_path: Path) -> None:
    no_change = {**CHAIN_ROW, "answer": "gallia"}
    shares = {
        **CHAIN_ROW,
        "requested_rewrite": [rewrite("Cy", "{} was born in", "Rome", "Bonn"), *CHAIN_ROW["requested_rewrite"][1:]],
    }  # type: ignore[index]
    contrary = {
        **CHAIN_ROW,
        "requested_rewrite": [
            rewrite("Di", "{} was born in", "Rome", "Bonn"),
            rewrite("Rome", "{} lies in", "Spain", "Italy"),
        ],
    }
    found = load_dataset("mquake", written(tmp_path, [CHAIN_ROW, no_change, shares, contrary]))
    one, two = found.cases
    assert (one.edit.subject, one.edit.prompt, one.edit.target_new) == ("Ann Bee", "Ann Bee was born in", "Rome")
    (needed,) = one.before
    assert (needed.prompt, needed.target_new, needed.statement) == ("Rome lies in", "Gaul", "Rome lies in Gaul.")
    assert two.before == one.before  # one edit, one name, whichever instance needs it
    assert [(p.kind, p.prompt, p.accepted) for p in one.probes] == [
        ("prompt", "Ann Bee was born in", ("Rome",)),
        ("paraphrase", "Where was Ann Bee born?", ("Rome",)),
        ("multi_hop", "In which country was Ann Bee born?", ("Gaul", "Gallia")),
        ("multi_hop", "Which country is Ann Bee's birthplace in?", ("Gaul", "Gallia")),
    ]
    assert one.probes[2].rival == "Norway"
    assert found.dropped == {
        "the edits change no answer": 1,
        "an earlier row edits one of its facts otherwise": 1,
    }


def test_the_facts_of_a_chain_are_asked_by_themselves_and_told_as_steps(tmp_path: Path) -> None:
    hops = [
        {"question": "Where was Ann Bee  born?", "answer": "Rome", "answer_alias": ["Roma"]},
        {"question": "In which country is Roma?", "answer": "Gaul", "answer_alias": []},
    ]
    (case,) = load_dataset("mquake", written(tmp_path, [{**CHAIN_ROW, "new_single_hops": hops}])).cases
    assert [(p.prompt, p.accepted) for p in case.probes if p.kind == "hop"] == [
        ("Where was Ann Bee born?", ("Rome", "Roma")),
        ("In which country is Roma?", ("Gaul",)),
    ]
    chains = [p.steps for p in case.probes if p.kind == "multi_hop"]
    assert chains == [("Where was Ann Bee born?", "In which country is {}?")] * 2
    assert [p.kind for p in thinned(case, 1).probes].count("hop") == 2
    hops[1]["question"] = "In which country is that?"
    (case,) = load_dataset("mquake", written(tmp_path, [{**CHAIN_ROW, "new_single_hops": hops}])).cases
    assert all(p.steps == () for p in case.probes)


def test_rippleedits_joins_the_questions_of_one_edit(tmp_path: Path) -> None:
    row = {
        "case_id": 0,
        "requested_rewrite": [rewrite("Ann Bee", "The town which  {}  comes from is", "Rome", "Oslo")],
        "questions": ["The country of the town Ann Bee comes from is?"],
        "answer": None,
        "answer_alias": None,
        "new_answer": "Italy",
        "new_answer_alias": ["Italia"],
        "new_single_hops": [],
    }
    rows = [
        row,
        {**row, "questions": ["The mayor of the town Ann Bee comes from is?"], "new_answer": "Cy"},
        {**row, "new_answer": ""},
    ]
    found = load_dataset("rippleedits", written(tmp_path, rows))
    (only,) = found.cases
    assert only.edit.prompt == "The town which Ann Bee comes from is"
    assert [(p.kind, p.accepted) for p in only.probes[1:]] == [
        ("two_hop", ("Italy", "Italia")),
        ("two_hop", ("Cy", "Italia")),
    ]
    assert found.dropped == {"a field is missing or empty": 1, "joined to an earlier row of the same edit": 1}


def test_conflictedit_asks_for_the_second_edit_after_the_first(tmp_path: Path) -> None:
    def edited(old: str, new: str, **more: Any) -> dict[str, Any]:
        relation = {"id": "P1", "prompt": "The teacher of {} is", "query": "Who taught {}?", "label": "teacher"}
        return {
            "relation": relation,
            "subject": {"id": "Q1", "label": "Ann Bee"},
            "object": {"id": "Q2", "label": old},
            "new_object": {"id": "Q3", "label": new},
            **more,
        }

    row = {"triples": [], "prerequisites": [], "type": "coverage", "edits": [edited("Cy", "Di"), edited("Di", "Ed")]}
    other = {**row, "edits": [edited("Cy", "Di"), edited("Di", "Ed", subject={"id": "Q9", "label": "Flo"})]}
    found = load_dataset("conflictedit", written(tmp_path, [row, other, {**row, "edits": [edited("Cy", "Di")]}]))
    (only,) = found.cases
    assert [e.target_new for e in (*only.before, only.edit)] == ["Di", "Ed"]
    assert only.before[0].edit_id != only.edit.edit_id
    assert [(p.kind, p.prompt, p.accepted, p.rival) for p in only.probes] == [
        ("prompt", "The teacher of Ann Bee is", ("Ed",), "Di"),
        ("paraphrase", "Who taught Ann Bee?", ("Ed",), "Di"),
    ]
    assert found.dropped == {"not two edits of one fact": 2}


def test_rows_that_make_no_case_are_counted_by_reason(tmp_path: Path) -> None:
    rows = [FLAT_ROW, {**FLAT_ROW, "target_new": "Nice"}, {**FLAT_ROW, "target_new": ""}, {"case_id": 1}]
    found = load_dataset("counterfact", written(tmp_path, rows))
    assert len(found.cases) == 1
    assert found.dropped == {"a field is missing or empty": 2, "the same fact edited again": 1}


def test_a_file_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs the benchmark's file"):
        load_dataset("counterfact", None)
    with pytest.raises(ConfigError, match="unke cannot be read: its answers are paragraphs"):
        load_dataset("unke", None)
    with pytest.raises(ConfigError, match="no data set 'nope'"):
        load_dataset("nope", None)
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 1"):
        load_dataset("zsre", broken)


@needs_rows
@pytest.mark.parametrize(
    ("name", "file", "rows"),
    [
        ("counterfact", "counterfact_full_1031.jsonl", 1031),
        ("counterfact", "counterfact_edit_10000.jsonl", 10000),
        ("zsre", "zsre_eval_portability_1037.jsonl", 1037),
        ("knowedit", "knowedit_wiki_counterfact_test_885.jsonl", 885),
        ("qaedit", "qaedit_500.jsonl", 500),
        ("halluedit", "halluedit_even_topics.jsonl", 1191),
        ("mquake", "mquake_cf_849.jsonl", 849),
        ("rippleedits", "rippleedits_random_1137.jsonl", 1137),
        ("conflictedit", "conflictedit_gptj_coverage_edit_2500.jsonl", 2500),
    ],
)
def test_published_rows_are_kept_but_for_named_reasons(name: str, file: str, rows: int) -> None:
    found = load_dataset(name, SHARED / file)
    assert found.rows == rows
    assert len(found.cases) + sum(found.dropped.values()) == rows
    # Chains share facts with one another, and RippleEdits has two rows an edit.
    assert len(found.cases) > {"mquake": 0.6, "rippleedits": 0.5}.get(name, 0.9) * rows
    for one in found.cases:
        assert one.edit.subject in one.edit.prompt


def test_every_data_set_is_named() -> None:
    single = {"atlas", "atlas-chains", "counterfact", "zsre", "knowedit", "qaedit", "halluedit"}
    assert set(NAMES) == single | {"mquake", "rippleedits", "conflictedit"}
