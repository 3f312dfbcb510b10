"""Random lives of a store, lived by two writers beside a model that is nothing but sets of days.

The second writer is another object in this process, or another process: this file run as a script, which opens stores
and calls them for whoever writes to its standard input.
"""

import copy
import os
import pickle
import subprocess
import sys
import tempfile
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_store.edit import Edit
from memory_store.store import EditStore

ROOT = Path(__file__).parents[2]
FIRST, LAST = -30, 400
SPACES = ("a", "b")
STORED = ("added", "superseded")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def day(number):
    return EPOCH + timedelta(days=number)


def runs(days):
    """The maximal runs of a set of days, as (first, one past the last)."""
    found = []
    for number in sorted(days):
        if found and found[-1][1] == number:
            found[-1][1] = number + 1
        else:
            found.append([number, number + 1])
    return found


def end_of(today, start, length):
    """A claim without a start may have ended long ago."""
    if length is None:
        return None
    return today + length if start is None else start + abs(length)


class Model:
    """Of each version, the days on which it is valid; of each namespace, what can be undone and redone."""

    def __init__(self):
        self.today = 0
        self.days = {space: {} for space in SPACES}  # edit_id -> set of days
        self.said = {space: {} for space in SPACES}  # edit_id -> (subject, target, asked)
        self.before = [(FIRST, copy.deepcopy(self.days))]
        self.standing = {space: [] for space in SPACES}
        self.undone = {space: [] for space in SPACES}
        self.steps = 0
        self.sources = 0
        self.secrets = {}  # (space, edit_id) -> the sources it was ever stored with

    def write(self, changes):
        """changes: space -> days of its versions after the write."""
        self.steps += 1
        for space, days in changes.items():
            self.standing[space].append((self.steps, self.days[space]))
            self.undone[space] = []
            self.days[space] = days
        self.note()

    def note(self):
        self.before.append((self.today, copy.deepcopy(self.days)))

    def put(self, batch):
        """Yield (status, where to say the id under which it was stored) for each edit, then write."""
        days = copy.deepcopy(self.days)
        written = {}
        results = []
        for space, subject, target, start, length, own in batch:
            end = end_of(self.today, start, length)
            edit_id = f"{subject}{target}" if own else None
            said = self.said[space]
            if edit_id in said and said[edit_id] != (subject, target, (start, end)):
                results.append(("conflict", None))
                continue
            others = {i: set(d) for i, d in days[space].items() if said[i][0] == subject and d}
            spans = [run for d in others.values() for run in runs(d)]
            first = FIRST if start is None else start
            if start is None and (end is None or end > self.today) and any(a <= self.today for a, _ in spans):
                first = self.today
            last = end if end is not None else min([a for a, _ in spans if a > max(self.today, first)] + [LAST])
            earlier = written.get((space, subject))
            if earlier and earlier[0] != target and (start is None or start <= earlier[1]):
                results.append(("conflict", None))
                continue
            same = [
                i
                for i in sorted(others, key=list(said).index)
                if said[i][1] == target
                and any(
                    [first, last] == run or (start is None and run[0] <= self.today < run[1] == last)
                    for run in runs(others[i])
                )
            ]
            written[space, subject] = (target, first)
            if same:
                results.append(("duplicate", same[0]))
                continue
            superseded = []
            for i, d in others.items():
                for a, b in runs(d):
                    if b <= first or last <= a:
                        continue
                    stays = b > last and (a >= first or last <= self.today)
                    days[space][i] -= set(range(first, last if stays else b))
                    if not stays and i != edit_id:
                        superseded.append(i)
            new_id = edit_id or f"new {len(said)}"
            said.setdefault(new_id, (subject, target, (start, end)))
            days[space].setdefault(new_id, set()).update(range(first, last))
            results.append(("superseded" if superseded else "added", new_id))
        stored_in = {edit[0] for edit, (status, _) in zip(batch, results, strict=True) if status in STORED}
        self.write({space: days[space] for space in stored_in})
        return results

    def rename(self, space, old, new):
        """The store made its own id."""
        self.said[space] = {new if i == old else i: said for i, said in self.said[space].items()}
        for days in [self.days, *(state for _, state in self.before)]:
            days[space] = {new if i == old else i: d for i, d in days[space].items()}

    def forget(self, space, edit_id):
        self.write({space: {i: (set() if i == edit_id else set(d)) for i, d in self.days[space].items()}})

    def purge(self, space, edit_id):
        states = [self.days, *(state for _, state in self.before)]
        parts = [state[space] for state in states]
        parts += [days for *_, days in self.standing[space] + self.undone[space]]
        for days in parts:
            days.pop(edit_id, None)
        del self.said[space][edit_id]

    def undo(self, spaces):
        tops = [self.standing[space][-1][0] for space in spaces if self.standing[space]]
        if not tops:
            return False
        self.steps += 1
        for space in spaces:
            if self.standing[space] and self.standing[space][-1][0] == max(tops):
                number, days = self.standing[space].pop()
                self.undone[space].append((self.steps, number, self.days[space]))
                self.days[space] = self.filled(space, days)
        return True

    def redo(self, spaces):
        tops = [self.undone[space][-1][0] for space in spaces if self.undone[space]]
        if not tops:
            return False
        for space in spaces:
            if self.undone[space] and self.undone[space][-1][0] == max(tops):
                _, number, days = self.undone[space].pop()
                self.standing[space].append((number, self.days[space]))
                self.days[space] = self.filled(space, days)
        return True

    def filled(self, space, days):
        return {i: days.get(i, set()) for i in self.said[space]}

    def valid(self, space, on, known=None):
        state = self.days if known is None else [s for when, s in self.before if when <= known][-1]
        return [i for i in self.said[space] if on in state[space].get(i, ())]


