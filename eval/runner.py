"""How is a comparison run so that it is fair, can be interrupted, and can be checked afterwards?

Every method starts from the same verified weights (sha256 over all of them, before and after), writes the same edits in
the same order and is asked the same questions. Point 1 is *single*: each of some edits alone, taken back before the
next. Larger points are numbers of edits of one sequence, written in batches and asked about on the way.

What was asked and answered is written line by line to ``methods/METHOD.jsonl``, which is the truth; every figure is
computed from it. A run that was killed goes on where the last whole line ends: edits are written again, deterministic
as they are, and only what has no line yet is asked. The unedited model's answers are kept beside it.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO, TypeVar

from eval.atlas import truths
from eval.ballast import ballast
from eval.cases import RANKED, Dataset, EvalCase, Kind, Probe, spread, thinned
from eval.methods import Bench, Compared, Spec, Wording, make_editor, prepare, rests_on, settings_of, spectra
from eval.metrics import Scored, is_right, is_unchanged, natural_stop, perplexity
from eval.peak import peak_mib, reset_peak
from eval.room import room
from eval.workers import Load, share
from memory_store.edit import Edit
from memory_store.errors import ConfigError, ScrError

SCHEMA = "scr.eval.run/1"
MANIFEST, METHODS_FOLDER, BASE_FILE, LOCK = "run.json", "methods", "base.jsonl", "run.lock"
Protocol = Literal["single", "sequential", "sequential-batch"]
_CHUNK, _AT_RISK = 256, 30.0
"""Questions between two writings of answers, at first; more while they take fewer seconds than a kill may cost."""
_BALLAST = 1000
_TRUTHS = 30
_TIMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that decides what is written and asked; two runs with the same one are about the same."""

    dataset: str = "atlas"
    points: tuple[int, ...] = (1, 10, 100)
    """Numbers of edits after which questions are asked; 1 is each edit alone."""
    protocol: Protocol = "sequential-batch"
    """``sequential`` writes edits one by one; ``sequential-batch`` in batches of ``batch``."""
    batch: int | None = None
    """Edits a batch; None is 10 up to the hundredth edit and 100 from there."""
    orders: int = 1
    """Shuffles of the edits, each a sequence of its own."""
    seed: int = 0
    """Of the orders; order 0 is the data set's own."""
    singles: int = 30
    """Edits that are tried alone for point 1."""
    probed: int = 100
    """Edits that are asked about at a point, evenly spread over those written."""
    fixed: int = 200
    """Questions that no edit touches, asked at every point above 1."""
    per_kind: int = 2
    """Questions of a kind, at most, for each edit."""
    slow_edits: int = 100
    """The most edits of methods that write one by one (ROME, GRACE, WISE)."""
    chat: bool | None = None
    """Questions as a user turn of the chat template; None where the model has one."""
    written: Wording = "asked"
    """How weight editors write an edit: in the form in which it will be asked, or as raw text."""
    max_new_tokens: int = 24
    """Longest answer."""
    ballast: int = 0
    """Edits about nothing that is asked (``eval.ballast``), in the memory before the first edit of a sequence."""
    withheld: bool = False
    """Edits that are asked about at a point are the ones that are not written: the right fact is missing, wrong ones
    stand first."""

    def __post_init__(self) -> None:
        if not self.points or list(self.points) != sorted(set(self.points)) or self.points[0] < 1:
            raise ConfigError(
                "points are different numbers of edits, from 1 and rising, such as --edits 1,10,100; "
                f"got {list(self.points)}"
            )
        if self.protocol == "single" and self.points != (1,):
            raise ConfigError(f"the single protocol has the one point 1, got {list(self.points)}")
        if self.protocol not in ("single", "sequential", "sequential-batch"):
            raise ConfigError(f"no protocol {self.protocol!r}")
        for name in ("orders", "singles", "probed", "per_kind", "slow_edits", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.ballast < 0:
            raise ConfigError(f"ballast is a number of edits, 0 or more, got {self.ballast}")
        if self.withheld and (len(self.points) > 1 or self.points == (1,)):
            raise ConfigError(f"where edits are withheld there is one point above 1, got {list(self.points)}")
        if self.fixed < 0 or (self.batch is not None and self.batch < 1):
            raise ConfigError(f"fixed is {self.fixed} and batch {self.batch}; wanted 0 or more, and 1 or more")


SLOW = ("rome", "grace", "wise")


class Spent(NamedTuple):
    """Seconds: of the clock on the wall, which others on the machine stretch, and of the processor."""

    wall: float = 0.0
    cpu: float = 0.0

    @classmethod
    def now(cls) -> Spent:
        return cls(time.perf_counter(), time.process_time())

    def plus(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.cpu + other.cpu)

    def since(self, earlier: Spent) -> Spent:
        return Spent(self.wall - earlier.wall, self.cpu - earlier.cpu)


@dataclass(frozen=True, slots=True)
class Question:
    """One probe to be asked at one point."""

    order: int
    point: int
    case: str
    subject: str
    number: int
    """Of the probe in its case."""
    probe: Probe
    edit_id: str
    """The edit that governs it; empty for kinds out of scope."""

    @property
    def key(self) -> tuple[int, int, str, int]:
        return self.order, self.point, self.case, self.number


@dataclass(frozen=True, slots=True)
class Stop:
    """A place in a sequence where questions are asked."""

    order: int
    point: int
    cases: tuple[EvalCase, ...]
    """All that are written by then."""
    questions: tuple[Question, ...]


class Plan:
    """Which edits are written and what is asked when; the same for every method."""

    def __init__(self, dataset: Dataset, config: RunConfig) -> None:
        """
        Raises:
            ConfigError: the data set has fewer cases than the largest point.
        """
        if config.points[-1] > len(dataset.cases):
            raise ConfigError(
                f"{dataset.name} has {len(dataset.cases)} cases here, fewer than the {config.points[-1]} edits wanted"
            )
        self.config = config
        self.fixed = dataset.fixed[: config.fixed]
        cases = [thinned(case, config.per_kind) for case in dataset.cases]
        self._name, self._cases = dataset.name, cases
        self._chains = {case.edit.edit_id: [*case.before, case.edit] for case in cases}
        alone = config.singles if config.points[0] == 1 else 0
        pool = cases[: max(config.points[-1], min(alone, len(cases)))]
        self.singles: list[Stop] = []
        if config.points[0] == 1:
            self.singles = [
                Stop(0, 1, (pool[i],), self._of([pool[i]], 0, 1)) for i in spread(len(pool), config.singles)
            ]
        self.sequences: list[list[Stop]] = [
            [self._stop(order, point, shuffled(pool, order, config.seed)) for point in config.points if point > 1]
            for order in range(config.orders)
        ]

    def _stop(self, order: int, point: int, cases: Sequence[EvalCase]) -> Stop:
        written = tuple(cases[:point])
        # Where those asked about are withheld, half of the edits stay, so that there is something to be wrong about.
        most = min(self.config.probed, point // 2) if self.config.withheld else self.config.probed
        asked = [written[i] for i in spread(len(written), most)]
        if self.config.withheld:
            gone = {case.edit.edit_id for case in asked}
            written = tuple(case for case in written if case.edit.edit_id not in gone)
        fixed = [
            Question(order, point, f"fixed-{i:03d}", f"fixed-{i:03d}", 0, probe, "")
            for i, probe in enumerate(self.fixed)
        ]
        return Stop(order, point, written, (*self._of(asked, order, point), *fixed))

    def _of(self, cases: Iterable[EvalCase], order: int, point: int) -> tuple[Question, ...]:
        return tuple(
            Question(
                order,
                point,
                case.edit.edit_id,
                case.edit.subject,
                number,
                probe,
                case.edit.edit_id if probe.accepted and not outside(probe.kind) and not self.config.withheld else "",
            )
            for case in cases
            for number, probe in enumerate(case.probes)
        )

    @cached_property
    def texts(self) -> list[tuple[str, str]]:
        """True statements that no edit touches, each as its first word and the rest: what an intact model finds likely.

        Of Atlas facts about subjects of their own; of a benchmark its neighbors with their true answers, for a model
        that never saw Atlas finds its statements unlikely however whole it is.
        """
        edited = {case.edit.prompt for case in self._cases}
        known = [
            f"{probe.prompt} {probe.accepted[0]}"
            for case in self._cases
            for probe in case.probes
            if probe.kind == "neighbor" and probe.accepted and probe.prompt not in edited
        ]
        known = [known[i] for i in spread(len(known), _TRUTHS)] if known and self._name != "atlas" else []
        told = known or [f"{cloze} {answer}." for cloze, answer in truths(_TRUTHS)]
        return [(words[0], " " + words[1]) for text in told if len(words := text.split(" ", 1)) == 2]

    @cached_property
    def ballast(self) -> list[Edit]:
        """What is in the memory before the first edit."""
        return list(ballast(self.config.ballast, seed=self.config.seed))

    @property
    def stops(self) -> list[Stop]:
        return [*self.singles, *(stop for sequence in self.sequences for stop in sequence)]

    @property
    def prompts(self) -> list[str]:
        """Everything that is asked, each once."""
        return list(dict.fromkeys(q.probe.prompt for stop in self.stops for q in stop.questions))

    @property
    def governing(self) -> dict[str, list[str]]:
        """Prompt → the edits that govern it."""
        found: dict[str, list[str]] = {}
        for stop in self.stops:
            for q in stop.questions:
                if not q.edit_id:
                    continue
                known = found.setdefault(q.probe.prompt, [])
                needed = [q.edit_id]
                if q.probe.kind in ("multi_hop", "hop"):
                    chain = self._chains[q.edit_id]
                    single = q.probe.kind == "hop"
                    needed = [e.edit_id for e in chain if not single or e.target_new in q.probe.accepted]
                known += [edit_id for edit_id in needed if edit_id not in known]
        return found

    @property
    def steps(self) -> dict[str, tuple[str, ...]]:
        """Prompt → the single questions it falls into, where they are known."""
        return {q.probe.prompt: q.probe.steps for stop in self.stops for q in stop.questions if q.probe.steps}


def outside(kind: Kind) -> bool:
    return kind in ("neighbor", "same_subject", "unrelated")


def shuffled(cases: Sequence[EvalCase], order: int, seed: int) -> list[EvalCase]:
    """Order 0 is as given; the others are seeded shuffles."""
    import random

    found = list(cases)
    if order:
        random.Random(f"{seed}-{order}").shuffle(found)
    return found


def batches(start: int, end: int, config: RunConfig) -> Iterator[tuple[int, int]]:
    """Bounds of the batches between two numbers of edits; none reaches over ``end``.

    >>> list(batches(90, 250, RunConfig(points=(250,))))
    [(90, 100), (100, 200), (200, 250)]
    """
    at = start
    while at < end:
        size = 1 if config.protocol == "sequential" else config.batch or (10 if at < 100 else 100)
        yield at, min(end, at + size)
        at = min(end, at + size)


# --- files -----------------------------------------------------------------------------------------------------


@contextmanager
def _only_run_in(out: Path) -> Iterator[None]:
    """Hold a run's folder: nothing in it is set aside under the hands of another run.

    Raises:
        ConfigError: another one runs there.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / LOCK
    with path.open("a", encoding="utf-8") as file:
        _lock(file, path)
        yield


class Journal:
    """JSON Lines that are only ever added to. A last line that was cut off by a kill is dropped on opening."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            ConfigError: a whole line is damaged, or another process writes the file.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        try:
            _lock(self._file, path)
            self.rows = self.read(path)
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                self._file.truncate(whole)
        except BaseException:
            self._file.close()
            raise

    @staticmethod
    def read(path: Path) -> list[dict[str, Any]]:
        """The whole lines of a file, none where there is no file; nothing is changed.

        Raises:
            ConfigError: a whole line is damaged.
        """
        if not path.is_file():
            return []
        data, rows = path.read_bytes(), []
        for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ConfigError(f"{path}, line {number} is damaged ({error}); delete the file") from error
        return rows

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append and hand to the system at once, so that a kill loses nothing that was added."""
        for row in rows:
            self.rows.append(row)
            self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def events(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row.get("event") == name]

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()


def _lock(file: TextIO, path: Path) -> None:
    """For this process alone until the file is closed; where the system knows no such locks, nothing.

    Raises:
        ConfigError: another process has it.
    """
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(f"{path} is being written by another run; wait for it, or end it") from error


def file_of(label: str) -> str:
    """The file name of a method's rows.

    >>> file_of("memit+tuned 1")
    'memit+tuned_1.jsonl'
    """
    return re.sub(r"[^A-Za-z0-9+._-]", "_", label) + ".jsonl"


# --- running ---------------------------------------------------------------------------------------------------

Progress = Callable[[str, int, int], None]
"""Called with the method, questions answered and questions in all."""


def run(
    dataset: Dataset,
    specs: Sequence[Spec],
    bench: Bench,
    config: RunConfig,
    out: Path,
    *,
    command: Sequence[str] = (),
    model: str = "",
    again: Sequence[str] = (),
    progress: Progress | None = None,
    workers: int = 1,
    load: Load | None = None,
) -> None:
    """Run every method that is not finished yet and leave its rows in ``out``.

    Rows of a method that rested on another encoder or other weights of the scope decision are set aside and it is asked
    again; the others' rows stand.

    Args:
        command: what a person types to run this again.
        model: the model's name.
        again: labels of methods whose rows are set aside whatever they rest on.
        workers: processes that share the methods, each with a model of its own.
        load: makes a worker's bench, like ``bench``; needed for more than one.

    Raises:
        ConfigError: ``out`` holds another run, a method is named twice, the weights are not those of the base after
            a method and cannot be brought back, or a worker failed.
    """
    labels = [spec.label for spec in specs]
    if not labels or len(set(labels)) < len(labels):
        raise ConfigError(f"name at least one method, each once; got {', '.join(labels) or 'none'}")
    unknown = [label for label in again if label not in labels]
    if unknown:
        raise ConfigError(f"{unknown[0]} is to be asked again but not among the methods: {', '.join(labels)}")
    if workers < 1 or (workers > 1 and load is None):
        raise ConfigError(f"workers must be at least 1, and more than one need load=..., got {workers}")
    heavy = [spec.label for spec in specs if spec.entry.family == "parametric"]
    if config.ballast and heavy:
        raise ConfigError(f"ballast is for methods with a memory; leave out {', '.join(heavy)}")
    with _only_run_in(out):
        plan = Plan(dataset, config)
        pristine = bench.digest()
        _keep_manifest(out, dataset, specs, bench, config, pristine, command, model, workers)
        for label in again:
            _set_aside(out / METHODS_FOLDER / file_of(label))
        total = len(specs) * sum(len(stop.questions) for stop in plan.stops)
        answered = 0

        def tell(label: str, more: int) -> None:
            nonlocal answered
            answered += more
            if progress is not None:
                progress(label, answered, total)

        with Journal(out / BASE_FILE) as kept:
            base = BaseAnswers(kept.rows, bench, kept)
            base.ensure(plan.prompts)
            if workers == 1 or load is None:
                for spec in specs:
                    run_method(plan, spec, bench, base, out, pristine, tell)
        if workers > 1 and load is not None:
            # Prepared once, here: second moments for the cache that the workers read, templates to be given to them.
            templates = [prepare(spec, bench) for spec in specs]
            found = next((some for some in templates if some is not None), None)
            share(
                dataset,
                specs,
                config,
                out,
                pristine,
                tell,
                workers=min(workers, len(specs)),
                load=load,
                templates=found,
            )


def run_method(
    plan: Plan,
    spec: Spec,
    bench: Bench,
    base: BaseAnswers,
    out: Path,
    pristine: str,
    tell: Callable[[str, int], None],
) -> None:
    """Bring one method's file to its end; ``base`` has every answer of the plan.

    Raises:
        ConfigError: the weights are not the base's, or another process writes the file.
    """
    if bench.digest() != pristine:
        raise ConfigError("the model's weights are not the base's; load it again and run the same command")
    with Journal(out / METHODS_FOLDER / file_of(spec.label)) as journal:
        _MethodRun(plan, spec, bench, base, journal, pristine, tell).run()


_Item = TypeVar("_Item")


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in order, some at a time; the more the faster the caller is done with those before."""
    at, size = 0, _CHUNK
    while at < len(items):
        started = time.perf_counter()
        yield items[at : at + size]
        at, size = at + size, size * 2 if time.perf_counter() - started < _AT_RISK else size


class BaseAnswers:
    """What the unedited model says; asked once, kept on disk."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], bench: Bench, journal: Journal | None = None) -> None:
        """``rows`` are those asked already; without a ``journal`` they have to be all."""
        self._journal, self._bench = journal, bench
        self._said: dict[str, str] = {row["prompt"]: row["answer"] for row in rows}

    def ensure(self, prompts: Sequence[str]) -> None:
        """Ask what is missing; the model must be the unedited one."""
        for some in chunks([prompt for prompt in prompts if prompt not in self._said]):
            assert self._journal is not None, "answers that are only read have to be whole"
            said = [natural_stop(text, sentence=not self._bench.chat) for text in self._bench.say(some)]
            self._journal.add({"prompt": p, "answer": a} for p, a in zip(some, said, strict=True))
            self._said.update(zip(some, said, strict=True))

    def __getitem__(self, prompt: str) -> str:
        return self._said[prompt]


class _MethodRun:
    """One method from the base through all points, and back."""

    def __init__(
        self,
        plan: Plan,
        spec: Spec,
        bench: Bench,
        base: BaseAnswers,
        journal: Journal,
        pristine: str,
        tell: Callable[[str, int], None],
    ) -> None:
        self.plan, self.spec, self.bench, self.base = plan, spec, bench, base
        self.journal, self.pristine, self._tell = journal, pristine, tell
        bench.steps = plan.steps
        self.sentence = not bench.chat
        self._clock = Spent.now()
        self.have = {(row["order"], row["point"], row["case"], row["probe"]) for row in journal.rows if "answer" in row}
        self.passed = {(row["order"], row["point"]) for row in journal.events("point")}
        self.texts = plan.texts

    def run(self) -> None:
        every = [question for stop in self.plan.stops for question in stop.questions]
        if self.journal.events("done"):
            self._tell(self.spec.label, len(every))
            return
        self._tell(self.spec.label, sum(q.key in self.have for q in every))
        if not self.journal.events("began"):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self.journal.add([{"event": "began", "commit": _commit(), "time": at}])
        reset_peak()
        failed = {row["order"] for row in self.journal.events("failed")}
        if self.plan.singles and (0, 1) not in self.passed and -1 not in failed:
            self._guarded(-1, self._run_singles)
        for order, sequence in enumerate(self.plan.sequences):
            reachable = [stop for stop in sequence if stop.point <= self._limit]
            for stop in sequence[len(reachable) :]:
                if not any(r["order"] == order and r["point"] == stop.point for r in self.journal.events("left_out")):
                    reason = f"edits are written one by one; asked for up to {self._limit}"
                    self.journal.add([{"event": "left_out", "order": order, "point": stop.point, "why": reason}])
                self._tell(self.spec.label, len(stop.questions))
            if order not in failed and any((order, stop.point) not in self.passed for stop in reachable):
                self._guarded(order, lambda stops=reachable: self._run_sequence(stops))  # type: ignore[misc]
        after = self.bench.digest()
        self.journal.add(
            [{"event": "verified", "before": self.pristine, "after": after, "same": after == self.pristine}]
        )
        self.journal.add([{"event": "done"}])

    @property
    def _limit(self) -> int:
        slow = self.spec.name.split("-")[-1] in SLOW
        return self.plan.config.slow_edits if slow else self.plan.config.points[-1]

    def _guarded(self, order: int, work: Callable[[], None]) -> None:
        """A method that fails is told of and does not end the run. Order -1 stands for the single edits."""
        try:
            work()
        except (ScrError, RuntimeError, FloatingPointError) as error:
            why = " ".join(str(error).split())[:400]
            self.journal.add([{"event": "failed", "order": order, "why": f"{type(error).__name__}: {why}"}])

    def _run_singles(self) -> None:
        spent, edits = Spent(), 0
        undo: list[float] = []
        with self._editor() as editor:
            for stop in self.plan.singles:
                todo = [q for q in stop.questions if q.key not in self.have]
                if not todo:
                    continue
                case = stop.cases[0]
                live: list[str] = []
                for batch in (case.before, [case.edit]):
                    spent = spent.plus(self._write(editor, batch, live))
                    edits += len(batch)
                self._ask(editor, todo)
                started = time.perf_counter()
                editor.forget(live)
                undo.append(time.perf_counter() - started)
            self._passed(editor, 0, 1, writing=spent, edits=edits, undo=undo)

    def _run_sequence(self, stops: Sequence[Stop]) -> None:
        order, spent, written, made = stops[0].order, Spent(), 0, 0
        live: list[str] = []
        with self._editor() as editor:
            for start in range(0, self.plan.config.ballast, _BALLAST):
                end = min(start + _BALLAST, self.plan.config.ballast)
                self._write(editor, self.plan.ballast[start:end], [])
            for stop in stops:
                for start, end in batches(written, len(stop.cases), self.plan.config):
                    some = stop.cases[start:end]
                    needed = {edit.edit_id: edit for case in some for edit in case.before if edit.edit_id not in live}
                    made += len(needed) + len(some)
                    spent = spent.plus(self._write(editor, list(needed.values()), live))
                    spent = spent.plus(self._write(editor, [case.edit for case in some], live))
                written = len(stop.cases)
                if (order, stop.point) in self.passed:
                    continue
                todo = [q for q in stop.questions if q.key not in self.have]
                self._ask(editor, todo)
                last = stop is stops[-1]
                timed = self._timed(editor, stop.questions) if last else None
                self._passed(editor, order, stop.point, writing=spent, edits=made, asking=timed)

    def _editor(self) -> Compared:
        return make_editor(self.spec, self.bench, self.plan.governing)

    def _write(self, editor: Compared, edits: Sequence[Edit], live: list[str]) -> Spent:
        """Write one batch and keep the list of what is live; what it took.

        Raises:
            ConfigError: the method did not take an edit.
        """
        if not edits:
            return Spent()
        started = Spent.now()
        results = editor.edit(edits)
        spent = Spent.now().since(started)
        for result in results:
            name = result.edit.edit_id
            # A fact that one case needs and another edits is written once.
            if result.status not in ("added", "superseded") and not (result.status == "duplicate" and name in live):
                raise ConfigError(f"{name} was not written: {result.status} {result.reason}")
            live[:] = [edit_id for edit_id in live if edit_id not in result.superseded and edit_id != name] + [name]
        return spent

    def _ask(self, editor: Compared, questions: Sequence[Question]) -> None:
        for some in chunks(questions):
            prompts = list(dict.fromkeys(q.probe.prompt for q in some))
            answers = dict(zip(prompts, editor.answer(prompts), strict=True))
            pairs = list(dict.fromkeys(pair for q in some for pair in candidates(q.probe)))
            scores = dict(zip(pairs, editor.forced(pairs) if pairs else (), strict=True))
            self.journal.add(
                self._row(q, answers[q.probe.prompt], [scores[pair] for pair in candidates(q.probe)]) for q in some
            )
            self.have.update(q.key for q in some)
            self._tell(self.spec.label, len(some))

    def _row(self, q: Question, answer: Any, scores: list[tuple[float, int, bool]]) -> dict[str, Any]:
        text, before = natural_stop(answer.text, sentence=self.sentence), self.base[q.probe.prompt]
        missing = self.plan.config.withheld and not outside(q.probe.kind)
        row: dict[str, Any] = {
            "order": q.order,
            "point": q.point,
            "case": q.case,
            "subject": q.subject,
            "kind": q.probe.kind,
            "probe": q.number,
            "prompt": q.probe.prompt,
            "accepted": list(q.probe.accepted),
            "governed_by": q.edit_id or None,
            "answer": text,
            "base": before,
            "route": answer.route,
            "used": [judged.edit.edit_id for judged in answer.used],
            "right": is_right(q.probe.kind, text, q.probe.accepted) if q.probe.accepted and not missing else None,
            "unchanged": is_unchanged(text, before),
        }
        names = ("wanted", "rival")
        for name, (nats, tokens, greedy) in zip(names, scores, strict=False):
            # A collapsed model's likelihood may be no number at all; JSON has none such.
            row[name] = [nats if abs(nats) < float("inf") else None, tokens, greedy]
        return row

    def _timed(self, editor: Compared, questions: Sequence[Question]) -> Spent:
        """What a question takes that is asked alone: the medians of a few."""
        from statistics import median

        found = []
        for question in (questions[i] for i in spread(len(questions), _TIMED)):
            started = Spent.now()
            editor.answer([question.probe.prompt])
            found.append(Spent.now().since(started))
        return Spent(median(spent.wall for spent in found), median(spent.cpu for spent in found))

    def _passed(
        self,
        editor: Compared,
        order: int,
        point: int,
        *,
        writing: Spent,
        edits: int,
        undo: Sequence[float] = (),
        asking: Spent | None = None,
    ) -> None:
        """Note that a point is asked in full; ``writing`` went into ``edits`` edits."""
        now = Spent.now()
        since, self._clock = now.since(self._clock), now
        row: dict[str, Any] = {"event": "point", "order": order, "point": point}
        # Since the point before, as far as this process did it.
        row |= {"wall_s": round(since.wall, 3), "cpu_s": round(since.cpu, 3)}
        if (peak := peak_mib()) is not None:
            row["peak_mib"] = round(peak, 1)
        if edits:
            row |= {"edit_s": writing.wall / edits, "edit_cpu_s": writing.cpu / edits}
        if undo:
            row["undo_s"] = sum(undo) / len(undo)
        if asking is not None:
            row |= {"query_ms": asking.wall * 1e3, "query_cpu_ms": asking.cpu * 1e3}
        if point > 1:
            scored = [Scored(*score) for score in editor.log_likelihood(self.texts)]
            ppl = perplexity(scored) if all(s.total > -float("inf") for s in scored) else float("inf")
            row["perplexity"] = ppl if ppl < float("inf") else None
            row["weights"] = spectra(editor)
        self.journal.add([row])
        self.passed.add((order, point))


def candidates(probe: Probe) -> list[tuple[str, str]]:
    """The answers whose probabilities are read: the wanted one, then its rival where there is one."""
    if probe.kind not in RANKED or not probe.accepted:
        return []
    return [(probe.prompt, text.strip()) for text in (probe.accepted[0], probe.rival) if text.strip()]


# --- what a result rests on ------------------------------------------------------------------------------------


def _keep_manifest(
    out: Path,
    dataset: Dataset,
    specs: Sequence[Spec],
    bench: Bench,
    config: RunConfig,
    pristine: str,
    command: Sequence[str],
    model: str,
    workers: int,
) -> None:
    """Write ``run.json``, or check that it is of the same run; methods may be added.

    Rows that rest on something else than they would now are set aside first, so that a kill leaves none among the new.

    Raises:
        ConfigError: it is of another one.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / MANIFEST
    about = {
        "schema": SCHEMA,
        "config": json.loads(json.dumps(asdict(config))),
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "rows": dataset.rows,
            "cases": len(dataset.cases),
            "dropped": dict(dataset.dropped),
            "source": dataset.source,
            "described": dataset.described(),
        },
        "model": {"name": model, "sha256": pristine, "chat": bench.chat, "written": bench.form.name},
    }
    methods: dict[str, Any] = {
        spec.label: {
            "name": spec.name,
            "family": spec.entry.family,
            "about": spec.entry.about,
            "settings": json.loads(json.dumps(settings_of(spec, bench.model))),
            "rests_on": rests_on(spec, bench),
            "room": room(spec, bench),
        }
        for spec in specs
    }
    if path.exists():
        kept = read_manifest(out)
        # A run from before a setting was there ran as the setting's default says.
        kept["config"] = {**json.loads(json.dumps(asdict(RunConfig()))), **kept["config"]}
        for part in ("config", "dataset", "model"):
            if kept[part] != about[part]:
                raise ConfigError(
                    f"{out} holds a run with another {part}; choose another folder, or repeat its command: "
                    + " ".join(kept["command"])
                )
        held = {label: kept["methods"][label] for label in methods if label in kept["methods"]}
        for spec in specs:
            if spec.label in held:  # likewise a method from before one of its settings was there
                usual = json.loads(json.dumps(settings_of(Spec(spec.name), bench.model)))
                held[spec.label]["settings"] = {**usual, **held[spec.label]["settings"]}
        clash = [
            label for label, told in held.items() if any(told[k] != methods[label][k] for k in ("name", "settings"))
        ]
        if clash:
            raise ConfigError(f"{out} holds {clash[0]} with other settings; choose another folder")
        for label in [label for label, told in held.items() if told.get("rests_on", {}) != methods[label]["rests_on"]]:
            _set_aside(out / METHODS_FOLDER / file_of(label))
        about = {**kept, "methods": {**kept["methods"], **methods}}
        if set(about["methods"]) == set(methods):
            about["command"] = list(command)
    else:
        about |= {"methods": methods, "command": list(command), "made_on": _surroundings(bench, workers)}
    written = path.with_name(MANIFEST + ".new")
    written.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(written, path)


def _set_aside(path: Path) -> None:
    """Keep a method's rows under another name, beside those that are to come."""
    if path.exists():
        number = 1
        while (kept := path.with_name(f"{path.stem}.{number}.old")).exists():
            number += 1
        os.replace(path, kept)


def read_manifest(out: Path) -> dict[str, Any]:
    """What ``run.json`` holds.

    Raises:
        ConfigError: there is none, or it is damaged or of another version.
    """
    path = out / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{out} holds no run ({MANIFEST} is missing); make one with scr eval run --out {out}"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ConfigError(f"{path} is not of schema {SCHEMA}")
    return found


def _surroundings(bench: Bench, workers: int) -> dict[str, Any]:
    import torch

    versions = {}
    for name in ("scr-editor", "torch", "transformers", "numpy", "sentence-transformers", "faiss-cpu"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "python": platform.python_version(),
        "versions": versions,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "torch_threads": max(1, torch.get_num_threads() // workers),
        "workers": workers,
        "device": str(bench.model.device),
        "commit": _commit(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _commit() -> str:
    """Of the source tree; marked where it held changes; empty where there is no repository."""
    where = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=where, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=where,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found + ("+changes" if changed else "")


__all__ = [
    "BASE_FILE",
    "MANIFEST",
    "METHODS_FOLDER",
    "SCHEMA",
    "BaseAnswers",
    "Journal",
    "Plan",
    "Question",
    "RunConfig",
    "batches",
    "candidates",
    "file_of",
    "read_manifest",
    "run",
    "run_method",
]
