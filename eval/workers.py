"""How do several processes share one run? Each takes the next method that nobody has, on a model of its own.

A worker loads the model itself and checks its weights against the run's, so that nothing can pass from one method to
another through memory; it writes its methods' files and no other. What the unedited model says was asked before and is
only read. A worker ends with the process that started it, even where that one was killed.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_store.errors import ConfigError

if TYPE_CHECKING:
    from eval.cases import Dataset
    from eval.methods import Bench, Spec
    from eval.runner import RunConfig

Load = Callable[..., "Bench"]
"""Makes a worker's own bench; takes ``templates``, the context templates, and can be sent to another process."""


def share(
    dataset: Dataset,
    specs: Sequence[Spec],
    config: RunConfig,
    out: Path,
    pristine: str,
    tell: Callable[[str, int], None],
    *,
    workers: int,
    load: Load,
    templates: Sequence[Sequence[str]] | None,
) -> None:
    """Run ``specs`` in ``workers`` processes; the base's answers are in ``out`` already.

    Args:
        pristine: sha256 of the unedited weights.
        templates: context templates, where a method needs them.

    Raises:
        ConfigError: a worker failed or was killed; what it wrote stands.
    """
    import torch

    context = multiprocessing.get_context("spawn")
    todo: Any = context.SimpleQueue()
    told: Any = context.Queue()
    for spec in (*specs, *[None] * workers):
        todo.put(spec)
    # What torch may use here, also by OMP_NUM_THREADS, is divided among them.
    threads = max(1, torch.get_num_threads() // workers)
    given = (dataset, config, out, pristine, load, templates, threads, todo, told)
    crew = [context.Process(target=_work, args=given, daemon=True) for _ in range(workers)]
    try:
        for worker in crew:
            worker.start()
        _listen(crew, told, tell)
    finally:
        for worker in crew:
            if worker.is_alive():
                worker.kill()
        for worker in crew:
            worker.join()


def _listen(crew: Sequence[SpawnProcess], told: Any, tell: Callable[[str, int], None]) -> None:
    """Pass on what the workers tell until all have ended well."""
    while True:
        over = all(worker.exitcode is not None for worker in crew)
        try:
            while True:
                label, more = told.get(timeout=0 if over else 0.2)
                if isinstance(more, str):
                    raise ConfigError(f"{label}: {more}")
                tell(label, more)
        except queue.Empty:
            pass
        failed = next((worker.exitcode for worker in crew if worker.exitcode), None)
        if failed is not None:
            how = f"killed by signal {-failed}" if failed < 0 else f"exit code {failed}"
            raise ConfigError(f"a worker ended ({how}); its rows stand: the same command goes on, or try fewer workers")
        if over:
            return


def _work(
    dataset: Dataset,
    config: RunConfig,
    out: Path,
    pristine: str,
    load: Load,
    templates: Sequence[Sequence[str]] | None,
    threads: int,
    todo: Any,
    told: Any,
) -> None:
    """A worker's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started it is interrupted too, and ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()

    import torch

    from eval.runner import BASE_FILE, BaseAnswers, Journal, Plan, run_method

    torch.set_num_threads(threads)
    spec: Spec | None = None
    try:
        bench, plan = load(templates=templates), Plan(dataset, config)
        base = BaseAnswers(Journal.read(out / BASE_FILE), bench)
        while (spec := todo.get()) is not None:
            run_method(plan, spec, bench, base, out, pristine, lambda label, more: told.put((label, more)))
    except Exception as error:
        told.put((spec.label if spec is not None else "a worker", f"{type(error).__name__}: {error}"))
        told.close()
        told.join_thread()
        raise SystemExit(1) from error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


__all__ = ["Load", "share"]
