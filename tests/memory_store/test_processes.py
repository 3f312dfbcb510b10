"""Several processes on one store, and the sudden end of one."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from threading import Thread

from memory_store.store import EditStore

ROOT = Path(__file__).parents[2]


def start(script, *arguments):
    prelude = """
        import sys
        import numpy as np
        from memory_store.edit import Edit
        from memory_store.store import EditStore
        path = sys.argv[1]
        def edit(n, who="w"):
            return Edit(statement=f"{who} {n} is here.", subject=f"{who} {n}", prompt=f"Where is {who} {n}?",
                        target_new="here", edit_id=f"{who}{n}")
        def keys(edits):
            rows = np.random.default_rng(len(edits)).normal(size=(len(edits), 8)).astype("f4")
            return {"statement": rows / np.linalg.norm(rows, axis=1, keepdims=True)}
    """
    source = textwrap.dedent(prelude) + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.PIPE, stdin=subprocess.PIPE,
    )  # fmt: skip


def test_a_reader_sees_at_its_next_call_what_another_process_wrote_and_forgot(tmp_path, put, capital, keys_of):
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy") as store:
        put(store, capital("France", "Lyon", edit_id="a"))
        key = keys_of(["x"])
        assert [hit.edit_id for hit in store.nearest(key, 9)[0]] == ["a"]
        other = start(
            """
            rows = np.eye(16, dtype="f4")[:1]
            with EditStore.open(path, encoder="toy") as store:
                store.put([edit(1)], {"statement": rows, "prompt": rows})
                print("put", flush=True); sys.stdin.readline()
                store.forget(["a"])
                print("forgot", flush=True); sys.stdin.readline()
            """,
            path,
        )
        with other:
            assert other.stdout.readline() == "put\n"
            assert {hit.edit_id for hit in store.nearest(key, 9)[0]} == {"a", "w1"}
            assert store.mentioned(["where is w 1"]) == [["w1"]]
            print(file=other.stdin, flush=True)
            assert other.stdout.readline() == "forgot\n"
            assert [hit.edit_id for hit in store.nearest(key, 9)[0]] == ["w1"]
            assert len(store) == 1
            print(file=other.stdin, flush=True)


def test_four_processes_write_at_once_and_nothing_is_lost_or_doubled(tmp_path):
    path = tmp_path / "s.scr"
    workers = [
        start(
            """
            who = sys.argv[2]
            with EditStore.open(path, encoder="toy") as store:
                for n in range(0, 60, 3):
                    batch = [edit(n, who), edit(n + 1, who), edit(n + 2, "all")]
                    store.put(batch, keys(batch), actor=who)
                    if n % 2:
                        store.forget([f"{who}{n}"], actor=who)
            """,
            path,
            who,
        )
        for who in "abcd"
    ]
    for worker in workers:
        assert worker.communicate(timeout=60)[1] == ""
    with EditStore.open(path) as store:
        ids = {edit.edit_id for edit in store.edits()}
        own = {f"{who}{n + m}" for who in "abcd" for n in range(0, 60, 3) for m in (0, 1) if n % 2 == 0 or m}
        assert ids == own | {f"all{n}" for n in range(2, 60, 3)}
        assert store.verify().ok and store.doctor() == []


def test_kill_9_in_the_middle_of_writing_keeps_exactly_the_committed_batches(tmp_path):
    path = tmp_path / "s.scr"
    for attempt in range(3):
        writer = start(
            """
            with EditStore.open(path, encoder="toy") as store:
                print("open", flush=True)
                for n in range(len(store), 10**6, 50):
                    batch = [edit(n + m) for m in range(50)]
                    store.put(batch, keys(batch))
                    print(n + 50, flush=True)
            """,
            path,
        )
        with writer:
            said = [writer.stdout.readline() for _ in range(2 + attempt)]
            os.kill(writer.pid, signal.SIGKILL)
            said += writer.stdout.readlines()
        committed = int(said[-1])
        with EditStore.open(path, encoder="toy") as store:
            assert store.verify().ok and store.doctor() == []
            # The last batch may be in although its line was never printed.
            assert len(store) in (committed, committed + 50)
            assert [edit.edit_id for edit in store.edits()] == [f"w{n}" for n in range(len(store))]


def test_opening_a_new_store_in_many_processes_at_once_makes_one(tmp_path):
    path = tmp_path / "s.scr"
    script = """
        with EditStore.open(path) as store:
            print(store.put([edit(int(sys.argv[2]))])[0].status)
    """
    workers = [start(script, path, n) for n in range(6)]
    assert [worker.communicate(timeout=60) for worker in workers] == [("added\n", "")] * 6
    with EditStore.open(path) as store:
        assert len(store) == 6 and store.verify().ok


def test_looking_around_imports_neither_numpy_nor_faiss_nor_torch(tmp_path):
    source = """
import sys
import memory_store
from memory_store import Edit
from memory_store.store import EditStore
with EditStore.open(sys.argv[1]) as store:
    store.put([Edit(statement="The capital of France is Lyon.", subject="France", edit_id="a")])
    store.get("a"), store.edits(), store.log(), store.stats(), store.verify(), store.history("a"), store.namespaces()
    store.mentioned(["France"]), store.forget(["a"]), store.undo(), store.redo(), store.doctor()
with EditStore.open(sys.argv[1], encoder="toy") as store:
    store.edits()
heavy = ("numpy", "faiss", "torch", "scr", "transformers")
print([name for name in sys.modules if name.split(".")[0] in heavy])
"""
    done = subprocess.run(
        [sys.executable, "-c", source, tmp_path / "s.scr"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_threads_share_one_store_without_seeing_half_a_batch(tmp_path, put, capital, keys_of):
    with EditStore.open(tmp_path / "s.scr", encoder="toy") as store:
        put(store, capital("Start", "Lyon"))
        key, odd = keys_of(["x"]), []

        def write(who):
            for n in range(25):
                put(store, capital(f"{who} {n}", "Lyon"), capital(f"{who} {n} too", "Lyon"))

        def read():
            for _ in range(60):
                if len(store.nearest(key, 999)[0]) % 2 == 0 or len(store.edits()) % 2 == 0:
                    odd.append("half a batch")

        threads = [Thread(target=write, args=(who,)) for who in "ab"] + [Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert odd == [] and len(store) == 101 and store.verify().ok
