"""The second route as a user meets it: ask --route, add --verify, recheck, train; and how each goes wrong kindly."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from memory_store.store import EditStore
from scr.verification import EVENT

Run = Callable[..., Result]
QUESTION = "What is the capital of France?"
FACT = ("-q", QUESTION, "-a", "Lyon", "--id", "fr")


@pytest.fixture
def tiny(scr: Run, tiny_model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A random model, which obeys no fact, and one fact."""
    monkeypatch.setenv("SCR_MODEL", tiny_model)
    monkeypatch.setenv("SCR_STORE", str(tmp_path / "facts.scr"))
    assert scr("add", *FACT).exit_code == 0
    return scr


def route_of(result: Result) -> tuple[str, str]:
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    return data["route"], data["answer"]


def test_the_shipped_counterfactual_model_answers_where_the_model_cannot_read(tiny: Run) -> None:
    asked = ("ask", QUESTION, "--json", "--max-new-tokens", "8")
    assert route_of(tiny(*asked))[0] == "context"
    assert route_of(tiny(*asked, "--route", "counterfactual")) == ("counterfactual", "Lyon")
    assert route_of(tiny(*asked, "--route", "auto")) == ("counterfactual", "Lyon")
    assert route_of(tiny("ask", "Who wrote Hamlet?", "--json", "--route", "counterfactual"))[0] == "base"


def test_an_answer_for_people_names_its_route(tiny: Run) -> None:
    result = tiny("ask", QUESTION, "--route", "counterfactual", "--why")
    assert result.stdout == "Lyon\n" and "route: counterfactual" in result.stderr and "used: fr" in result.stderr
    assert "[counterfactual: fr" in tiny("ask", QUESTION, "--route", "counterfactual").stderr


def test_a_counterfactual_folder_that_is_none_ends_with_7(tiny: Run, tmp_path: Path) -> None:
    result = tiny("ask", QUESTION, "--route", "counterfactual", "--counterfactual", str(tmp_path))
    assert result.exit_code == 7 and "holds no config.json" in result.stderr and result.stderr.count("\n") == 1
    assert tiny("ask", QUESTION, "--counterfactual", " ").exit_code in (1, 2)
    assert tiny("ask", QUESTION, "--route", "serac").exit_code == 2


def test_add_verify_says_and_remembers_that_the_model_does_not_obey(tiny: Run, tmp_path: Path) -> None:
    result = tiny("add", "The capital of Spain is Vigo.", "--id", "es", "--verify")
    assert result.exit_code == 0 and "es is not obeyed: given the fact, the model says" in result.stderr
    assert "scr ask --route auto" in result.stderr
    data = json.loads(tiny("add", "The capital of Peru is Cusco.", "--id", "pe", "--verify", "--json").stdout)
    (verified,) = data["verified"]
    assert (verified["edit_id"], verified["known"], verified["obeyed"]) == ("pe", False, False)
    with EditStore.open(tmp_path / "facts.scr") as store:
        assert [event.edit_id for event in store.log(kind=EVENT)] == ["pe", "es"]
    assert tiny("undo").exit_code == 0  # takes the fact back, not only what was said about it
    assert "pe" not in tiny("ls").stdout


def test_a_fact_that_cannot_be_verified_says_why_and_a_dry_run_is_refused(tiny: Run) -> None:
    verbatim = tiny("add", "--verbatim", "-q", "What is the refund window?", "-a", "30 days.", "--verify")
    assert verbatim.exit_code == 0 and "cannot be verified" in verbatim.stderr
    refused = tiny("add", "The capital of Peru is Cusco.", "--verify", "--dry-run")
    assert refused.exit_code == 2 and "leave one out" in refused.stderr


def test_recheck_reports_each_fact_and_remembers_it_for_the_model(tiny: Run, tmp_path: Path) -> None:
    result = tiny("recheck")
    assert result.exit_code == 0, result.stderr
    assert (
        "not obeyed  fr" in result.stdout
        and "1 of 1 facts asked: 0 obeyed, 1 not, 0 known now; 1 of 1" in result.stdout
    )
    data = json.loads(tiny("recheck", "--dry-run", "--json").stdout)
    assert data["schema"] == "scr.recheck/1" and data["not_obeyed"][0]["edit_id"] == "fr" and data["failures"] == []
    with EditStore.open(tmp_path / "facts.scr") as store:
        (event,) = store.log(kind=EVENT)
    assert event.payload is not None and event.payload["model"] == data["fingerprint"]


def test_a_recheck_says_what_another_model_did_and_an_unchanged_one_adds_nothing(tiny: Run, tmp_path: Path) -> None:
    from scr.pocket import MODEL_DIR

    pocket = str(MODEL_DIR)
    tiny("add", "The capital of Japan is Tokyo.", "--id", "jp")
    first = tiny("recheck", "-m", pocket)
    assert first.exit_code == 0 and "known now   jp" in first.stdout and "before" not in first.stdout
    assert "scr forget jp" in first.stderr and "--route auto" not in first.stderr
    result = tiny("recheck")
    assert "not obeyed  fr" in result.stdout and "(the model before obeyed it)" in result.stdout
    assert "scr ask --route auto" in result.stderr and "scr forget" not in result.stderr
    again = json.loads(tiny("recheck", "-m", pocket, "--json").stdout)
    assert again["known"][0]["before"] == {"known": False, "obeyed": False}
    assert "(the model before did not)" in tiny("recheck", "-m", pocket).stdout
    with EditStore.open(tmp_path / "facts.scr") as store:
        assert len(list(store.log(kind=EVENT))) == 6  # two facts, three times another model than before
    empty = tiny("recheck", "-n", "nobody")
    assert empty.exit_code == 0 and empty.stderr.count("holds no facts") == 1


