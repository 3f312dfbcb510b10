"""A table of other names lets a fact fire on them, and on nothing more; a third of its rows hold a stranger's name."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from eval.scope import evaluate, read_cases
from scr.encoder import load_encoder

SHARED = Path(os.environ.get("SCR_SHARED", Path(__file__).parents[3] / "shared")) / "data"
MEMORY, QUERIES, ALIASES = (SHARED / f"scope_dev_{name}.jsonl" for name in ("memory", "queries", "aliases"))


def test_a_name_that_is_another_subjects_is_not_stored(tmp_path: Path) -> None:
    files = memory, queries, aliases = [tmp_path / name for name in ("m", "q", "a")]
    rows = [{"edit_id": s, "subject": s, "statement": f"{s} is it"} for s in ("Ada Byron", "Bo")]
    memory.write_text("\n".join(map(json.dumps, rows)))
    queries.write_text(json.dumps({"query": "q", "kind": "prompt", "edit_ids": ["Bo"]}))
    names = {"Ada Byron": ["Lady Byron", "Bo"], "Bo": ["Lady Byron", "Bobo"]}
    aliases.write_text("\n".join(json.dumps({"subject": s, "aliases": n}) for s, n in names.items()))
    assert [edit.aliases for edit in read_cases(*files).edits] == [("Lady Byron",), ("Bobo",)]


@pytest.mark.skipif(not ALIASES.is_file(), reason="no benchmark data")
def test_a_table_makes_names_known_and_changes_nothing_else() -> None:
    plain, named = read_cases(MEMORY, QUERIES), read_cases(MEMORY, QUERIES, ALIASES)
    asked = [q for q in named.queries if q.kind == "alias_world"]
    asked += [q for q in named.queries if q.kind == "alias_surface"][::12]
    asked += [q for q in named.queries if q.kind == "same_subject" and q.source == "wiki_counterfact"][::20]
    known = {edit_id for q in asked for edit_id in q.edit_ids}
    found = {}
    encoder = load_encoder(offline=True)
    for label, cases in (("plain", plain), ("named", named)):
        few = replace(cases, edits=tuple(e for e in cases.edits if e.edit_id in known), queries=tuple(asked))
        found[label] = evaluate(few, encoder, timed=1).kinds
    assert found["plain"]["alias_world"][0] <= 0.3
    assert found["named"]["alias_world"][0] >= 0.95 and found["named"]["alias_surface"][0] >= 0.95
    assert abs(found["named"]["same_subject"][0] - found["plain"]["same_subject"][0]) <= 0.01
