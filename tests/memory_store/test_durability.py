"""What survives: kill -9 at any moment of ``scr import``, four processes that write at once, a disk that fills up.

Everything here runs real processes on real files, with the encoder that needs no model (``SCR_ENCODER=hash``).
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from memory_store.store import EditStore

ROOT = Path(__file__).parents[2]
BATCH = 256


def box(number):
    return {
        "statement": f"Box {number} is red.",
        "subject": f"Box {number}",
        "prompt": f"Box {number} is",
        "target_new": "red",
    }


@pytest.fixture
def environment(tmp_path):
    own = {name: value for name, value in os.environ.items() if not name.startswith("SCR_")}
    return {**own, "SCR_ENCODER": "hash", "SCR_STORE": str(tmp_path / "s.scr"), "PYTHONPATH": str(ROOT)}


def start(environment, *args, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "scr", *map(str, args)], cwd=Path(environment["SCR_STORE"]).parent, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def scr(environment, *args):
    process = start(environment, *args)
    said, errors = process.communicate(timeout=600)
    return process.returncode, said, errors


# -- kill -9 -----------------------------------------------------------------------------------------------------------


def rows_in(path):
    """How many rows are committed, as any program may look."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as raw:
            return raw.execute("SELECT coalesce(max(row), 0) FROM edits").fetchone()[0]
    except sqlite3.OperationalError:  # no file or no schema yet
        return 0


def kill_imports(tmp_path, environment, rows, kills):
    """Kill imports of one file at ``kills`` random moments, then let one finish."""
    path, source = tmp_path / "s.scr", tmp_path / "facts.jsonl"
    source.write_text("".join(json.dumps(box(n)) + "\n" for n in range(rows)))
    draw = random.Random(rows)
    for moment in sorted(draw.sample(range(rows - 20 * BATCH), kills)):
        process = start(environment, "import", source)
        while (seen := rows_in(path)) < moment and process.poll() is None:
            time.sleep(0.003)
        time.sleep(draw.uniform(0, 0.06))  # anywhere in a batch, which takes about that long
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        with EditStore.open(path) as store:
            assert store.verify().ok
            there = [edit.subject for edit in store.edits()]
            assert there == [f"Box {n}" for n in range(len(there))]
            assert len(there) >= seen and len(there) % BATCH == 0
            if there:  # exactly what the log says is committed
                last = store.log(limit=1)[0]
                assert (last.kind, last.payload["records"]) == ("import", len(there))
    code, said, errors = scr(environment, "import", source)
    assert (code, said) == (0, f"imported  {rows - len(there)} added\n")
    assert f"went on after {len(there)} records" in errors
    with EditStore.open(path) as store:
        assert [edit.subject for edit in store.edits()] == [f"Box {n}" for n in range(rows)]
        assert len(store.versions()) == rows and store.verify().ok and store.doctor() == []
    assert scr(environment, "import", source)[1] == "imported  no facts\n"
    assert scr(environment, "log", "--verify")[0] == 0 and rows_in(path) == rows


def test_kill_9_at_three_moments_of_8_000_rows_keeps_the_committed_batches_and_the_import_goes_on(
    tmp_path, environment
):
    kill_imports(tmp_path, environment, 8_000, 3)


@pytest.mark.slow
def test_kill_9_at_ten_moments_of_100_000_rows_keeps_the_committed_batches_and_the_import_goes_on(
    tmp_path, environment
):
    kill_imports(tmp_path, environment, 100_000, 10)


# -- several writers ---------------------------------------------------------------------------------------------------

WRITER = """
import json, random, sys, time
from memory_store.edit import Edit
from memory_store.store import EditStore
from scr.editor import keys_of
from scr.encoder import load_encoder
path, who, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
draw, encoder = random.Random(who), load_encoder("hash")
live, number, calls, versions = set(), 0, 0, 0
end = time.monotonic() + seconds
with EditStore.open(path, encoder=encoder.fingerprint) as store:
    while time.monotonic() < end or calls < 20:
        batch = []
        for _ in range(draw.randint(1, 5)):
            number += 1
            batch.append(Edit(statement=f"{who} {number} is here.", subject=f"{who} {number}",
                              prompt=f"{who} {number} is", target_new="here", edit_id=f"{who}-{number}"))
        of = f"Door {draw.randrange(9)}"
        batch.append(Edit(statement=f"{of} is held by {who} {number}.", subject=of, prompt=f"{of} is held by",
                          target_new=f"{who} {number}"))
        results = store.put(batch, keys_of(encoder, batch), actor=who)
        assert {result.status for result in results} <= {"added", "superseded"}, results
        versions += len(results)
        live |= {edit.edit_id for edit in batch[:-1]}
        if draw.random() < 0.5:
            gone = draw.sample(sorted(live), min(len(live), draw.randint(1, 4)))
            store.forget(gone, actor=who)
            live -= set(gone)
        if draw.random() < 0.2:
            found = store.nearest(encoder.encode([f"{who} {number} is here."]), 20)[0]
            own = {hit.edit_id for hit in found if hit.edit_id.startswith(f"{who}-")}
            assert own <= live and (f"{who}-{number}" in own) == (f"{who}-{number}" in live)
        calls += 1
print(json.dumps({"live": sorted(live), "versions": versions, "calls": calls}))
"""