def test_the_built_in_model_obeys_and_auto_leaves_it_the_answer(scr: Run) -> None:
    assert "fr is verified" in scr("add", *FACT, "--verify").stderr
    assert route_of(scr("ask", QUESTION, "--route", "auto", "--json")) == ("context", "Lyon")


def test_recheck_ends_with_5_where_a_test_fails_and_says_when_there_is_nothing(scr: Run, tiny_model: str) -> None:
    empty = scr("recheck", "-m", tiny_model)
    assert empty.exit_code == 0 and "no facts yet" in empty.stderr
    scr("add", *FACT)
    # Allowed for one fact, and the very words of another that is answered verbatim: one of the two cannot fire.
    scr("add", "--verbatim", "-q", "Which town is it?", "-a", "Nice.", "--id", "it")
    scr("allow", "fr", "Which town is it?")
    scr("allow", "it", QUESTION)
    result = scr("recheck", "-m", tiny_model)
    assert result.exit_code == 5 and "test failed" in result.stdout


def test_training_ends_with_a_folder_that_ask_takes(tiny: Run, tiny_model: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"statement": f"The capital of {c} is {t}.", "target_new": t, "subject": c, "in_scope": [f"Capital of {c}?"]}
        for c, t in {"Spain": "Vigo", "Peru": "Cusco", "Italy": "Turin"}.items()
    ]
    (tmp_path / "edits.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = str(tmp_path / "model")
    done = tiny("train", "counterfactual", "--data", "edits.jsonl", "--out", out, "--base", tiny_model, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["schema"] == "scr.train/1" and report["done"] and (tmp_path / "model" / "README.md").is_file()
    asked = ("ask", QUESTION, "--route", "counterfactual", "--counterfactual", out, "--max-new-tokens", "4", "--json")
    assert route_of(tiny(*asked))[0] == "counterfactual"


def test_training_data_that_is_missing_says_what_was_wanted(scr: Run) -> None:
    result = scr("train", "scope", "--data", "none.jsonl", "--out", "x")
    assert result.exit_code != 0 and "cannot read none.jsonl" in result.stderr and "scr train --help" in result.stderr


@pytest.mark.parametrize("kind", ["embed", "cross"])
def test_a_trained_classifier_decides_by_its_folder(tiny: Run, tiny_bert: str, tmp_path: Path, kind: str) -> None:
    countries = {"France": "Lyon", "Spain": "Vigo", "Peru": "Cusco", "Italy": "Turin", "Chad": "Moundou"}
    rows = [
        {
            "statement": f"What is the capital of {c}? {t}",
            "target_new": t,
            "subject": c,
            "in_scope": [f"What is the capital of {c}?", f"Name the capital of {c}."],
            "out_of_scope": [f"Who governs {c}?"],
        }
        for c, t in countries.items()
    ]
    (tmp_path / "edits.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = str(tmp_path / "scope")
    options = ("--base", tiny_bert, "--kind", kind, "--epochs", "100", "--batch", "5", "--learning-rate", "0.003")
    done = tiny("train", "scope", "--data", "edits.jsonl", "--out", out, *options, "--pooling", "mean", "--json")
    assert done.exit_code == 0, done.stderr
    assert route_of(tiny("ask", QUESTION, "--scope", out, "--json", "--max-new-tokens", "2"))[0] == "context"
    assert route_of(tiny("ask", "Who governs France?", "--scope", out, "--json", "--max-new-tokens", "2"))[0] == "base"
    # A threshold that was set for this classifier holds for it and for no other decider.
    questions = "\n".join(json.dumps({"query": f"Who governs land {n}?", "in_scope": False}) for n in range(100))
    found = tiny("calibrate", "--data", "-", "--false-fire", "0.05", "--scope", out, "--json", input=questions)
    assert found.exit_code == 0, found.stderr
    told = json.loads(found.stdout)
    assert told["decider"].startswith("serac-")
    assert threshold_of(tiny("why", QUESTION, "--scope", out, "--json")) == told["threshold"]
    assert threshold_of(tiny("why", QUESTION, "--json")) != told["threshold"]
    tested = tiny("test", "--scope", out)
    assert tested.exit_code == 0, tested.output


def threshold_of(result: Result) -> float:
    assert result.exit_code == 0, result.stderr
    return float(json.loads(result.stdout)["threshold"])


def test_a_scope_folder_that_is_none_says_how_to_make_one(tiny: Run, tmp_path: Path) -> None:
    unknown = tiny("ask", QUESTION, "--scope", "serac")
    assert unknown.exit_code == 2 and "none of pair, cosine, llm, nor a folder" in unknown.stderr
    assert "scr train scope --data FILE --out FOLDER" in unknown.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (("ask", QUESTION), ("why", QUESTION), ("test",), ("prove",)):
        result = tiny(*command, "--scope", str(empty))
        assert result.exit_code == 7 and "holds no SERAC classifier" in result.stderr, result.stderr
        assert f"scr train scope --data FILE --out {empty}" in result.stderr.replace("\n", " ")
    counterfactual = tmp_path / "other"
    counterfactual.mkdir()
    (counterfactual / "scr_serac_scope.json").write_text('{"schema": "scr.serac_scope/1", "kind": "embed"}')
    broken = tiny("ask", QUESTION, "--scope", str(counterfactual))
    assert broken.exit_code == 7 and "cannot load the encoder" in broken.stderr
