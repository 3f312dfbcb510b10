"""Which concrete class stands behind each protocol? Named here and nowhere else."""

import os
from typing import TYPE_CHECKING

from memory_store.store import EditStore
from scr.config import Settings

if TYPE_CHECKING:
    from scr.edited_model import EditedModel
    from scr.editor import RetrievalEditor


def open_store(settings: Settings, *, create: bool = True) -> EditStore:
    """Open the store without an encoder: to list, show, forget, undo and read the log."""
    return EditStore.open(settings.store, create=create)


def build_editor(settings: Settings, *, near_misses: int = 0) -> "RetrievalEditor":
    """Store, encoder and scope decision, without a language model: to add, search and ``rewrite``."""
    from scr.editor import RetrievalEditor
    from scr.encoder import load_encoder
    from scr.scope import load_scope

    encoder = load_encoder(settings.encoder, offline=settings.offline, device=settings.device)
    store = EditStore.open(settings.store, encoder=encoder.fingerprint)
    scope = load_scope(settings.scope if settings.scope != "llm" else "pair", encoder=encoder)
    return RetrievalEditor(store, encoder, scope, namespace=settings.namespace, near_misses=near_misses)


def build_model(settings: Settings, *, near_misses: int = 0) -> "EditedModel":
    """Everything: the editor around the frozen model that ``settings`` names."""
    if settings.offline:
        # Read by huggingface_hub when it is first imported, so it has to stand here before that.
        os.environ["HF_HUB_OFFLINE"] = "1"
    from scr.edited_model import EditedModel
    from scr.language_model import load_model

    editor = build_editor(settings, near_misses=near_misses)
    model, tokenizer = load_model(settings.model, offline=settings.offline, device=settings.device)
    return EditedModel(model, tokenizer, editor=editor, scope=settings.scope)
