"""What does a command need to open, and what is said on the way? A command that only reads never makes a store."""

import gc
import getpass
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memory_store.errors import ScrError
from scr.cli.options import Session

if TYPE_CHECKING:
    from memory_store.store import EditStore
    from scr.config import Settings
    from scr.edited_model import EditedModel
    from scr.editor import RetrievalEditor
    from scr.routing import Policy

NO_FACTS = 'no facts yet; add one: scr add "The capital of France is Lyon."'


class NothingFoundError(ScrError):
    """What was asked for is not there."""

    exit_code = 3


def existing_store(session: Session) -> "EditStore | None":
    """The store, opened without an encoder; None where the default one was never made.

    Raises:
        NothingFoundError: a store was named that is not there.
        StoreError: it cannot be opened.
    """
    settings = session.settings
    if not os.path.lexists(settings.store):
        if session.chose("store"):
            raise NothingFoundError(f'no store at {settings.store}; check -s/SCR_STORE, or make it: scr add "…"')
        return None
    return open_store(settings.store)


def open_store(path: Path, *, create: bool = False) -> "EditStore":
    """The store without an encoder; loads nothing but sqlite3, which scr.build would."""
    from memory_store.store import EditStore

    return EditStore.open(path, create=create)


def readable(session: Session, settings: "Settings") -> "Settings":
    """``settings`` for a command that only reads: a store that is not there is an empty one, and is not made.

    Raises:
        StoreError: it is there and cannot be read; said before anything is loaded.
    """
    if os.path.lexists(settings.store):
        open_store(settings.store).close()
        return settings
    if session.chose("store"):
        session.warn(f"no store at {settings.store}; answering without facts")
    return replace(settings, store=Path(":memory:"))


def open_model(
    session: Session,
    *,
    near_misses: int,
    scope: str | None = None,
    route: "Policy" = "context",
    counterfactual: str | None = None,
) -> "EditedModel":
    """The model with its memory, for a command that only reads it."""
    from scr.build import build_model

    settings = within_reach(session, readable(session, session.resolve(scope=scope)), with_model=True)
    quiet_libraries(session)
    if settings.model is None:
        session.say("scr: answering with the small built-in model; for another: -m MODEL, or set SCR_MODEL")
    with without_collecting():
        model = build_model(settings, near_misses=near_misses, route=route, counterfactual=counterfactual)
    if not model.editor.store.edits(settings.namespace):
        session.say(f"scr: {nothing_in(settings.namespace, model.editor.store)}")
    return model


def open_editor(session: Session, settings: "Settings") -> "RetrievalEditor":
    """Store and encoder, to add and to search; nothing is decided here, so no decider's weights are loaded."""
    from scr.build import build_editor

    quiet_libraries(session)
    with without_collecting():
        return build_editor(replace(within_reach(session, settings), scope="cosine"))


@contextmanager
def without_collecting() -> Iterator[None]:
    """Import and load without Python's garbage collector, which finds nothing in what will stay to the end.

    It would walk through a million new objects several times, and once more when the process ends: together a third
    of the CPU time of importing the libraries.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def within_reach(session: Session, settings: "Settings", *, with_model: bool = False) -> "Settings":
    """``settings``, offline where a hub would be asked and does not answer."""
    from scr.hub import in_reach, needs_hub

    offline = settings.offline or bool(os.environ.get("HF_HUB_OFFLINE"))
    if offline or not needs_hub(settings.model if with_model else None, settings.encoder) or in_reach():
        return settings
    if session.verbose:
        session.say("scr: the model hub is out of reach; using what is on this machine")
    return replace(settings, offline=True)


def nothing_in(namespace: str, store: "EditStore | None") -> str:
    """One line for a namespace without facts: which others there are."""
    others = [name for name in namespaces(store) if name != namespace] if store is not None else []
    if not others:
        return NO_FACTS if namespace == "default" else f"namespace {namespace!r} holds no facts, nor does any other"
    names = ", ".join(others[:8]) + (f" and {len(others) - 8} more" if len(others) > 8 else "")
    return f"namespace {namespace!r} holds no facts; there are: {names} (choose with -n)"


def namespaces(store: "EditStore") -> list[str]:
    return [str(name) for name in store.namespaces()]


def user() -> str | None:
    """Who sits at this machine, for the log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


def quiet_libraries(session: Session) -> None:
    """Keep what libraries say to their developers off the user's terminal; -v lets it through."""
    if session.settings.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if session.verbose:
        return
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.stderr.isatty() or os.environ.get("CI"):
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def confirmed(session: Session, question: str) -> bool:
    """Ask before something is removed; without a person there, ``-y`` must have said so.

    Raises:
        click.UsageError: nobody can be asked, and there is no ``-y``.
    """
    if session.yes:
        return True
    if not session.interactive:
        raise click.UsageError("nobody to ask for confirmation; add -y to go ahead, or --dry-run to see what would go")
    return click.confirm(question, err=True)


@contextmanager
def progress_bar(session: Session, what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with (done, of how many); drawn on stderr where a person watches, after 2 s."""
    if session.quiet or not sys.stderr.isatty() or os.environ.get("CI"):
        yield lambda done, total: None
        return
    from tqdm import tqdm

    with tqdm(desc=what, unit=unit, delay=2, leave=False, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
