"""Who decomposes a question, as a user says it."""

import json
from collections.abc import Callable

from click.testing import Result

Run = Callable[..., Result]
QUESTION = "What is the capital of France?"


def test_a_model_that_keeps_no_format_changes_no_answer(scr: Run, tiny_model: str) -> None:
    scr("add", "-q", QUESTION, "-a", "Lyon", "--id", "fr")
    words = ("ask", QUESTION, "-m", tiny_model, "--scope", "cosine", "--max-new-tokens", "3", "--json")
    plain, split = (json.loads(scr(*words, "--decompose", who).stdout) for who in ("words", "llm"))
    assert split["answer"] == plain["answer"] and [e["edit_id"] for e in split["edits"]] == ["fr"]


def test_there_is_no_third_way(scr: Run) -> None:
    result = scr("ask", QUESTION, "--decompose", "magic")
    assert result.exit_code == 2 and "'words', 'llm'" in result.stderr