def write_at_once(tmp_path, environment, seconds):
    """Three processes through the library and one that runs command after command, all adding and deleting."""
    path = tmp_path / "s.scr"
    scr(environment, "store", "init")
    end = time.monotonic() + seconds
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, path, who, str(seconds)], env=environment, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for who in ("ann", "bob", "cid")
    ]  # fmt: skip
    shell, number = set(), 0
    while time.monotonic() < end or number < 3:
        number += 1
        added = scr(environment, "add", "-q", f"Where is dan {number}?", "-a", "here", "--id", f"dan-{number}")
        assert added[0] == 0 and "locked" not in added[2], added
        shell.add(f"dan-{number}")
        if number % 2:
            removed = scr(environment, "rm", f"dan-{number}", "-y")
            assert removed[0] == 0 and "locked" not in removed[2], removed
            shell.discard(f"dan-{number}")
        if number == 2:
            assert scr(environment, "store", "backup", tmp_path / "copy.scr")[0] == 0
    reports = []
    for worker in workers:
        said, errors = worker.communicate(timeout=120)
        assert (worker.returncode, errors) == (0, "")
        reports.append(json.loads(said))
    with EditStore.open(tmp_path / "copy.scr") as copy:  # taken while the others wrote
        assert copy.verify().ok and copy.doctor() == [] and copy.get("dan-2").target_new == "here"
        copy_head = copy.head()
    with EditStore.open(path) as store:
        assert store.verify(expect=copy_head).ok
        ids = [edit.edit_id for edit in store.edits() if not edit.subject.startswith("Door ")]
        assert len(ids) == len(set(ids))
        assert set(ids) == shell.union(*(report["live"] for report in reports))
        doors = [edit.subject for edit in store.edits() if edit.subject.startswith("Door ")]
        assert sorted(doors) == sorted(set(doors))
        assert len(store.versions()) == number + sum(report["versions"] for report in reports)
        assert store.verify().ok and store.doctor() == []


def test_four_processes_add_and_delete_at_once_and_nothing_is_lost_or_doubled(tmp_path, environment):
    write_at_once(tmp_path, environment, 5)


@pytest.mark.slow
def test_four_processes_add_and_delete_for_a_minute_and_nothing_is_lost_or_doubled(tmp_path, environment):
    write_at_once(tmp_path, environment, 60)


# -- a full disk -------------------------------------------------------------------------------------------------------

ON_A_SMALL_DISK = """
import os, subprocess, sys
from pathlib import Path
from memory_store.store import EditStore
disk, source, rows = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", disk], check=True)
ballast = disk / "ballast"
ballast.write_bytes(bytes(16 << 20))
os.environ["SCR_STORE"] = str(disk / "s.scr")

def run(*args):
    done = subprocess.run([sys.executable, "-m", "scr", *args], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr

code, said, errors = run("import", source)
lines = [line for line in errors.splitlines() if "new store" not in line and "committed" not in line]
assert code == 6 and len(lines) == 1, (code, said, errors)
assert "the disk of the store" in lines[0] and "is full; nothing of this write was kept" in lines[0], lines
with EditStore.open(disk / "s.scr") as store:
    kept = [edit.subject for edit in store.edits()]
    assert store.verify().ok and store.doctor() == []
    assert kept and len(kept) % 256 == 0 and kept == [f"Box {n}" for n in range(len(kept))]
    assert store.log(limit=1)[0].payload["records"] == len(kept)
assert run("ls", "--json")[0] == 0 and run("log", "--verify")[0] == 0
ballast.unlink()
code, said, errors = run("import", source)
assert (code, said) == (0, f"imported  {rows - len(kept)} added\\n"), (code, said, errors)
with EditStore.open(disk / "s.scr") as store:
    assert [edit.subject for edit in store.edits()] == [f"Box {n}" for n in range(rows)]
    assert len(store.versions()) == rows and store.verify().ok and store.doctor() == []
print("all is there")
"""


def test_a_disk_that_fills_up_during_an_import_loses_no_committed_row(tmp_path, environment):
    own_mounts = ["unshare", "--user", "--map-root-user", "--mount"]
    disk, source = tmp_path / "disk", tmp_path / "facts.jsonl"
    disk.mkdir()
    if not shutil.which("unshare"):
        pytest.skip("no unshare: a small disk cannot be made")
    trial = [*own_mounts, "mount", "-t", "tmpfs", "-o", "size=1m", "none", disk]
    if refused := subprocess.run(trial, capture_output=True, text=True).stderr:
        pytest.skip(f"a small disk cannot be made here: {refused.strip()}")
    source.write_text("".join(json.dumps(box(n)) + "\n" for n in range(2_500)))
    done = subprocess.run(
        [*own_mounts, sys.executable, "-c", ON_A_SMALL_DISK, disk, source, "2500"],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "all is there\n"), done.stderr


def test_files_that_may_not_grow_any_more_lose_no_committed_row(tmp_path, environment):
    resource = pytest.importorskip("resource", reason="this system limits no file sizes")
    source = tmp_path / "facts.jsonl"
    source.write_text("".join(json.dumps(box(n)) + "\n" for n in range(2_500)))
    limited = textwrap.dedent(
        f"""
        import resource, runpy, sys
        resource.setrlimit(resource.RLIMIT_FSIZE, (6 << 20, {resource.RLIM_INFINITY}))
        sys.argv = ["scr", "import", {str(source)!r}]
        runpy.run_module("scr", run_name="__main__")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", limited], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 6, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "new store" not in line and "committed" not in line]
    assert "the disk failed under the store" in line or "is full" in line
    with EditStore.open(tmp_path / "s.scr") as store:
        kept = len(store)
        assert kept and kept % BATCH == 0 and store.verify().ok and store.doctor() == []
    assert scr(environment, "import", source)[:2] == (0, f"imported  {2_500 - kept} added\n")
