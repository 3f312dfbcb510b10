"""Does a stored edit govern this query? Recall finds candidates, a pair decision gives each a probability.

This package knows texts, keys and the memory's search; it must not know how a fact enters a prompt or what a model
then says.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from memory_store.errors import ConfigError

if TYPE_CHECKING:
    from scr.protocols import Encoder, LanguageModel, ScopeClassifier

DECIDERS = ("pair", "cosine", "llm")


def load_scope(
    name: str, *, encoder: Encoder, model: LanguageModel | None = None, threshold: float | None = None
) -> ScopeClassifier:
    """Return the decider called ``name``, made to fail closed.

    Args:
        name: ``pair``, ``cosine`` or ``llm``, or the folder of a classifier that ``scr train scope`` wrote.
        encoder: the one that filled the memory.
        model: the frozen model; ``llm`` asks it.
        threshold: ``None`` is the decider's own.

    Raises:
        ConfigError: an unknown name, or ``llm`` without a model.
        ModelUnavailableError: the folder holds no classifier.
    """
    from scr.scope.fail_closed import FailClosed

    if name == "pair":
        from scr.scope.pair import PairClassifier

        return FailClosed(PairClassifier.load(encoder, threshold=threshold))
    if name == "cosine":
        from scr.scope.cosine import CosineScope, fitted_threshold

        return FailClosed(CosineScope(fitted_threshold(encoder.fingerprint) if threshold is None else threshold))
    if name == "llm":
        from scr.scope.llm import LLMScope

        if model is None:
            raise ConfigError("the decider llm asks a language model, and none was given")
        return FailClosed(LLMScope(model) if threshold is None else LLMScope(model, threshold=threshold))
    if name and Path(name).is_dir():
        from scr.scope.serac import SeracScope

        found = SeracScope.from_pretrained(Path(name))
        found.threshold = found.threshold if threshold is None else threshold
        return FailClosed(found)
    raise ConfigError(
        f"unknown decider {name!r}, wanted one of {', '.join(DECIDERS)}, or a folder that scr train scope wrote"
    )


def given_as(scope: ScopeClassifier) -> str | None:
    """What ``load_scope`` takes to load a decider again; None where it is an object of the caller's own."""
    inner: object = scope
    while hasattr(inner, "inner"):
        inner = inner.inner
    folder = getattr(inner, "folder", None)
    if folder is not None:
        return str(Path(folder).resolve())
    return scope.name if scope.name in DECIDERS else None


__all__ = ["DECIDERS", "given_as", "load_scope"]
