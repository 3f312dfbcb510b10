"""Claims about sweeps: one setting moves and nothing else, and a sweep goes on. The built-in model, a few edits."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eval.atlas import load_atlas
from eval.cli import eval_group
from eval.methods import Bench, Spec, load_bench
from eval.runner import BASE_FILE, RunConfig
from eval.sweeps import BATCH, picture, rows_of, setting_of, sweep, told
from memory_store.errors import ConfigError

SMALL = RunConfig(points=(2,), batch=2, probed=2, fixed=2, per_kind=1, max_new_tokens=4)
QUICK = Spec("ft-m", '{"num_steps": 3}', "quick")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bench() -> Bench:
    return load_bench(None, encoder="hash", max_new_tokens=4)


def test_a_value_becomes_the_setting_that_is_meant(bench: Bench) -> None:
    assert setting_of("memit", bench.model, "layer", 2) == {"layers": [2]}
    assert setting_of("ft-m", bench.model, "layer", 2) == {"layer": 2}
    assert setting_of("memit", bench.model, "lambda", 50) == {"mom2_update_weight": 50}
    assert setting_of("alphaedit", bench.model, "lambda", 0.5) == {"L2": 0.5}
    assert setting_of("rome", bench.model, "v_num_grad_steps", 5.0) == {"v_num_grad_steps": 5}
    with pytest.raises(ConfigError, match="rome has no lambda to sweep; batch-size always can be, and here .*v_lr"):
        setting_of("rome", bench.model, "lambda", 1)


def test_one_setting_moves_and_the_sweep_goes_on(bench: Bench, tmp_path: Path) -> None:
    atlas = load_atlas(4, fixed=2)
    values = (0.02, 1e-6)
    found = sweep(atlas, QUICK, "lr", values, bench, SMALL, tmp_path)
    assert [one.value for one in found] == sorted(values)
    settings = [dict(one.method.settings) for one in found]
    assert [s.pop("lr") for s in settings] == sorted(values) and settings[0] == settings[1]
    # A step of next to nothing writes nothing; a hundredth is too much for what is out of scope, or is heard.
    still, loud = (one.method.event(2) or {} for one in found)
    assert next(iter(still["weights"].values()))["norm"] < next(iter(loud["weights"].values()))["norm"] / 100
    answers = {folder.name: (folder / BASE_FILE).read_bytes() for folder in tmp_path.iterdir()}
    assert len(answers) == 2 and len(set(answers.values())) == 1
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    asked: list[int] = []
    sweep(atlas, QUICK, "lr", values, bench, SMALL, tmp_path, progress=lambda *how_far: asked.append(how_far[1]))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")} == before


def test_batches_of_each_size_hold_the_same_edits_or_stand_alone(bench: Bench, tmp_path: Path) -> None:
    atlas = load_atlas(4, fixed=2)
    shared = sweep(atlas, QUICK, BATCH, (1, 2), bench, SMALL, tmp_path / "shared")
    assert [one.point for one in shared] == [2, 2]
    alone = sweep(atlas, QUICK, BATCH, (2, 3), bench, SMALL, tmp_path / "alone", alone=True)
    assert [one.point for one in alone] == [2, 3]
    result = told(alone, BATCH, {"method": "ft-m"})
    header, rows = rows_of(result)
    assert header[:3] == [BATCH, "edits", "reliability"] and "accuracy (forced)" in header
    assert [row[:2] for row in rows] == [["2", "2"], ["3", "3"]]
    words = [t.text for t in ElementTree.fromstring(picture(result)).iter("{http://www.w3.org/2000/svg}text")]
    assert {"generated", "teacher-forced", "reliability", "ES", BATCH} <= set(words)


@pytest.mark.parametrize(
    ("spec", "over", "values", "said"),
    [
        (QUICK, "lr", (0.1,), "at least two different values"),
        (QUICK, BATCH, (0, 1), "whole numbers from 1"),
        (QUICK, "layer", (0, 99), "layer"),
        (Spec("scr"), "lr", (1, 2), "take a weight editor"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(
    spec: Spec, over: str, values: tuple[float, ...], said: str, bench: Bench, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        sweep(load_atlas(4, fixed=2), spec, over, values, bench, SMALL, tmp_path)


def test_the_command_writes_json_and_a_page(tmp_path: Path) -> None:
    settings = tmp_path / "quick.json"
    settings.write_text('{"num_steps": 2}', encoding="utf-8")
    out = tmp_path / "layers"
    words = f"sweep --method ft-m:{settings} --over layer --values 0,3 --edits 2 --probed 1 --fixed 1".split()
    done = CliRunner().invoke(eval_group, [*words, "--max-new-tokens", "3", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(done.stdout)
    assert result == {"schema": "scr.eval.sweep/1", **json.loads((out / "sweep.json").read_text(encoding="utf-8"))}
    assert [row["layer"] for row in result["rows"]] == [0.0, 3.0]
    assert set(result["rows"][0]["generated"]).isdisjoint(result["rows"][0]["teacher_forced"])
    page = (out / "sweep.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1 and page.count("<table") == 2
    wrong = CliRunner().invoke(eval_group, [*words[:6], "1,x", "--out", str(out)])
    assert wrong.exit_code != 0 and "numbers with commas between them" in str(wrong.exception)


@pytest.mark.parametrize(("over", "value"), [("layer", 2.7), ("v_num_grad_steps", 0.5)])
def test_a_whole_number_is_not_cut_from_another(bench: Bench, over: str, value: float) -> None:
    with pytest.raises(ConfigError, match="whole numbers"):
        setting_of("memit", bench.model, over, value)
