"""Claims about several processes that share a run: the rows are those of one, and none outlives who started it."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from eval.atlas import load_atlas
from eval.cases import Dataset
from eval.methods import Bench, Spec, load_bench
from eval.runner import METHODS_FOLDER, Journal, RunConfig, file_of, read_manifest, run
from memory_store.errors import ConfigError

SMALL = RunConfig(points=(1, 2), singles=1, probed=1, fixed=2, per_kind=1, max_new_tokens=4)
SPECS = [Spec("base"), Spec("memit", '{"v_num_grad_steps": 2}', "short")]
DIFFER = ("wall_s", "cpu_s", "edit_s", "edit_cpu_s", "undo_s", "query_ms", "query_cpu_ms", "peak_mib", "time", "commit")


@pytest.fixture(scope="module")
def atlas() -> Dataset:
    return load_atlas(4, fixed=2)


def made(cache: Path, **options: Any) -> Bench:
    texts = [case.edit.statement for case in load_atlas(60).cases]
    return load_bench(None, encoder="hash", max_new_tokens=4, corpus=texts, cache=cache, **options)


def broken(**_options: Any) -> Bench:
    raise ConfigError("no such model here")


def rows_of(out: Path, label: str) -> list[dict[str, Any]]:
    found = Journal.read(out / METHODS_FOLDER / file_of(label))
    return [{k: v for k, v in row.items() if k not in DIFFER} for row in found]


def test_two_workers_leave_the_rows_of_one(atlas: Dataset, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        bench = made(tmp_path / "cache")
        run(atlas, SPECS, bench, SMALL, tmp_path / "one")
        told: list[tuple[str, int, int]] = []
        run(
            atlas,
            SPECS,
            bench,
            SMALL,
            tmp_path / "two",
            progress=lambda *how_far: told.append(how_far),
            workers=2,
            load=partial(made, tmp_path / "cache"),
        )
    finally:
        torch.set_num_threads(before)
    labels = [spec.label for spec in SPECS]
    for label in labels:
        assert rows_of(tmp_path / "two", label) == rows_of(tmp_path / "one", label), label
        assert not any(row.get("event") == "failed" for row in rows_of(tmp_path / "two", label))
    assert read_manifest(tmp_path / "two")["made_on"]["workers"] == 2
    # Every question is told of, and how far all methods are together never falls.
    assert {label for label, _, _ in told} == set(labels)
    done = [answered for _, answered, _ in told]
    assert done == sorted(done) and done[-1] == told[-1][2]


def test_a_worker_that_fails_ends_the_run_and_says_why(atlas: Dataset, tmp_path: Path) -> None:
    bench = made(tmp_path / "cache")
    with pytest.raises(ConfigError, match="no such model here"):
        run(atlas, [Spec("base")], bench, SMALL, tmp_path / "run", workers=2, load=broken)
    with pytest.raises(ConfigError, match="more than one need load"):
        run(atlas, [Spec("base")], bench, SMALL, tmp_path / "run", workers=2)


def test_a_file_is_written_by_one_process_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "rows.jsonl") as journal:
        journal.add([{"a": 1}])
        with pytest.raises(ConfigError, match="written by another run"):
            Journal(tmp_path / "rows.jsonl")
    with Journal(tmp_path / "rows.jsonl") as journal:
        assert journal.rows == [{"a": 1}]


ORPHAN = """
import multiprocessing, time
from eval.workers import _end_with_parent
from threading import Thread

def live():
    Thread(target=_end_with_parent, daemon=True).start()
    time.sleep(600)

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=live)
    child.start()
    print(child.pid, flush=True)
    child.join()
"""


def test_a_worker_ends_with_who_started_it_even_if_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ORPHAN, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(1.0)  # it begins to live
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while alive(child):
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # whom nobody has buried yet
