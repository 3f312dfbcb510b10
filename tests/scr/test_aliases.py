"""Other names of subjects: no name for a stranger, nothing lost, and back again."""

from pathlib import Path

import pytest

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.aliases import give_names, learnt, read_table, resembles, settled
from scr.build import open_editor
from scr.editor import RetrievalEditor


def fact(subject: str, prompt: str, target: str) -> Edit:
    return Edit(subject=subject, prompt=prompt, target_new=target, statement=f"{prompt} {target}.", source="atlas")


@pytest.fixture
def editor() -> RetrievalEditor:
    made = open_editor(":memory:", offline=True)
    made.edit(
        [
            fact("Ada Byron", "The mother of Ada Byron is", "Annabella"),
            fact("Ada Byron", "The birthplace of Ada Byron is", "Chile"),
            fact("Peru", "The capital of Peru is", "Cusco"),
        ]
    )
    return made


def test_all_facts_of_a_subject_fire_on_a_name_it_was_given_and_no_other_does(editor: RetrievalEditor) -> None:
    question = "Who is the mother of Lady Lovelace?"
    assert editor.decide([question])[0].in_scope == ()
    named = give_names(editor, {"Ada Byron": ["Lady Lovelace"]})
    assert [r.status for r in named.results] == ["superseded", "superseded"]
    (decision,) = editor.decide([question])
    assert [j.edit.target_new for j in decision.in_scope] == ["Annabella"]
    assert decision.in_scope[0].edit.source == "atlas"
    assert editor.decide(["Who is the mother of Lady Gaga?"])[0].in_scope == ()
    assert give_names(editor, {"Ada Byron": ["lady lovelace"]}).results == ()
    editor.store.undo()
    assert editor.decide([question])[0].in_scope == () and len(editor.store.edits()) == 3


def test_a_chain_goes_through_another_name(editor: RetrievalEditor) -> None:
    editor.edit([fact("Bo", "The homeland of Bo is", "Republic of Peru")])
    question = "What is the capital of the homeland of Bo?"
    assert editor.follow([question])[0].in_scope == ()
    give_names(editor, {"Peru": ["Republic of Peru"]})
    assert [j.edit.target_new for j in editor.follow([question])[0].in_scope] == ["Cusco"]


def test_a_name_of_another_stored_subject_is_refused(editor: RetrievalEditor) -> None:
    named = give_names(editor, {"Ada Byron": ["Peru"], "Nobody": ["Nemo"]})
    assert named.results == () and named.unknown == ("Nobody",)
    assert [(r.subject, r.name) for r in named.refused] == [("Ada Byron", "Peru")]


def test_a_name_that_two_subjects_claim_goes_to_the_one_it_is_like() -> None:
    names, refused = settled({"Tyson Fury": ["Tyson Luke Fury"], "Alexi Laiho": ["Tyson Luke Fury", "Wildchild"]})
    assert names == {"Tyson Fury": ["Tyson Luke Fury"], "Alexi Laiho": ["Wildchild"]}
    assert [r.subject for r in refused] == ["Alexi Laiho"]
    assert not resembles("Wildchild", "Alexi Laiho")
    both = {"Tyson Fury": ["Wildchild"], "Alexi Laiho": ["Wildchild"]}
    assert settled(both) == (both, [])


def test_a_name_is_learnt_from_an_allowed_question(editor: RetrievalEditor) -> None:
    mother = next(edit for edit in editor.store.edits() if "mother" in edit.prompt)
    editor.allow(mother.edit_id, ["Who is the mother of Lady Lovelace?", "Whom does Turing admire?"])
    assert learnt(editor) == {"Ada Byron": ["Lady Lovelace"]}
    give_names(editor, learnt(editor))
    (decision,) = editor.decide(["What is the birthplace of Lady Lovelace?"])
    assert [j.edit.target_new for j in decision.in_scope] == ["Chile"] and learnt(editor) == {}


def test_a_table_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "names.jsonl"
    path.write_text('{"subject": "Ada", "aliases": ["Lovelace"]}\n\n{"subject": "Bo"}\n')
    with pytest.raises(ConfigError, match="line 3"):
        read_table(path)
