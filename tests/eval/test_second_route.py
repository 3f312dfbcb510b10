"""Claims about the edits that the second route's benchmark puts into one memory."""

import json
from pathlib import Path

import pytest

from eval.benchmarks.second_route import Case, Governed, consistent
from memory_store.edit import Edit
from memory_store.errors import ConfigError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    templates = {1: "{} speaks", 2: "{} was born in", 3: "The tongue of {} is", 4: "{} speaks"}
    relations = {1: "P103", 2: "P19", 3: "P103", 4: "P103"}
    rows = [{"case_id": n, "relation_id": relations[n], "prompt_template": t} for n, t in templates.items()]
    (tmp_path / "counterfact_relations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def case(number: int, subject: str, neighbour: str) -> Case:
    edit = Edit(edit_id=str(number), statement=f"{subject} speaks Thai.", subject=subject, target_new="Thai")
    return edit, (), neighbour


def test_a_question_is_governed_in_any_wording_of_its_relation(data: Path) -> None:
    assert Governed(data)([case(1, "Ada", "")[0]]) == {"ada speaks", "the tongue of ada is"}


def test_no_edit_of_a_consistent_memory_answers_anothers_neighbour(data: Path) -> None:
    cases = [
        case(1, "Ada", "The tongue of Bob is"),
        case(3, "Bob", "Eve speaks"),  # answers the first one's neighbour
        case(4, "Cid", "The tongue of Ada is"),  # the first one answers its neighbour
        case(2, "Bob", "Eve was born in"),  # another relation
    ]
    kept, left_out = consistent(data, cases, 2)
    assert [edit.edit_id for edit, _, _ in kept] == ["1", "2"] and left_out == 2
    with pytest.raises(ConfigError, match="wanted 3"):
        consistent(data, cases, 3)
