"""How an edit changes an answer. This package must not know ``eval``; importing it loads nothing heavy."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memory_store.edit import Edit
    from memory_store.store import EditStore
    from scr.build import open_editor
    from scr.edited_model import EditedModel
    from scr.editor import RetrievalEditor, Rewrite
    from scr.facts import read_fact
    from scr.protocols import Answer

_PUBLIC = {
    "Answer": "scr.protocols",
    "Edit": "memory_store.edit",
    "EditStore": "memory_store.store",
    "EditedModel": "scr.edited_model",
    "RetrievalEditor": "scr.editor",
    "Rewrite": "scr.editor",
    "open_editor": "scr.build",
    "read_fact": "scr.facts",
}

__all__ = [
    "Answer",
    "Edit",
    "EditStore",
    "EditedModel",
    "RetrievalEditor",
    "Rewrite",
    "open_editor",
    "read_fact",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'scr' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
