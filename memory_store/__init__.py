"""What is remembered. This package knows no torch, no transformers and no model; it opens in milliseconds."""

from memory_store.edit import DEFAULT_NAMESPACE, Diff, Edit, Hit, PutResult, Version
from memory_store.errors import ScrError
from memory_store.store import EditStore

__all__ = ["DEFAULT_NAMESPACE", "Diff", "Edit", "EditStore", "Hit", "PutResult", "ScrError", "Version"]