edits = st.tuples(
    st.sampled_from(SPACES),
    st.sampled_from(["X", "Y"]),
    st.sampled_from("123"),
    st.one_of(st.none(), st.none(), st.integers(-8, 30)),
    st.one_of(st.none(), st.none(), st.integers(-9, 12).filter(bool)),
    st.booleans(),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(edits, min_size=1, max_size=4)),
        st.tuples(st.just("put"), st.lists(edits, min_size=1, max_size=1)),
        st.tuples(st.just("forget"), st.sampled_from(SPACES), st.integers(0, 5)),
        st.tuples(st.just("undo"), st.sampled_from([*SPACES, None]), st.integers(1, 3)),
        st.tuples(st.just("redo"), st.sampled_from([*SPACES, None]), st.integers(1, 3)),
        st.tuples(st.just("purge"), st.sampled_from(SPACES), st.integers(0, 5)),
        st.tuples(st.sampled_from(["reopen", "reindex"])),
    ),
    max_size=14,
)


def key_of(number):
    key = np.random.default_rng(number).normal(size=8)
    return (key / np.linalg.norm(key)).astype(np.float32)


def keys_for(edits):
    """A key of its own for each version, so that a purge can be held to its bytes."""
    return np.array([key_of(zlib.crc32(edit.source.encode())) for edit in edits]).reshape(-1, 8)


class Elsewhere:
    """A store that another process has open; its methods are called there."""

    def __init__(self, process, path, index, model):
        self._process, self._model = process, model
        self._asked("open", path, index)

    def __getattr__(self, name):
        return lambda *args, **more: self._asked(name, *args, **more)

    def __len__(self):
        return self._asked("__len__")

    def reindex(self, encoder, encode):
        assert encode is reindexed
        return self._asked("reindex", encoder)

    def _asked(self, name, *args, **more):
        pickle.dump((self._model.today, name, args, more), self._process.stdin)
        self._process.stdin.flush()
        answer = pickle.load(self._process.stdout)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def serve():
    """Call one store after another for whoever asks."""
    store, calendar, answers = None, Model(), sys.stdout.buffer
    while True:
        try:
            calendar.today, name, args, more = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        answer = None
        try:
            if name == "open":
                path, index = args
                store = EditStore.open(path, encoder="toy", index=index, clock=lambda: day(calendar.today))
            elif name == "reindex":
                answer = store.reindex(*args, reindexed)
            else:
                answer = getattr(store, name)(*args, **more)
        except Exception as error:
            answer = error
        pickle.dump(answer, answers)
        answers.flush()


def reindexed(edits):
    return {"statement": keys_for(edits)}


@pytest.fixture(scope="module")
def process():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, __file__], env=environment, stdin=-1, stdout=-1) as process:
        yield process
        process.stdin.close()


