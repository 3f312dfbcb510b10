"""What is on disk may be missing, foreign, damaged or out of reach; each case ends in one clear line."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from memory_store.edit import Edit
from memory_store.errors import ConfigError, StoreError, StoreFormatError, StoreLockedError
from memory_store.store import EditStore

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shelf():
    """A folder that another user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        Path(folder).chmod(0o755)


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400
    return text


@pytest.fixture
def filled(tmp_path, put, capital):
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy") as store:
        put(store, *[capital(f"C{n}", "Lyon") for n in range(200)])
    return path


def test_a_missing_store_is_not_made_when_only_read(tmp_path):
    with pytest.raises(StoreError, match="there is no store at .*scr store init") as caught:
        EditStore.open(tmp_path / "no" / "s.scr", create=False)
    one_line(caught)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"not a database at all, " * 99, b"\x00" * 4096, b"SQLite format 3\x00" + b"x" * 999]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "s.scr"
    path.write_bytes(content)
    with pytest.raises(StoreFormatError, match="damaged or not a store") as caught:
        EditStore.open(path)
    assert str(path) in one_line(caught)
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_store(tmp_path):
    (tmp_path / "s.scr").touch()
    with EditStore.open(tmp_path / "s.scr") as store:
        assert store.edits() == []


def test_another_programs_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "s.scr"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(StoreFormatError, match="another program"):
        EditStore.open(path)
    assert path.read_bytes() == before


def test_a_store_of_a_newer_version_is_refused(filled):
    with closing(sqlite3.connect(filled)) as raw:
        raw.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreFormatError, match="newer version .schema 999.*upgrade scr"):
        EditStore.open(filled)


