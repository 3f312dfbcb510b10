"""Which store, namespace, model, encoder and device? A flag, else an ``SCR_*`` variable, else a default."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memory_store.edit import DEFAULT_NAMESPACE
from memory_store.errors import ConfigError

SCOPES = ("pair", "cosine", "llm")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a command needs to know before it opens something; made once, at the edge."""

    store: Path
    "The store's file."
    namespace: str = DEFAULT_NAMESPACE
    "Whose edits; a query never sees another namespace's."
    model: str | None = None
    "Hugging Face name or local folder; None is the built-in pocket model."
    encoder: str | None = None
    "Encoder name or local folder; None is all-MiniLM-L6-v2, ``hash`` a deterministic test encoder."
    device: str | None = None
    "As torch writes it (``cpu``, ``cuda:0``); None leaves the choice to the loader."
    offline: bool = False
    "Never try to reach a model hub."
    scope: str = "pair"
    "The decider: one of SCOPES, or the folder of a classifier that ``scr train scope`` wrote."
    record_use: bool = False
    "Note in the log which edits each question used, the question hashed."

    def __post_init__(self) -> None:
        if self.scope not in SCOPES and not (self.scope and Path(self.scope).is_dir()):
            raise ConfigError(
                f"unknown scope decider {self.scope!r}; choose one of {', '.join(SCOPES)}, or give a folder that "
                "scr train scope wrote"
            )

    @classmethod
    def resolve(
        cls,
        *,
        store: str | Path | None = None,
        namespace: str | None = None,
        model: str | None = None,
        encoder: str | None = None,
        device: str | None = None,
        offline: bool | None = None,
        scope: str | None = None,
        record_use: bool | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> "Settings":
        """Fill what the caller left out from ``environ``, then from the defaults.

        Raises:
            ConfigError: ``SCR_OFFLINE`` or ``SCR_RECORD_USE`` is neither true nor false, or a value is out of range.
        """
        return cls(
            store=Path(store or environ.get("SCR_STORE") or default_store(environ)).expanduser(),
            namespace=namespace or environ.get("SCR_NAMESPACE") or DEFAULT_NAMESPACE,
            model=model or environ.get("SCR_MODEL") or None,
            encoder=encoder or environ.get("SCR_ENCODER") or None,
            device=device or environ.get("SCR_DEVICE") or None,
            offline=_flag("SCR_OFFLINE", environ) if offline is None else offline,
            scope=scope or "pair",
            record_use=_flag("SCR_RECORD_USE", environ) if record_use is None else record_use,
        )


def _flag(name: str, environ: Mapping[str, str]) -> bool:
    said = environ.get(name, "").strip().lower()
    if said not in _TRUE | _FALSE:
        raise ConfigError(f"{name} is {said!r}; set it to 1 or 0")
    return said in _TRUE


def default_store(environ: Mapping[str, str] = os.environ) -> Path:
    """The store in the user's data folder, by the platform's convention."""
    if sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "scr" / "facts.scr"
