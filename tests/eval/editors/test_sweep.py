"""Batches from files: settings by name, progress that survives an interruption, the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from eval.editors.build import NAMES, build_editor, configured, method_of
from eval.editors.cli import edit, moments
from eval.editors.sweep import read_corpus, read_edits, read_old_answers, sweep
from eval.editors.weights import read_deltas
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.cli.options import Group

QUICK = {"layers": [0, 1], "v_lr": 0.1, "v_num_grad_steps": 2, "clamp_norm_factor": 1}
ROWS = [
    {"prompt": "The capital of {} is", "subject": "France", "target_new": "Berlin"},
    {"prompt": "Hamlet was written by", "subject": "Hamlet", "target_new": " Danielle", "edit_id": "h"},
    {"prompt": "The sky over Berlin is", "subject": "Berlin", "target_new": "Paris", "case_id": 7},
]
CORPUS = ["The capital of France is Paris.", "Hamlet was written by Shakespeare."] * 3


@pytest.fixture
def edits(tmp_path: Path) -> list[Edit]:
    path = tmp_path / "edits.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return read_edits(path)


OWN: dict[str, dict[str, Any]] = {
    "ft-m": {"layer": 1, "num_steps": 2},
    "locft-bf": {"layer": 1, "num_steps": 2},
    "wise": {"layer": 1, "n_iter": 2, "edit_lr": 0.1, "save_freq": 2, "merge_freq": 2},
    "lora": {"rank": 2, "num_steps": 2},
}


def made(name: str, model: Any, tokenizer: Any, templates: Any) -> Any:
    if name in OWN:
        if name == "lora":
            pytest.importorskip("peft", reason="peft, the extra lora, is not installed")
        return build_editor(name, model, tokenizer, configured(name, model, OWN[name])[0], others=CORPUS)
    settings = {
        **QUICK,
        "mom2_update_weight": 0.1,
        "nullspace_threshold": 1.0,
        "L2": 0.1,
        "alpha": 0,
        "upper_bound": 1e9,
    }
    config, _ = configured(name, model, {k: v for k, v in settings.items() if k != "layers"} | {"layers": [0, 1]})
    spread = torch.diag(torch.linspace(0.5, 2.0, 128, dtype=torch.float64))
    return build_editor(name, model, tokenizer, config, moments={0: spread, 1: spread}, templates=templates)


def test_edits_are_read_with_their_ids_and_filled_prompts(edits: list[Edit]) -> None:
    assert [e.edit_id for e in edits] == ["0", "h", "7"]
    assert edits[0].prompt == "The capital of France is"
    assert edits[1].statement == "Hamlet was written by Danielle"


@pytest.mark.parametrize("name", ["memit", "alphaedit", "nse", "prune-memit", "rect-memit", *OWN])
def test_an_interrupted_sweep_ends_like_one_in_one_go(
    name: str, make_model: Any, tokenizer: Any, templates: Any, edits: list[Edit], tmp_path: Path
) -> None:
    model = make_model()
    with made(name, model, tokenizer, templates) as editor:
        sweep(editor, edits, tmp_path / "whole.safetensors", batch_size=1)
    out = tmp_path / "d.safetensors"

    with pytest.raises(KeyboardInterrupt), made(name, model, tokenizer, templates) as editor:
        host, calls = getattr(editor, "host", editor), []
        write = host.write_batch

        def twice(batch: Any) -> None:
            calls.append(batch)
            if len(calls) == 3:
                raise KeyboardInterrupt
            write(batch)

        host.write_batch = twice
        sweep(editor, edits, out, batch_size=1)
    with made(name, model, tokenizer, templates) as editor:
        done = sweep(editor, edits, out, batch_size=1)
        assert [e.edit_id for e in editor.edits] == ["0", "h", "7"]
    assert (done.resumed, done.batches) == (2, 3)
    whole, resumed = read_deltas(tmp_path / "whole.safetensors"), read_deltas(out)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert sorted(p.name for p in tmp_path.glob("d.*")) == ["d.safetensors"]


def test_a_part_of_another_run_is_not_taken_up(
    make_model: Any, tokenizer: Any, templates: Any, edits: list[Edit], tmp_path: Path
) -> None:
    out = tmp_path / "d.safetensors"
    with made("memit", make_model(), tokenizer, templates) as editor:
        (tmp_path / "d.safetensors.part").write_bytes(b"")
        with pytest.raises(ConfigError, match="damaged"):
            sweep(editor, edits, out, batch_size=1)
        (tmp_path / "d.safetensors.part").unlink()
        assert sweep(editor, edits, out, batch_size=2, run={"a": 1}).resumed == 0


def test_settings_go_by_name_and_unknown_ones_are_named(make_model: Any) -> None:
    model = make_model()
    config, unknown = configured("memit", model, {"layers": [1], "v_lr": 1, "rewrite_module_tmp": "x"})
    assert (config.layers, config.v_lr, unknown) == ((1,), 1.0, ["rewrite_module_tmp"])
    assert configured("rome", model, {"layers": [2]})[0].layer == 2
    assert configured("ft-l", model, {"layers": [2], "norm_constraint": 0.05})[0].norm_constraint == 0.05
    assert configured("rect-memit", model, {"keep": 0.2})[1] == []
    assert configured("memit", model, {"mom2_update_weight": 0.1, "v_num_grad_steps": 3.0})[0].v_num_grad_steps == 3
    assert configured("ft-l", model, {"norm_constraint": None})[0].norm_constraint is None
    assert configured("lora", model, {"target_modules": ["c_proj"]})[0].target_modules == ("c_proj",)
    refused = [
        ("memit", {"v_lr": "fast"}),
        ("memit", {"v_lr": True}),
        ("memit", {"v_num_grad_steps": 2.5}),
        ("memit", {"v_num_grad_steps": None}),
        ("memit", {"layers": 3}),
        ("memit", {"layers": ["3"]}),
        ("memit", {"ends_only": 1}),
        ("rome", {"layers": [1, 2]}),
        ("ft-m", {"objective": 3}),
        ("ft-m", {"batch_size": None}),
    ]
    for name, bad in refused:
        with pytest.raises(ConfigError, match=next(iter(bad))):
            configured(name, model, bad)
    for name in ("mend", "prune-grace"):
        with pytest.raises(ConfigError, match=f"no method '{name}'"):
            configured(name, model, {})
    for name in NAMES:
        method_of(name)


def test_a_codebook_survives_an_interruption_too(
    make_model: Any, tokenizer: Any, edits: list[Edit], tmp_path: Path
) -> None:
    model = make_model()
    config, _ = configured("grace", model, {"layer": 1, "radius": 0.1, "num_steps": 1})
    first, second = (build_editor("grace", model, tokenizer, config) for _ in range(2))
    with first, second:
        first.edit(edits[:2])
        second.resume([edits[:2]], first.full_deltas, first.state)
        assert second.edits == first.edits
        assert all(torch.equal(second.state[name], value) for name, value in first.state.items())
        first.save_deltas(tmp_path / "book.safetensors")
    assert set(read_deltas(tmp_path / "book.safetensors")) == {"keys", "values", "radii", "targets"}


def test_come_takes_out_the_answers_that_the_rows_name(
    make_model: Any, tokenizer: Any, templates: Any, tmp_path: Path
) -> None:
    path = tmp_path / "edits.jsonl"
    path.write_text("\n".join(json.dumps({**row, "ground_truth": "The"}) for row in ROWS[:2]), encoding="utf-8")
    assert read_old_answers(path) == {"0": "The", "h": "The"}
    model = make_model()
    config, _ = configured("come", model, {**QUICK, "mom2_update_weight": 0.1})
    spread = torch.diag(torch.linspace(0.5, 2.0, 128, dtype=torch.float64))
    deltas = []
    for old in ({}, read_old_answers(path), {"0": "The", "h": "Paris"}):
        editor = build_editor(
            "come", model, tokenizer, config, moments={0: spread, 1: spread}, templates=templates, old_answers=old
        )
        with editor:
            editor.edit(read_edits(path))
            deltas.append(editor.weights.deltas["transformer.h.1.mlp.c_proj.weight"].clone())
    assert not torch.equal(deltas[0], deltas[1]) and not torch.equal(deltas[1], deltas[2])


@pytest.mark.parametrize("text", ["", "{", '{"prompt": "a", "subject": "a"}', "[3]", '{"prompt": 1}'])
def test_unusable_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError):
        read_corpus(path)
    if text:
        with pytest.raises(ConfigError):
            read_edits(path)


def test_the_commands_write_what_they_say(make_model: Any, tokenizer: Any, templates: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    make_model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for name, content in [("edits", ROWS), ("corpus", CORPUS), ("templates", templates)]:
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    settings = {**QUICK, "nullspace_threshold": 10.0, "mom2_dataset": "wikipedia"}
    (tmp_path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    group = Group("eval", commands={"edit": edit, "moments": moments})
    shared = [
        "-m",
        str(folder),
        "--json",
        "--cache",
        str(tmp_path / "cache"),
        "--corpus",
        str(tmp_path / "corpus.json"),
    ]
    ran = CliRunner().invoke(group, ["moments", *shared, "--layers", "0,1"], catch_exceptions=False)
    assert [m["layer"] for m in json.loads(ran.stdout)["moments"]] == [0, 1]
    arguments = ["edit", *shared, "--method", "alphaedit", "--edits", str(tmp_path / "edits.json"), "--batch-size", "2"]
    arguments += ["--config", str(tmp_path / "config.json"), "--templates", str(tmp_path / "templates.json")]
    arguments += ["--save-deltas", str(tmp_path / "d.safetensors")]
    ran = CliRunner().invoke(group, arguments, catch_exceptions=False)
    result = json.loads(ran.stdout)
    assert (result["edits"], result["batches"], result["ignored"]) == (3, 2, ["mom2_dataset"])
    assert "mom2_dataset" in ran.stderr
    assert set(read_deltas(tmp_path / "d.safetensors")) == set(result["norms"])
    assert set(result["norms"]) == {f"transformer.h.{layer}.mlp.c_proj.weight" for layer in (0, 1)}