def test_damage_inside_is_told_when_it_is_met_and_found_by_doctor(filled, keys_of):
    content = bytearray(filled.read_bytes())
    for page in range(40, len(content) // 4096):  # the schema and the tables' roots stand before
        content[page * 4096 : page * 4096 + 2000] = b"\xa5" * 2000
    filled.write_bytes(content)
    with EditStore.open(filled, encoder="toy") as store:
        with pytest.raises(StoreFormatError, match="damaged") as caught:
            store.edits()
            store.nearest(keys_of(["x"]), 5)
        one_line(caught)
        assert store.doctor()


def test_a_file_cut_short_is_refused_or_found_by_doctor(filled):
    filled.write_bytes(filled.read_bytes()[: 4096 * 20])
    with pytest.raises(StoreFormatError):
        with EditStore.open(filled) as store:
            assert store.doctor()
            store.edits()


def test_a_lost_table_is_a_format_error(filled):
    with closing(sqlite3.connect(filled)) as raw, raw:
        raw.execute("DROP TABLE names")
    with EditStore.open(filled) as store, pytest.raises(StoreFormatError, match="lacks a part"):
        store.mentioned(["x"])


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(StoreError, match="is a folder; name a file in it"):
        EditStore.open(tmp_path)


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot make a store at"):
        EditStore.open(tmp_path / "file" / "s.scr")
    with pytest.raises(StoreError, match="cannot make a store at"):
        EditStore.open("/proc/nowhere/s.scr")


def test_a_path_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(StoreError):
        EditStore.open(tmp_path / "nul\0byte")
    with pytest.raises(StoreError):
        EditStore.open(tmp_path / ("x" * 300))


AS_NOBODY = "os.getuid() == 0 and os.setuid(65534)\n"


def run(script, path):
    prelude = "import os, sys; from memory_store.store import EditStore; from memory_store.edit import Edit\n"
    done = subprocess.run([sys.executable, "-c", prelude + script, str(path)], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == ""
    return done.stdout


def test_a_folder_without_rights_is_named(shelf):
    shelf.chmod(0o555)
    script = (
        f"{AS_NOBODY}try: EditStore.open(sys.argv[1])\nexcept Exception as error: print(type(error).__name__, error)"
    )
    said = run(script, shelf / "s.scr")
    assert said.startswith(f"StoreError cannot make a store at {shelf / 's.scr'}: Permission denied")


def test_a_store_that_may_not_be_written_can_be_read(shelf):
    script = (
        "path = sys.argv[1]\n"
        "with EditStore.open(path) as store: store.put([Edit(statement='Old.', edit_id='a')])\n"
        "os.chmod(path, 0o444); os.chmod(os.path.dirname(path), 0o555)\n"
        f"{AS_NOBODY}"
        "with EditStore.open(path) as store:\n"
        "    print(store.get('a').statement, len(store), store.verify().ok, store.doctor())\n"
        "    try: store.put([Edit(statement='New.')])\n"
        "    except Exception as error: print(type(error).__name__, error)"
    )
    said = run(script, shelf / "s # 1?.scr")
    assert said.startswith("Old. 1 True []\nStoreError") and "check the rights of the file and folder" in said


def test_a_closed_store_says_so(filled):
    store = EditStore.open(filled)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.edits()


def test_another_writer_is_waited_for_and_then_named(filled, capital):
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with EditStore.open(filled, timeout=0.05) as store:
            with pytest.raises(StoreLockedError, match="being written by another process; wait") as caught:
                store.put([capital("France", "Lyon")])
            one_line(caught)
            assert len(store.edits()) == 200  # reading goes on
            other.execute("ROLLBACK")
            assert store.put([capital("France", "Lyon")])[0].status == "added"


def test_a_full_disk_keeps_what_was_there_and_nothing_of_the_new_batch(filled, capital):
    with EditStore.open(filled) as store:
        pages = store._db.value("PRAGMA page_count")
        store._db.execute(f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(StoreError, match="disk .* is full; nothing of this write was kept") as caught:
            store.put([capital(f"New {n}", "x" * 500) for n in range(200)])
        one_line(caught)
        assert len(store) == 200 and store.verify().ok and store.doctor() == []
        store._db.execute("PRAGMA max_page_count = 1000000")
        assert store.put([capital("New", "Lyon")])[0].status == "added"


def test_a_failure_between_two_edits_leaves_nothing(filled, capital, monkeypatch):
    with EditStore.open(filled) as store:
        head, calls = store.head(), []

        def names_of(edit):
            calls.append(edit)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return []

        monkeypatch.setattr("memory_store.store.names_of", names_of)
        with pytest.raises(KeyboardInterrupt):
            store.put([capital(f"New {n}", "Lyon") for n in range(5)])
        monkeypatch.undo()
        assert store.head() == head and len(store) == 200
        assert store.put([capital("New 1", "Lyon")])[0].status == "added"


def test_the_files_of_a_store_are_for_their_owner_alone(filled):
    with EditStore.open(filled) as store:
        store.put([])
        assert {os.stat(file).st_mode & 0o077 for file in filled.parent.glob("s.scr*")} == {0}


def test_the_schema_reads_well_with_any_sqlite(filled):
    with closing(sqlite3.connect(filled)) as raw:
        sql = "SELECT subject, target_new FROM edits JOIN windows ON edit = row WHERE known_until IS NULL LIMIT 1"
        assert raw.execute(sql).fetchone() == ("C0", "Lyon")


@pytest.mark.parametrize("name", ["facts[1].scr", "facts*.scr", "100%_a?b#c.scr"])
def test_signs_of_patterns_in_a_stores_name_are_part_of_its_name(tmp_path, keys_of, name):
    with EditStore.open(tmp_path / "facts1.scr", encoder="toy", index="codes") as other:
        other.put([Edit(statement="Other.")], {"statement": keys_of(["Other."])})
        other.nearest(keys_of(["Other."]), 1)
    with EditStore.open(tmp_path / name, encoder="toy", index="codes") as store:
        store.put([Edit(statement="One.", edit_id="a")], {"statement": keys_of(["One."])})
        store.nearest(keys_of(["One."]), 1)
        assert [file for file in store.stats()["files"] if ".index-" in file and file.startswith(name)]
        store.purge(["a"])
        assert all(file.startswith(name) for file in store.stats()["files"])
    caches = [file.name for file in tmp_path.iterdir() if ".index-" in file.name]
    assert len(caches) == 1 and caches[0].startswith("facts1.scr")


def test_a_store_is_one_whatever_link_or_folder_leads_to_it(tmp_path, keys_of, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.scr").symlink_to(tmp_path / "real" / "s.scr")
    EditStore.open(tmp_path / "real" / "s.scr").close()
    monkeypatch.chdir(tmp_path)
    with EditStore.open("link.scr", encoder="toy", index="codes") as store:
        monkeypatch.chdir("/")
        store.put([Edit(statement="One.", edit_id="a")], {"statement": keys_of(["One."])})
        store.nearest(keys_of(["One."]), 1)
        kept = {file.name.partition("-")[0] for file in (tmp_path / "real").iterdir()}
        assert kept == {"s.scr", "s.scr.index"} and sorted(os.listdir(tmp_path)) == ["link.scr", "real"]
    with EditStore.open(tmp_path / "real" / "s.scr", encoder="toy") as store:
        store.purge(["a"])
        assert not [file for file in (tmp_path / "real").iterdir() if ".index-" in file.name]


def test_a_forked_process_is_told_to_open_the_store_itself(filled):
    with EditStore.open(filled) as store:
        came, sent = os.pipe()
        child = os.fork()
        if not child:
            try:
                store.edits()
                said = "read"
            except StoreError as error:
                said = str(error)
            os.write(sent, said.encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert "was opened before this process was forked; open it again here" in os.read(came, 1000).decode()
        os.close(came), os.close(sent)
        assert len(store.edits()) and store.verify().ok


HALF = "\ud800"


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.get(HALF),
        lambda s: s.edits(HALF),
        lambda s: s.nearest(np.eye(1, 16, dtype=np.float32), 1, namespace=HALF),
        lambda s: s.forget(["a"], actor=HALF),
        lambda s: s.put([Edit(statement="New.")], actor=HALF),
        lambda s: s.record("apply", {"what": HALF}),
        lambda s: s.record("apply", {"what": object()}),
        lambda s: s.record_use([("Who?", ["a"])], request=HALF),
        lambda s: s.calibrate(HALF, 0.5),
        lambda s: s.revert(2**70),
        lambda s: s.diff(2**70),
        lambda s: s.backup("a\0b"),
    ],
)
def test_what_no_database_can_hold_is_an_error_of_ours_and_changes_nothing(tmp_path, call, keys_of):
    with EditStore.open(tmp_path / "s.scr", encoder="toy") as store:
        store.put([Edit(statement="One.", edit_id="a")], {"statement": keys_of(["One."])})
        head = store.head()
        with pytest.raises((ConfigError, StoreError), match="half|surrogates|larger|no JSON|serializable|NUL"):
            call(store)
        assert store.head() == head and len(store) == 1 and store.verify().ok
