"""Where are the codes of a large namespace kept between runs? In a file beside the store, which may always be deleted.

The file says which event it is up to date with, by number and hash, so a file of another store, or of a store that went
another way since a backup, is not believed. It is written aside, synchronised and renamed; one that is damaged is
ignored and written again. The rows are mapped, and changed in memory only.

    one line of JSON, padded to a multiple of 64 bytes: everything that is not an array, and a CRC-32 of what follows
    centre (d_key) float32 · ids (rows) int64 · the two parts of the codes (rows, bytes) uint8, each at a multiple of 64
"""

import contextlib
import glob
import json
import logging
import mmap
import os
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memory_store.cache_files import LONGEST_HEADER
from memory_store.codes_index import Parts, part_widths
from memory_store.index import Ids, Keys
from memory_store.timeline import Window

FORMAT = 2
_ALIGN = 64
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_ABANDONED = 3600.0
"""Seconds after which nobody goes on writing a file."""

logger = logging.getLogger("memory_store")


@dataclass(frozen=True, slots=True)
class Cached:
    """What a file holds."""

    seq: int
    """The last event that is in it."""
    head: str
    """The hash of that event."""
    dated: dict[int, Window]
    """Windows of the rows that have a beginning or an end."""
    centre: Keys
    ids: Ids
    codes: Parts


def write_cache(path: Path, cached: Cached, about: Mapping[str, Any]) -> None:
    """Write the file, or leave it; a cache that cannot be written is no error.

    Args:
        about: what must be equal at reading: encoder, namespace, kind, width.
    """
    parts = [_padded(np.ascontiguousarray(part).tobytes()) for part in (cached.centre, cached.ids, *cached.codes)]
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    header = {
        "format": FORMAT,
        "about": dict(about),
        "seq": cached.seq,
        "head": cached.head,
        "rows": len(cached.ids),
        "dated": [[row, *window] for row, window in cached.dated.items()],
        "crc32": checksum,
    }
    line = json.dumps(header).encode()
    line += b" " * (-(len(line) + 1) % _ALIGN) + b"\n"
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        for left in path.parent.glob(f"{glob.escape(path.name)}.*.tmp"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
        with open(os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | _NO_LINK, 0o600), "wb") as file:
            for part in (line, *parts):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        logger.info("the index cache %s was not written: %s", path, error)
        with contextlib.suppress(OSError):
            aside.unlink()


def read_cache(path: Path, about: Mapping[str, Any], d_key: int) -> Cached | None:
    """Return what the file holds; ``None`` where it is not there, damaged, or about something else."""
    try:
        with path.open("rb") as file:
            line = file.readline(LONGEST_HEADER)
            header = json.loads(line)
            if header["format"] != FORMAT or header["about"] != dict(about):
                return None
            rows, (first, second) = int(header["rows"]), part_widths(d_key)
            sizes = (d_key * 4, rows * 8, rows * first, rows * second)
            starts = [len(line)]
            for size in sizes:
                starts.append(starts[-1] + size + -size % _ALIGN)
            if rows < 0 or os.fstat(file.fileno()).st_size != starts[-1]:
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if zlib.crc32(memoryview(mapped)[len(line) :]) != header["crc32"]:
            return None
        return Cached(
            seq=int(header["seq"]),
            head=str(header["head"]),
            dated={int(row): (start, end) for row, start, end in header["dated"]},
            centre=np.frombuffer(mapped, np.float32, d_key, starts[0]),
            ids=np.frombuffer(mapped, np.int64, rows, starts[1]),
            codes=(
                np.frombuffer(mapped, np.uint8, rows * first, starts[2]).reshape(rows, first),
                np.frombuffer(mapped, np.uint8, rows * second, starts[3]).reshape(rows, second),
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGN)
