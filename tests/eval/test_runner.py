"""Claims about running a comparison: fairness, resumption, and what the rows hold. The built-in model, few edits."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from eval.atlas import load_atlas
from eval.ballast import ballast
from eval.cases import Dataset, EvalCase, Probe
from eval.cli import eval_group
from eval.datasets import load_dataset
from eval.forced import row_likelihood
from eval.methods import Bench, Spec, make_editor, read_spec, spectra, with_tuned
from eval.peak import peak_mib, reset_peak
from eval.report import HTML_FILE, MARKDOWN_FILE, write_report
from eval.room import room
from eval.runner import BASE_FILE, Journal, Plan, RunConfig, batches, candidates, file_of, read_manifest, run
from eval.scores import read_result
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.language_model import load_model

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
SMALL = RunConfig(points=(1, 4), singles=2, probed=4, fixed=4, per_kind=1, batch=2)
TIMINGS = (
    "wall_s",
    "cpu_s",
    "edit_s",
    "edit_cpu_s",
    "undo_s",
    "query_ms",
    "query_cpu_ms",
    "peak_mib",
    "time",
    "commit",
)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bench() -> Bench:
    """The pocket model, a small corpus, the hash encoder: no file beyond the package."""
    model, tokenizer = load_model(None)
    texts = [case.edit.statement for case in load_atlas(300).cases]
    return Bench(model, tokenizer, encoder="hash", max_new_tokens=12, corpus=texts)


@pytest.fixture(scope="module")
def atlas() -> Dataset:
    return load_atlas(20, fixed=10)


def rows_of(out: Path, label: str, *, events: bool = True) -> list[dict[str, Any]]:
    """A method's rows without what differs from run to run: times."""
    found = Journal.read(out / "methods" / file_of(label))
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in found if events or "answer" in row]


def names(*texts: str) -> list[Spec]:
    return [read_spec(text) for text in texts]


# --- the plan --------------------------------------------------------------------------------------------------


def toy(number: int) -> EvalCase:
    edit = Edit(edit_id=f"t{number}", subject=f"S{number}", prompt=f"S{number} is", target_new="x", statement="s")
    probes = (
        Probe(kind="prompt", prompt=edit.prompt, accepted=("x",), rival="y"),
        Probe(kind="neighbor", prompt=f"N{number} is", accepted=("y",), rival="x"),
        Probe(kind="neighbor", prompt=f"M{number} is", accepted=("y",), rival="x"),
    )
    return EvalCase(edit=edit, ground_truth="y", probes=probes)


TOY = Dataset(
    name="toy", cases=tuple(toy(i) for i in range(30)), fixed=(Probe(kind="unrelated", prompt="F", accepted=("z",)),)
)


def test_a_point_asks_about_evenly_spread_edits_and_the_fixed_facts() -> None:
    plan = Plan(TOY, RunConfig(points=(10, 30), probed=3, per_kind=1))
    first, last = plan.sequences[0]
    assert [c.edit.edit_id for c in first.cases] == [f"t{i}" for i in range(10)]
    assert [(q.case, q.probe.kind) for q in first.questions] == [
        *(pair for i in (0, 4, 9) for pair in ((f"t{i}", "prompt"), (f"t{i}", "neighbor"))),
        ("fixed-000", "unrelated"),
    ]
    assert {q.case for q in last.questions} == {"t0", "t14", "t29", "fixed-000"}
    assert plan.singles == []


def test_only_questions_in_scope_are_governed() -> None:
    governing = Plan(TOY, RunConfig(points=(2,))).governing
    assert governing == {"S0 is": ["t0"], "S1 is": ["t1"]}


def test_other_orders_are_shuffles_that_a_seed_fixes() -> None:
    config = RunConfig(points=(10,), orders=3, seed=5)
    one, two = Plan(TOY, config), Plan(TOY, config)
    ids = [[c.edit.edit_id for c in sequence[0].cases] for sequence in one.sequences]
    assert ids == [[c.edit.edit_id for c in sequence[0].cases] for sequence in two.sequences]
    assert ids[0] == [f"t{i}" for i in range(10)]
    assert len({tuple(x) for x in ids}) == 3
    # Order 0 takes the first ten; so do the others, in another order: no edit is asked about that was not planned.
    assert all(sorted(x) == sorted(ids[0]) for x in ids)