@pytest.mark.parametrize("index", ["exact", "faiss", "codes"])
@pytest.mark.parametrize("second", ["object", "process"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(life=steps, data=st.data())
def test_a_store_agrees_with_plain_sets_of_days(index, second, process, life, data):
    with tempfile.TemporaryDirectory() as folder:
        model, path = Model(), Path(folder, "s.scr")

        def opened(number):
            if number and second == "process":
                return Elsewhere(process, path, index, model)
            return EditStore.open(path, encoder="toy", index=index, clock=lambda: day(model.today))

        stores = [opened(0), opened(1)]  # two that write, each of which must see what the other did
        try:
            for number, step in enumerate(life):
                model.today += data.draw(st.integers(1, 9))
                live_one(model, stores, number, step, opened, path)
                reader = stores[(number + 1) % 2]
                check(model, reader, data)
            assert stores[0].verify().ok and stores[0].doctor() == []
        finally:
            for store in stores:
                store.close()


def live_one(model, stores, number, step, opened, path):
    kind, *how = step
    writer = stores[number % 2]
    if kind == "put":
        asked = [as_edit(model, *edit) for edit in how[0]]
        expected = model.put(how[0])
        results = writer.put(asked, {"statement": keys_for(asked)})
        assert [result.status for result in results] == [status for status, _ in expected]
        for (_, edit_id), result in zip(expected, results, strict=True):
            if edit_id is not None and result.edit.edit_id != edit_id:
                model.rename(result.edit.namespace, edit_id, result.edit.edit_id)
        for edit, result in zip(asked, results, strict=True):
            if result.status in STORED:
                model.secrets.setdefault((edit.namespace, result.edit.edit_id), []).append(edit)
    elif kind == "forget":
        there = [i for i, days in model.days[how[0]].items() if days]
        if there:
            edit_id = there[how[1] % len(there)]
            writer.forget([edit_id], namespace=how[0])
            model.forget(how[0], edit_id)
    elif kind == "purge":
        ever = list(model.said[how[0]])
        if ever:
            edit_id = ever[how[1] % len(ever)]
            secrets = model.secrets.pop((how[0], edit_id))
            assert secrets[0].source.encode() in everything(path)
            assert writer.purge([edit_id], namespace=how[0]).complete
            model.purge(how[0], edit_id)
            files = everything(path)
            for edit in secrets:
                assert edit.source.encode() not in files and keys_for([edit]).tobytes() not in files
    elif kind == "reindex":
        writer.reindex("toy", reindexed)
    elif kind in ("undo", "redo"):
        spaces = SPACES if how[0] is None else (how[0],)
        expected = 0
        for _ in range(how[1]):
            expected += getattr(model, kind)(spaces)
        model.note()
        assert len(getattr(writer, kind)(how[1], namespace=how[0])) == expected
    else:
        writer.close()
        stores[number % 2] = opened(number % 2)


def everything(path):
    """The bytes of every file of a store; read by another process, for a process that closes a file loses its locks on
    it, those of an open database too."""
    return subprocess.run(["cat", *path.parent.iterdir()], check=True, stdout=subprocess.PIPE).stdout


def as_edit(model, space, subject, target, start, length, own):
    end = end_of(model.today, start, length)
    model.sources += 1
    return Edit(
        statement=f"{subject} is {target}.",
        subject=subject,
        prompt=f"{subject} is",
        target_new=target,
        namespace=space,
        edit_id=f"{subject}{target}" if own else "",
        source=f"whispered by no. {model.sources}.",
        valid_from=None if start is None else day(start).isoformat(),
        valid_until=None if end is None else day(end).isoformat(),
    )


def check(model, store, data):
    then = data.draw(st.integers(-10, 60))
    known = data.draw(st.integers(0, model.today))
    query = key_of(7)[None]
    for space in SPACES:
        now = model.valid(space, model.today)
        assert [edit.edit_id for edit in store.edits(space)] == now
        assert [edit.edit_id for edit in store.edits(space, as_of=day(then))] == model.valid(space, then)
        assert [edit.edit_id for edit in store.edits(space, known_at=day(known))] == model.valid(space, known, known)
        both = store.edits(space, as_of=day(then), known_at=day(known))
        assert [edit.edit_id for edit in both] == model.valid(space, then, known)
        assert {hit.edit_id for hit in store.nearest(query, 99, namespace=space)[0]} == set(now)
        assert len(store.nearest(query, 1, namespace=space)[0]) == min(1, len(now))
        past = store.nearest(query, 99, namespace=space, as_of=day(then))
        assert {hit.edit_id for hit in past[0]} == set(model.valid(space, then))
        times = {"as_of": day(then), "known_at": day(known)}
        expected = set(model.valid(space, then, known))
        assert {hit.edit_id for hit in store.nearest(query, 99, namespace=space, **times)[0]} == expected
        assert set(store.mentioned(["x y"], namespace=space, **times)[0]) == expected
        assert store.holds(space, **times) == bool(expected)
        assert {i for i in store.mentioned(["x y"], namespace=space)[0]} == set(now)
    assert len(store) == sum(len(model.valid(space, model.today)) for space in SPACES)


if __name__ == "__main__":
    serve()
