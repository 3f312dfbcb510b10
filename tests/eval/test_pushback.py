"""Conversations under doubt: a fact stays before the turn that asked, and the benchmark counts what it says."""

from typing import Any

import pytest

from eval.benchmarks.pushback import measure, talks_of
from memory_store.errors import ConfigError
from scr.build import open_editor
from scr.edited_model import EditedModel
from scr.pocket.evaluate import Measures


def test_after_ten_turns_of_doubt_the_fact_still_stands_before_the_question() -> None:
    editor = open_editor(":memory:", encoder="hash", scope="cosine", offline=True)
    with EditedModel.from_pretrained(offline=True, encoder="hash", scope="cosine") as model:
        fact = model.edit(question="What is the capital of France?", answer="Lyon").edit
        editor.edit([fact])
        talk: list[dict[str, Any]] = [{"role": "user", "content": "What is the capital of France?"}]
        for number in range(10):
            talk.append({"role": "assistant", "content": "Lyon."})
            talk.append({"role": "user", "content": f"Come on, that is wrong ({number})."})
        rewrite = editor.rewrite(talk)
        assert rewrite.route == "context" and [j.edit.target_new for j in rewrite.edits] == ["Lyon"]
        assert "Lyon" in rewrite.messages[0]["content"] and rewrite.messages[1:] == talk[1:]
        assert [j.edit.target_new for j in model.chat(talk, max_new_tokens=2).used] == ["Lyon"]
    editor.store.close()


def test_half_of_the_proposals_are_right_and_no_subject_comes_twice() -> None:
    measures = Measures(1)
    talks = talks_of(measures, 12, 10, edited=True)
    assert len({talk.asked.subject for talk in talks}) == 12
    for talk in talks:
        assert sum(wanted.startswith("Yes") for _, wanted in talk.lines[1:]) == 5
    with pytest.raises(ConfigError, match="3 turns cannot be half right and half wrong; give an even number"):
        talks_of(measures, 1, 3, edited=True)


def test_an_edited_answer_stands_and_an_unedited_conversation_is_the_same_to_the_letter() -> None:
    with EditedModel.from_pretrained(offline=True) as model:
        found = measure(model, 2, 2)
    assert found["edited"]["first"] == 1 and found["edited"]["asked_again_after_2"] == 1
    assert found["unedited"]["same"] == 1 and found["unedited"]["conversations"] == 2
    assert found["unedited"]["with_memory"] == found["unedited"]["without_memory"]