def test_batches_are_as_the_protocol_says() -> None:
    assert [b - a for a, b in batches(0, 330, RunConfig(points=(330,)))] == [10] * 10 + [100, 100, 30]
    assert [b - a for a, b in batches(0, 5, RunConfig(points=(5,), protocol="sequential"))] == [1] * 5
    assert list(batches(0, 5, RunConfig(points=(5,), batch=4))) == [(0, 4), (4, 5)]


@pytest.mark.parametrize(
    "wrong",
    [{"points": ()}, {"points": (10, 1)}, {"points": (0,)}, {"protocol": "single"}, {"orders": 0}, {"fixed": -1}],
)
def test_a_config_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RunConfig(**wrong)


def test_more_edits_than_cases_are_refused() -> None:
    with pytest.raises(ConfigError, match="30 cases"):
        Plan(TOY, RunConfig(points=(31,)))


def test_probabilities_are_read_of_the_wanted_answer_and_its_rival() -> None:
    own, neighbor, _ = toy(0).probes
    assert candidates(own) == [("S0 is", "x"), ("S0 is", "y")]
    assert candidates(neighbor) == [("N0 is", "y"), ("N0 is", "x")]
    assert candidates(Probe(kind="yes_no", prompt="Is it?", accepted=("Yes",), rival="No")) == []


# --- methods ---------------------------------------------------------------------------------------------------


def test_every_method_is_asked_with_the_same_tokens(bench: Bench, atlas: Dataset) -> None:
    """Nothing is edited, so whatever stands in front of the model must hand it the same question."""
    prompts = [probe.prompt for probe in atlas.fixed[:6]]
    wanted = bench.say(prompts)
    assert len(set(wanted)) > 1
    for spec in names("base", "oracle-context", "copy", "scr", "cosine", "memit", "grace", "ft-m"):
        with make_editor(spec, bench, {}) as editor:
            assert [a.text for a in editor.answer(prompts)] == wanted, spec.label


def test_copy_says_the_stored_answer_where_scr_fires_and_nothing_elsewhere(bench: Bench, atlas: Dataset) -> None:
    case = atlas.cases[0]
    with make_editor(read_spec("copy"), bench, {}) as editor:
        editor.edit([case.edit])
        fired, silent = editor.answer([case.edit.prompt, atlas.fixed[0].prompt])
        assert (fired.text, fired.used[0].edit.edit_id) == (case.edit.target_new, case.edit.edit_id)
        assert (silent.text, silent.used) == (bench.say([atlas.fixed[0].prompt])[0], ())
        wanted, other = editor.log_likelihood([(case.edit.prompt, f" {t}") for t in (case.edit.target_new, "Else")])
        assert wanted[0] == 0.0 and wanted[2]
        assert other[0] <= -1e4 and not other[2]


def test_the_oracle_shows_the_governing_fact_and_no_other(bench: Bench, atlas: Dataset) -> None:
    one, two = atlas.cases[:2]
    paraphrase = next(p.prompt for p in one.probes if p.kind == "paraphrase")
    with make_editor(read_spec("oracle-context"), bench, {paraphrase: [one.edit.edit_id]}) as editor:
        editor.edit([one.edit, two.edit])
        governed, free = editor.answer([paraphrase, two.edit.prompt])
        assert [j.edit.edit_id for j in governed.used] == [one.edit.edit_id]
        assert (free.used, free.text) == ((), bench.say([two.edit.prompt])[0])
        editor.forget([one.edit.edit_id])
        assert editor.answer([paraphrase])[0].used == ()


def test_a_weight_editor_changes_matrices_and_gives_them_back(bench: Bench, atlas: Dataset) -> None:
    before = bench.digest()
    with make_editor(read_spec("memit"), bench, {}) as editor:
        assert spectra(editor) == {}
        editor.edit([case.edit for case in atlas.cases[:2]])
        assert bench.digest() != before
        (told,) = spectra(editor).values()
        assert 0 < told["sigma_max"] <= told["norm"]
        assert told["condition"] >= 1 and told["condition_before"] >= 1
    assert bench.digest() == before


HEARD = {
    "ft-m": {"lr": 0.005, "num_steps": 50},
    "memit": {"layers": [1, 2], "v_lr": 0.5, "clamp_norm_factor": 6.0, "v_num_grad_steps": 30}
    | {"v_weight_decay": 0.01, "mom2_update_weight": 100.0},
}


