"""Which data sets can be evaluated on? Atlas, which is built in, and published benchmarks from their own files.

A loader is a function from a row to a case, or to the reason why the row makes none. Files are JSON Lines or one JSON
list, as their authors publish them; nothing is downloaded here.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from eval.atlas import load_atlas
from eval.atlas_chains import load_atlas_chains
from eval.cases import Dataset, EvalCase, joined, named_once
from eval.datasets import conflictedit, counterfact, halluedit, knowedit, mquake, qaedit, rippleedits, zsre
from eval.datasets.reading import DroppedError
from memory_store.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Loader:
    """How a benchmark's rows are read."""

    read: Callable[[int, Mapping[str, Any]], EvalCase]
    about: str
    joins: bool = False
    """Whether rows about the same edit are one case."""


LOADERS: dict[str, Loader] = {
    "counterfact": Loader(counterfact.read, "CounterFact, in its original shape or flattened (arXiv:2202.05262)"),
    "zsre": Loader(zsre.read, "zsRE as published with MEND, with or without portability (arXiv:2110.11309)"),
    "knowedit": Loader(knowedit.read, "KnowEdit's WikiData rows, counterfactual or recent (arXiv:2401.01286)"),
    "qaedit": Loader(qaedit.read, "QAEdit: real questions, true answers (arXiv:2502.11177)"),
    "halluedit": Loader(halluedit.read, "HalluEditBench: a model's own mistakes corrected (arXiv:2410.16251)"),
    "mquake": Loader(mquake.read, "MQuAKE-CF: chains through one to four edits (arXiv:2305.14795)"),
    "rippleedits": Loader(
        rippleedits.read, "RippleEdits in MQuAKE's shape: one edit and a second fact (arXiv:2307.12976)", joins=True
    ),
    "conflictedit": Loader(conflictedit.read, "ConflictEdit's coverage rows: one fact edited twice (arXiv:2310.02129)"),
}
ABOUT: dict[str, str] = {
    "atlas": "built in: facts the pocket model knows, changed, in words its training never used",
    "atlas-chains": "built in: questions of two and three hops through atlas' edits, and their facts one by one",
    **{name: loader.about for name, loader in LOADERS.items()},
}
NAMES = tuple(ABOUT)
NOT_READ = {
    "unke": "its answers are paragraphs, which no comparison of whole answers can score, and its rows name no subject",
    "hardedit": "the shape of its rows is not known here",
    "counterfact-hard": "the shape of its rows is not known here; rows in CounterFact's own shapes go to counterfact",
}
"""Known benchmarks that have no loader, and why."""


def load_dataset(name: str, path: Path | None, *, cases: int | None = None) -> Dataset:
    """Read a data set, whole or its first ``cases``.

    Raises:
        ConfigError: no such data set, no or an unreadable file, or nothing usable in it.
    """
    if name == "atlas":
        if path is not None:
            raise ConfigError("atlas is built in and reads no file; leave --data out, or name the file's data set")
        return load_atlas(cases) if cases is not None else load_atlas()
    if name == "atlas-chains":
        if path is not None:
            raise ConfigError("atlas-chains is built in and reads no file; leave --data out")
        return first_of(load_atlas_chains(), cases)
    if name in NOT_READ:
        raise ConfigError(f"{name} cannot be read: {NOT_READ[name]}; see what can be: scr eval ls")
    if name not in LOADERS:
        near = get_close_matches(name, NAMES, n=2)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"no data set {name!r}{meant} All are named by: scr eval ls")
    if path is None:
        raise ConfigError(f"{name} needs the benchmark's file: give it with --dataset {name} --data FILE")
    found: list[EvalCase] = []
    dropped: Counter[str] = Counter()
    count = 0
    for count, row in enumerate(_rows(path), start=1):
        try:
            found.append(LOADERS[name].read(count - 1, row))
        except DroppedError as reason:
            dropped[str(reason)] += 1
    if LOADERS[name].joins:
        found, more = joined(found)
        dropped += more
    found, again = named_once(found)
    dropped += again
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = f"{path.name}, sha256 {digest}"
    return first_of(Dataset(name=name, cases=tuple(found), rows=count, dropped=dict(dropped), source=source), cases)


def first_of(dataset: Dataset, cases: int | None) -> Dataset:
    """The data set's first cases; None is all of them."""
    more = len(dataset.cases) - cases if cases is not None else 0
    if more <= 0:
        return dataset
    dropped = {**dataset.dropped, "beyond those asked for": more}
    return replace(dataset, cases=dataset.cases[:cases], dropped=dropped)


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read rows from {path}: {error}") from error
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"{path} is no JSON list: {error}") from error
    else:
        rows = []
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    rows.append(json.loads(line))
                except ValueError as error:
                    raise ConfigError(f"{path}, line {number}: not JSON ({error})") from error
    wrong = next((i for i, row in enumerate(rows, start=1) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise ConfigError(f"{path}, row {wrong}: wanted an object")
    return rows


__all__ = ["ABOUT", "LOADERS", "NAMES", "NOT_READ", "load_dataset"]
