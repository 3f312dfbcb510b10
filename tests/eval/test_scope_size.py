"""Claims about the memory that the scope decision is asked to bear."""

import json
from pathlib import Path

from eval.benchmarks.scope_size import counterfact_edits, with_places


def test_edits_of_a_flat_file_are_statements_and_a_fact_is_stored_once(tmp_path: Path) -> None:
    rows = [
        {"case_id": 1, "subject": "Ada", "prompt": "The mother tongue of Ada is", "target_new": "Danish"},
        {"case_id": 2, "subject": "Bob", "prompt": "The mother tongue of Bob is", "target_new": "Danish"},
        {"case_id": 3, "subject": "Ada", "prompt": "the mother tongue of ada is", "target_new": "Welsh"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    edits = list(counterfact_edits(file))
    assert [e.statement for e in edits][:1] == ["The mother tongue of Ada is Danish."]
    assert [e.edit_id for e in with_places(edits)] == ["cf-1", "cf-2"]