@pytest.mark.parametrize("name", HEARD)
def test_what_is_written_in_the_chat_template_is_heard_through_it(name: str, bench: Bench, atlas: Dataset) -> None:
    """Five edits, asked in the template; the same ones written as raw prompts are hardly heard there."""
    spec = Spec(name, json.dumps(HEARD[name]), "here")
    own = [(case.edit.prompt, case.edit.target_new) for case in atlas.cases[:5]]
    before = bench.digest()
    with make_editor(spec, bench, {}) as editor:
        editor.edit([case.edit for case in atlas.cases[:5]])
        said = [answer.text for answer in editor.answer([prompt for prompt, _ in own])]
        greedy = [flag for _, _, flag in editor.forced(own)]
    right = [text == target for text, (_, target) in zip(said, own, strict=True)]
    assert sum(right) >= (3 if name == "ft-m" else 1), said
    # Asked in the same form, what is said whole is greedy token by token.
    assert all(flag for flag, good in zip(greedy, right, strict=True) if good)
    assert bench.digest() == before


def test_raw_edits_and_raw_figures_for_those_who_ask_for_them(bench: Bench, atlas: Dataset) -> None:
    raw = Bench(bench.model, bench.tokenizer, encoder="hash", corpus=bench.corpus, written="raw", max_new_tokens=12)
    assert (bench.form.name, raw.form.name) == ("chat", "raw")
    assert raw.asked("x") == bench.asked("x") != "x"
    prompt, truth = atlas.fixed[0].prompt, atlas.fixed[0].accepted[0]
    assert raw.forced([(prompt, truth)]) == raw.language_model.log_likelihood([(prompt, f" {truth}")])
    assert raw.forced([(prompt, truth)]) != bench.forced([(prompt, truth)])
    with make_editor(Spec("ft-m", json.dumps(HEARD["ft-m"]), "here"), raw, {}) as editor:
        editor.edit([atlas.cases[0].edit])
        ((_, _, greedy),) = editor.forced([(atlas.cases[0].edit.prompt, atlas.cases[0].edit.target_new)])
    assert greedy  # as a text that goes on, it is learned
    with pytest.raises(ConfigError, match="written as they are asked or raw"):
        Bench(bench.model, bench.tokenizer, written="loud")  # type: ignore[arg-type]


