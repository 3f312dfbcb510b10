"""Which index caches lie beside a store, and how far does each reach? Needs no numpy; the format is ``index_cache``."""

import glob
import hashlib
import json
import zlib
from pathlib import Path

LONGEST_HEADER = 1 << 26
"""Bytes of the line with which a cache begins."""


def cache_path(store: Path, namespace: str, kind: str) -> Path:
    name = hashlib.sha256(f"{namespace}\0{kind}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Path(f"{store}.index-{name}")


def caches_of(store: Path) -> list[Path]:
    """Return every cache of a store, unfinished ones too."""
    return sorted(store.parent.glob(f"{glob.escape(store.name)}.index-*"))


def drop_caches(store: Path) -> None:
    for path in caches_of(store):
        path.unlink(missing_ok=True)


def reached(path: Path) -> tuple[int, str] | None:
    """Return the last event that a file is up to date with, and its hash; ``None`` where it is damaged."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline(LONGEST_HEADER))
            checksum = 0
            while part := file.read(1 << 20):
                checksum = zlib.crc32(part, checksum)
        return (int(header["seq"]), str(header["head"])) if checksum == header["crc32"] else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
