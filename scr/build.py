"""Which concrete class stands behind each protocol? Named here and nowhere else."""

import os
from typing import TYPE_CHECKING

from memory_store.errors import ConfigError
from memory_store.store import EditStore
from scr.config import Settings

if TYPE_CHECKING:
    from scr.edited_model import EditedModel
    from scr.editor import RetrievalEditor
    from scr.protocols import Encoder, LanguageModel, ScopeClassifier
    from scr.routing import Policy


def open_store(settings: Settings, *, create: bool = True) -> EditStore:
    """Open the store without an encoder: to list, show, forget, undo and read the log."""
    return EditStore.open(settings.store, create=create)


def build_editor(
    settings: Settings,
    *,
    store: EditStore | None = None,
    encoder: "Encoder | None" = None,
    scope: "ScopeClassifier | None" = None,
    model: "LanguageModel | None" = None,
    near_misses: int = 0,
) -> "RetrievalEditor":
    """Store, encoder and scope decision; what is given is used, the rest is what ``settings`` name.

    Raises:
        ConfigError: the ``llm`` decider without a language model.
    """
    from scr.editor import RetrievalEditor
    from scr.encoder import load_encoder
    from scr.scope import load_scope

    if scope is None and settings.scope == "llm" and model is None:
        raise ConfigError("the llm decider asks a language model and there is none here; choose pair or cosine")
    if encoder is None:
        encoder = load_encoder(settings.encoder, offline=settings.offline, device=settings.device)
    if store is None:
        store = EditStore.open(settings.store, encoder=encoder.fingerprint)
    if scope is None:
        scope = load_scope(settings.scope, encoder=encoder, model=model)
    editor = RetrievalEditor(store, encoder, scope, model=model, namespace=settings.namespace, near_misses=near_misses)
    editor.record_use = settings.record_use
    return editor


def open_editor(
    store: str | os.PathLike[str] | None = None,
    *,
    namespace: str | None = None,
    encoder: str | None = None,
    scope: str | None = None,
    offline: bool | None = None,
    near_misses: int = 0,
) -> "RetrievalEditor":
    """The editor alone, for a model that runs elsewhere: ``edit``, ``decide``, ``rewrite``; loads no language model.

    What is left out comes from the ``SCR_*`` variables, then from the defaults.
    """
    settings = Settings.resolve(
        store=None if store is None else os.fspath(store),
        namespace=namespace,
        encoder=encoder,
        scope=scope,
        offline=offline,
    )
    return build_editor(settings, near_misses=near_misses)


def build_model(
    settings: Settings, *, near_misses: int = 0, route: "Policy" = "context", counterfactual: str | None = None
) -> "EditedModel":
    """Everything: the editor around the frozen model that ``settings`` name.

    Args:
        route: who answers where an edit governs, as for ``EditedModel``.
        counterfactual: name or folder of the second route's model; None is the shipped one.
    """
    if settings.offline:
        # Read by huggingface_hub when it is first imported, so it has to stand here before that.
        os.environ["HF_HUB_OFFLINE"] = "1"
    from scr.encoder import load_encoder

    # The store first: what is wrong with it is said before a large model is loaded.
    encoder = load_encoder(settings.encoder, offline=settings.offline, device=settings.device)
    store = EditStore.open(settings.store, encoder=encoder.fingerprint)
    from scr.edited_model import EditedModel
    from scr.language_model import HFLanguageModel, load_model

    model, tokenizer = load_model(settings.model, offline=settings.offline, device=settings.device)
    language_model = HFLanguageModel(model, tokenizer)
    editor = build_editor(settings, store=store, encoder=encoder, model=language_model, near_misses=near_misses)
    return EditedModel(
        model,
        tokenizer,
        editor=editor,
        route=route,
        counterfactual=counterfactual,
        offline=settings.offline,
    )