def test_scores_of_rows_do_not_depend_on_their_company(bench: Bench, atlas: Dataset) -> None:
    """Batched by lengths, against one forward pass a row."""
    pairs = [(c.edit.prompt, text) for c in atlas.cases[:6] for text in (c.edit.target_new, c.ground_truth)]
    rows = bench.rows(pairs)
    assert len({len(prompt) for prompt, _ in rows}) > 1 and len({len(answer) for _, answer in rows}) > 1
    found = row_likelihood(bench.model, rows)
    for (prompt, answer), (nats, tokens, greedy) in zip(rows, found, strict=True):
        with torch.inference_mode():
            logits = bench.model(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        assert nats == pytest.approx(float(logits.gather(-1, torch.tensor(answer)[:, None]).sum()), abs=1e-3)
        assert (tokens, greedy) == (len(answer), logits.argmax(-1).tolist() == list(answer))
    assert {greedy for _, _, greedy in found} == {True, False}
    assert row_likelihood(bench.model, []) == []


def test_tuned_settings_stand_beside_the_published_ones(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    rows = [{"method": "memit", "settings": {"v_lr": 0.25}}, {"method": "prune-memit", "settings": {"v_lr": 0.5}}]
    file.write_text(json.dumps({"result": {"rows": rows}}), encoding="utf-8")
    specs = with_tuned(names("scr", "memit", "rect", "prune", "rome"), file)
    told = {spec.label: json.loads(spec.settings or "{}").get("v_lr") for spec in specs}
    # RECT stands over MEMIT and has no settings of its own; ROME has none at all, and scr takes none.
    assert told == {
        "scr": None,
        "memit": None,
        "memit+tuned": 0.25,
        "rect": None,
        "rect+tuned": 0.25,
        "prune": None,
        "prune+tuned": 0.5,
        "rome": None,
    }
    assert read_spec(f"memit:{file}") == specs[2]
    with pytest.raises(ConfigError, match="no settings for rome"):
        read_spec(f"rome:{file}")
    with pytest.raises(ConfigError, match="settings for none of scr"):
        with_tuned(names("scr"), file)


def test_what_is_typed_for_once_is_not_in_the_command_to_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    from eval.commands import command

    monkeypatch.setattr(sys, "argv", "x eval run --again scr,copy --out o --again=memit".split())
    assert command() == ["scr", "eval", "run", "--out", "o"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--methods memti", "no method 'memti'; did you mean memit"),
        ("--methods scr,mend", "mend is not included: needs a trained hypernetwork for each model; leave it out"),
        ("--methods ,", "scr eval ls names: base,scr,memit"),
        ("--methods base --dataset atlsa", "no data set 'atlsa'; did you mean atlas"),
        ("--methods base --dataset zsre", "give it with --dataset zsre --data FILE"),
        ("--methods base --dataset hardedit", "see what can be: scr eval ls"),
        ("--methods base --edits ten", "such as --edits 1,10,100"),
        ("--methods base --edits 10,1", "such as --edits 1,10,100"),
    ],
)
def test_what_was_mistyped_is_answered_with_what_to_type(words: str, said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(eval_group, ["run", *words.split(), "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, ConfigError) and said in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_settings_come_from_a_file_and_name_the_row(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"v_num_grad_steps": 3}', encoding="utf-8")
    spec = read_spec(f"memit:{file}")
    assert spec.label == "memit+mine"
    with make_editor(spec, bench, {}) as editor:
        assert editor.inner.config.v_num_grad_steps == 3  # type: ignore[attr-defined]
    file.write_text('{"no_such": 3}', encoding="utf-8")
    with pytest.raises(ConfigError, match="no setting no_such"):
        make_editor(read_spec(f"memit:{file}"), bench, {})
    with pytest.raises(ConfigError, match="takes no settings"):
        read_spec(f"scr:{file}")
    with pytest.raises(ConfigError, match="not included"):
        read_spec("mend")
    with pytest.raises(ConfigError, match="no method"):
        read_spec("magic")


# --- running ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(bench: Bench, atlas: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Controls, retrieval and two weight editors, run to the end."""
    out = tmp_path_factory.mktemp("done")
    run(atlas, names("base", "copy", "scr", "memit", "ft-m"), bench, SMALL, out, command=["scr", "eval", "run"])
    return out


def test_every_planned_question_is_answered_once_by_every_method(done: Path, atlas: Dataset) -> None:
    planned = [q.key for stop in Plan(atlas, SMALL).stops for q in stop.questions]
    for label in read_manifest(done)["methods"]:
        rows = [r for r in rows_of(done, label) if "answer" in r]
        assert [(r["order"], r["point"], r["case"], r["probe"]) for r in rows] == planned
        assert [r["point"] for r in rows_of(done, label) if r.get("event") == "point"] == [1, 4]


def test_the_base_never_changes_and_all_weights_come_back(done: Path) -> None:
    for row in rows_of(done, "base", events=False):
        assert row["unchanged"] and row["answer"] == row["base"]
    for label in read_manifest(done)["methods"]:
        (verified,) = [r for r in rows_of(done, label) if r.get("event") == "verified"]
        assert verified["same"] and verified["before"] == verified["after"] == read_manifest(done)["model"]["sha256"]


def test_the_order_of_methods_changes_no_answer(done: Path, bench: Bench, atlas: Dataset, tmp_path: Path) -> None:
    run(atlas, names("ft-m", "memit", "scr"), bench, SMALL, tmp_path)
    for label in ("ft-m", "memit", "scr"):
        assert rows_of(tmp_path, label) == rows_of(done, label)


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 20])
def test_an_interrupted_run_goes_on_to_the_same_rows(
    after: int, done: Path, bench: Bench, atlas: Dataset, tmp_path: Path
) -> None:
    """Cut off within a method's rows, its last line half written: what is there stays, what is missing is asked."""

    def stop(label: str, answered: int, total: int) -> None:
        if label == "memit" and answered > 2 * total // 3 + after:
            raise Interrupted

    methods = names("base", "scr", "memit")
    with pytest.raises(Interrupted):
        run(atlas, methods, bench, SMALL, tmp_path, progress=stop)
    assert bench.digest() == read_manifest(tmp_path)["model"]["sha256"]  # given back on the way out
    file = tmp_path / "methods" / file_of("memit")
    kept = rows_of(tmp_path, "memit")
    assert 0 < len(kept) < len(rows_of(done, "memit"))
    with file.open("a", encoding="utf-8") as torn:
        torn.write('{"order": 0, "po')
    seen: list[int] = []
    run(atlas, methods, bench, SMALL, tmp_path, progress=lambda label, n, total: seen.append(n - total))
    assert rows_of(tmp_path, "memit") == rows_of(done, "memit")
    assert rows_of(tmp_path, "memit")[: len(kept)] == kept
    assert seen[-1] == 0


def test_a_finished_run_asks_nothing_again(done: Path, bench: Bench, atlas: Dataset) -> None:
    before = {path: path.read_bytes() for path in (done / "methods").iterdir()}
    run(atlas, names("base", "memit"), bench, SMALL, done)
    assert {path: path.read_bytes() for path in (done / "methods").iterdir()} == before


def test_rows_that_rest_on_another_scope_are_asked_again_and_no_others(
    done: Path, bench: Bench, atlas: Dataset, tmp_path: Path
) -> None:
    """As if the classifier had been trained anew: the base's and MEMIT's rows stand, those of scr and copy do not."""
    out = tmp_path / "run"
    shutil.copytree(done, out)
    manifest = read_manifest(out)
    assert set(manifest["methods"]["scr"]["rests_on"]) == {"encoder", "scope_sha256"}
    assert manifest["methods"]["memit"]["rests_on"] == manifest["methods"]["base"]["rests_on"] == {}
    for label in ("scr", "copy"):
        manifest["methods"][label]["rests_on"]["scope_sha256"] = "of other weights"
    (out / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    before = {path.name: path.read_bytes() for path in (out / "methods").iterdir()}
    run(atlas, names("base", "copy", "scr", "memit", "ft-m"), bench, SMALL, out)
    after = {path.name: path.read_bytes() for path in (out / "methods").iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"scr.jsonl", "copy.jsonl"}
    assert after["scr.1.old"] == before["scr.jsonl"]  # nothing is lost
    assert rows_of(out, "scr") == rows_of(done, "scr")  # the weights were the same after all
    assert read_manifest(out)["methods"]["scr"] == read_manifest(done)["methods"]["scr"]


def test_a_method_can_be_asked_again(done: Path, bench: Bench, atlas: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(done, out)
    run(atlas, names("base"), bench, SMALL, out, again=["base"])
    assert rows_of(out, "base") == rows_of(done, "base")
    assert (out / "methods" / "base.1.old").exists() and not (out / "methods" / "scr.1.old").exists()
    with pytest.raises(ConfigError, match="not among the methods"):
        run(atlas, names("base"), bench, SMALL, out, again=["scr"])


def test_a_point_tells_what_it_took_and_how_full_the_matrices_are(done: Path) -> None:
    result = read_result(done)
    for label in ("base", "memit"):
        for point in (1, 4):
            event = result.methods[label].event(point)
            assert event is not None and 0 < event["cpu_s"] and 0 < event["wall_s"]
            assert event.get("peak_mib", 100) > 50  # where it is known: at least the model
    assert result.methods["memit"].edit_cpu_seconds is not None
    (room,) = read_manifest(done)["methods"]["memit"]["room"].values()
    assert room == {"d_in": 704}
    assert read_manifest(done)["methods"]["scr"]["room"] == {}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system keeps no such mark")
def test_the_peak_is_of_what_came_after_the_reset() -> None:
    held = bytearray(64 * 2**20)
    high = peak_mib()
    del held
    reset_peak()
    low = peak_mib()
    assert high is not None and low is not None and low < high
    held = bytearray(64 * 2**20)
    held[:: 2**12] = bytes(len(held[:: 2**12]))
    after = peak_mib()
    assert after is not None and after > low + 32


def test_a_null_space_has_less_room_than_its_matrix(bench: Bench) -> None:
    (told,) = room(read_spec("alphaedit"), bench).values()
    assert 0 < told["rank"] < told["d_in"] == 704
    assert room(read_spec("grace"), bench) == room(read_spec("lora"), bench) == {}


def test_a_folder_of_another_run_is_refused(done: Path, bench: Bench, atlas: Dataset) -> None:
    other = RunConfig(points=(1, 4), singles=2, probed=4, fixed=4, per_kind=1, batch=3)
    with pytest.raises(ConfigError, match="another config"):
        run(atlas, names("base"), bench, other, done)
    with pytest.raises(ConfigError, match="another dataset"):
        run(load_atlas(19, fixed=10), names("base"), bench, SMALL, done)


def test_a_method_that_fails_is_told_of_and_the_others_go_on(bench: Bench, atlas: Dataset, tmp_path: Path) -> None:
    broken = Dataset(name="broken", cases=(*atlas.cases[:1], *(unwritable(case) for case in atlas.cases[1:4])))
    config = RunConfig(points=(4,), probed=1, fixed=0, per_kind=1)
    run(broken, names("memit", "base"), bench, config, tmp_path)
    (failed,) = [row for row in rows_of(tmp_path, "memit") if row.get("event") == "failed"]
    assert "does not stand in the prompt" in failed["why"]
    assert any(row.get("event") == "done" for row in rows_of(tmp_path, "base"))
    result = read_result(tmp_path)
    assert result.methods["memit"].points == [] and result.methods["memit"].verified


def unwritable(case: EvalCase) -> EvalCase:
    """Its subject does not stand in its prompt, which no weight editor can write."""
    return replace(case, edit=replace(case.edit, subject="Nobody of that name"))


def test_edits_that_a_case_needs_are_written_before_it_and_taken_back_with_it(bench: Bench, tmp_path: Path) -> None:
    """Each fact is edited twice; the second edit is the case's own. The memory keeps one of them, a list both."""
    cases = [
        replace(case, before=(replace(case.edit, edit_id=f"{case.edit.edit_id}-first", target_new="Nobody"),))
        for case in load_atlas(3).cases
    ]
    twice = Dataset(name="twice", cases=tuple(cases))
    config = RunConfig(points=(1, 3), singles=2, probed=3, fixed=0, per_kind=1)
    run(twice, names("oracle-context", "scr", "eren"), bench, config, tmp_path)
    for label in ("oracle-context", "scr", "eren"):
        assert not [row for row in rows_of(tmp_path, label) if row.get("event") == "failed"], label
    result = read_result(tmp_path)
    assert all(method.verified for method in result.methods.values())
    for row in rows_of(tmp_path, "scr", events=False):
        assert not [used for used in row["used"] if used.endswith("-first")], row
    assert any(row["used"] for row in rows_of(tmp_path, "scr", events=False))


def test_the_oracle_is_told_of_every_edit_of_a_chain() -> None:
    asked = Probe(kind="multi_hop", prompt="Through both?", accepted=("z",))
    one = toy(0)
    chain = replace(one, probes=(*one.probes, asked), before=(toy(9).edit,))
    governing = Plan(Dataset(name="toy", cases=(chain,)), RunConfig(points=(1,))).governing
    assert governing == {"S0 is": ["t0"], "Through both?": ["t9", "t0"]}


def test_ballast_is_of_other_things_and_a_memory_answers_with_it_as_without(
    done: Path, bench: Bench, atlas: Dataset, tmp_path: Path
) -> None:
    heavy = list(ballast(300))
    assert heavy[:20] == list(ballast(20)) and len({edit.subject for edit in heavy}) == 300
    assert not {case.edit.subject for case in atlas.cases} & {edit.subject for edit in heavy}
    config = replace(SMALL, points=(4,), ballast=60)
    run(atlas, names("scr", "copy"), bench, config, tmp_path)
    for label in ("scr", "copy"):
        assert not [row for row in rows_of(tmp_path, label) if row.get("event") == "failed"]
        before = {row["prompt"]: row["answer"] for row in rows_of(done, label, events=False) if row["point"] == 4}
        assert {row["prompt"]: row["answer"] for row in rows_of(tmp_path, label, events=False)} == before
    with pytest.raises(ConfigError, match="leave out memit"):
        run(atlas, names("scr", "memit"), bench, config, tmp_path / "other")


def test_withheld_edits_are_asked_about_and_not_written(bench: Bench, atlas: Dataset, tmp_path: Path) -> None:
    config = replace(SMALL, points=(6,), probed=3, fixed=0, withheld=True)
    (stop,) = Plan(atlas, config).stops
    assert len(stop.cases) == 3
    assert not {case.edit.edit_id for case in stop.cases} & {q.case for q in stop.questions}
    run(atlas, names("scr", "ike"), bench, config, tmp_path)
    result = read_result(tmp_path)
    for label in ("scr", "ike"):
        method = result.methods[label]
        assert method.figure("reliability", 6) is None and method.figure("silence", 6) is not None
        assert all(
            row["governed_by"] is None and row["right"] is None for row in method.rows if row["kind"] == "prompt"
        )
    # IKE always shows the nearest fact; scr is silent where the right one is missing.
    assert value(result.methods["scr"], "silence", 6) > value(result.methods["ike"], "silence", 6)
    with pytest.raises(ConfigError, match="one point above 1"):
        RunConfig(withheld=True)


def test_a_run_from_before_a_setting_was_there_goes_on(
    done: Path, bench: Bench, atlas: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(done, out)
    manifest = read_manifest(out)
    del manifest["config"]["ballast"], manifest["config"]["withheld"]
    assert manifest["methods"]["memit"]["settings"].pop("v_lr") == 0.5
    (out / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    before = (out / "methods" / "memit.jsonl").read_bytes()
    run(atlas, names("base", "scr", "memit"), bench, SMALL, out)
    assert read_manifest(out)["config"]["ballast"] == 0
    assert read_manifest(out)["methods"]["memit"]["settings"]["v_lr"] == 0.5
    assert (out / "methods" / "memit.jsonl").read_bytes() == before
    manifest["methods"]["memit"]["settings"]["v_lr"] = 0.1
    (out / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ConfigError, match="memit with other settings"):
        run(atlas, names("memit"), bench, SMALL, out)


def test_three_orders_are_three_sequences_and_the_report_draws_their_range(
    bench: Bench, atlas: Dataset, tmp_path: Path
) -> None:
    """What rough fine-tuning breaks depends on which edit came last; a memory knows no order."""
    config = RunConfig(points=(2, 4), protocol="sequential", orders=3, probed=4, fixed=2, per_kind=1)
    rough = Spec("ft-m", '{"lr": 0.02, "num_steps": 8}', "rough")
    run(atlas, [*names("oracle-context"), rough], bench, config, tmp_path)
    result = write_report(tmp_path)
    for label in ("oracle-context", rough.label):
        (verified,) = [row for row in rows_of(tmp_path, label) if row.get("event") == "verified"]
        assert verified["same"]
        told = [(row["order"], row["point"]) for row in rows_of(tmp_path, label) if row.get("event") == "point"]
        assert told == [(order, point) for order in range(3) for point in (2, 4)]
    learned, shown = (result.methods[label].figure("locality", 4) for label in (rough.label, "oracle-context"))
    assert learned is not None and shown is not None
    assert len(learned.orders) == 3 and len(set(learned.orders)) > 1  # of the same four edits
    assert learned.interval.units == 3 * 6 and set(shown.orders) == {1.0}
    page = (tmp_path / HTML_FILE).read_text(encoding="utf-8")
    low, high = min(learned.orders), max(learned.orders)
    assert "thick upright bars the range over 3 orders of the edits" in page
    assert f"orders {low:.3f} to {high:.3f}" in page
    assert f"(orders {low:.3f} to {high:.3f})" in (tmp_path / MARKDOWN_FILE).read_text(encoding="utf-8")
    drawn = next(p for p in re.findall(r"<svg.*?</svg>", page, re.DOTALL) if "<title>locality" in p)
    bars = [e.attrib for e in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}line")]
    heights = [float(bar["y1"]) - float(bar["y2"]) for bar in bars if bar["stroke-width"] == "3"]
    assert len(heights) == 4  # two methods at two points
    assert max(heights) >= (high - low) * 196 - 0.2 > 0


def test_slow_methods_are_left_out_where_nobody_asked_for_them(bench: Bench, atlas: Dataset, tmp_path: Path) -> None:
    config = RunConfig(points=(2, 4), probed=1, fixed=0, per_kind=1, slow_edits=2)
    run(atlas, names("grace"), bench, config, tmp_path)
    (left,) = [row for row in rows_of(tmp_path, "grace") if row.get("event") == "left_out"]
    assert left["point"] == 4
    assert read_result(tmp_path).methods["grace"].points == [2]


def test_a_weight_editor_that_is_killed_goes_on_to_the_same_rows(tmp_path: Path) -> None:
    """The command itself, killed by signal 9 with an edit in the weights, started again, against one left alone."""
    words = "eval run --methods ft-m --edits 1,6 --singles 3 --probed 6 --fixed 6 --max-new-tokens 8 --out".split()
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    file = killed / "methods" / file_of("ft-m")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "scr", *words, str(killed)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: lines_of(file) > 12, process)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    before = file.read_bytes()
    assert b'"event": "done"' not in before and not (killed / "report.html").exists()
    with subprocess.Popen(
        [*command, "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as again:
        undisturbed = CliRunner().invoke(eval_group, [*words[1:], str(alone)])
        told, talk = again.communicate(timeout=300)
    assert (again.returncode, undisturbed.exit_code) == (0, 0), talk + undisturbed.output
    assert json.loads(told)["points"] == [1, 6]
    assert file.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert rows_of(killed, "ft-m") == rows_of(alone, "ft-m")
    assert (killed / BASE_FILE).read_bytes() == (alone / BASE_FILE).read_bytes()
    assert "<svg" in (killed / "report.html").read_text(encoding="utf-8")


def wait_for(ready: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while not ready():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "the run did not begin"
        time.sleep(0.02)


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


# --- against published implementations -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "settings", "points", "batch", "name"),
    [
        ("memit", {"mom2_update_weight": 100.0}, 50, 50, "memit_batch50"),
        ("memit", {"mom2_update_weight": 100.0}, 100, 20, "memit_seq5x20"),
        ("alphaedit", {"nullspace_threshold": 0.02, "L2": 1.0}, 100, 20, "alphaedit_seq5x20"),
    ],
)
def test_scores_are_those_of_the_published_implementations(
    method: str, settings: dict[str, Any], points: int, batch: int, name: str, tmp_path: Path
) -> None:
    """A small GPT-2, CounterFact rows, the published code's own deltas scored by the published definitions."""
    golden = SHARED / "golden"
    if not golden.is_dir():
        pytest.skip("the golden values are not beside this checkout")
    import numpy as np

    model, tokenizer = load_model(golden / "model")
    stored = np.load(golden / "covariance.npz")
    bench = Bench(
        model,
        tokenizer,
        chat=False,
        max_new_tokens=4,
        moments={layer: torch.tensor(stored[f"C_L{layer}"]) for layer in (1, 2, 3)},
        templates=json.loads((golden / "context_templates.json").read_text(encoding="utf-8")),
    )
    values = {"v_lr": 1.0, "v_num_grad_steps": 20, "v_weight_decay": 0.5, "clamp_norm_factor": 1.5}
    spec = Spec(method, json.dumps({"layers": [1, 2, 3], **values, **settings}), "golden")
    dataset = load_dataset("counterfact", SHARED / "data/counterfact_edit_10000.jsonl", cases=100)
    run(dataset, [spec], bench, RunConfig(points=(points,), batch=batch, probed=100, fixed=0), tmp_path)
    scored = read_result(tmp_path).methods[spec.label]
    wanted = json.loads((golden / f"{name}.json").read_text(encoding="utf-8"))["scores"]
    assert value(scored, "accuracy", points) == pytest.approx(wanted["efficacy_argmax"], abs=0.02)
    assert value(scored, "ES", points) == pytest.approx(wanted["efficacy_success"], abs=0.02)
    assert value(scored, "para. accuracy", points) == pytest.approx(wanted["paraphrase_argmax"], abs=0.02)
    assert value(scored, "PS", points) == pytest.approx(wanted["paraphrase_success"], abs=0.02)
    # Published as locality: the neighbor's true answer, one token, is still the likeliest.
    kept = [row["wanted"][2] for row in scored.rows if row["kind"] == "neighbor" and row["point"] == points]
    assert len(kept) == points
    assert sum(kept) / points == pytest.approx(wanted["locality_gt_argmax"], abs=0.02)


def value(scored: Any, metric: str, point: int) -> float:
    return float(scored.figure(metric, point).interval.value)


def test_file_names_hold_no_path(tmp_path: Path) -> None:
    assert file_of("../memit/x y") == ".._memit_x_y.jsonl"
    assert (tmp_path / file_of("a")).parent == tmp_path
