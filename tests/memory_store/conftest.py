import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from memory_store.edit import Edit
from memory_store.store import EditStore

D_KEY = 16


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **amount: float) -> datetime:
        self.now += timedelta(**(amount or {"seconds": 1}))
        return self.now


def keys_of(texts: Sequence[str]) -> np.ndarray:
    """One direction for each text, the same everywhere; equal texts have equal keys."""
    rows = []
    for text in texts:
        seed = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        row = np.random.default_rng(seed).normal(size=D_KEY)
        rows.append(row / np.linalg.norm(row))
    return np.array(rows, np.float32).reshape(len(texts), D_KEY)


def capital(country: str, city: str, **more: object) -> Edit:
    return Edit(
        statement=f"The capital of {country} is {city}.",
        subject=country,
        prompt=f"The capital of {country} is",
        target_new=city,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(name="keys_of")
def _keys_of() -> Callable[[Sequence[str]], np.ndarray]:
    return keys_of


@pytest.fixture(name="capital")
def _capital() -> Callable[..., Edit]:
    return capital


@pytest.fixture
def put():
    """Put edits with their keys; each call is one batch."""

    def put(store: EditStore, *edits: Edit, **more: object):
        keys = {"statement": keys_of([e.statement for e in edits]), "prompt": keys_of([e.prompt for e in edits])}
        return store.put(list(edits), keys, **more)  # type: ignore[arg-type]

    return put


@pytest.fixture
def store(clock):
    with EditStore.open(":memory:", encoder="toy", clock=clock) as opened:
        yield opened
