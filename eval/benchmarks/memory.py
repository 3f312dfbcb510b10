"""How fast, how exact and how large is the memory? Recall, latency, adding, opening and bytes an edit, in one run.

    python -m eval.benchmarks.memory [--rows 100000] [--encoder NAME] [--json]

The corpus is made here and is the same everywhere: ``rows`` statements "The R of N is O.", where N are names put
together from syllables, R one of 40 relations and O an object, encoded by the encoder named. A query asks for a stored
fact in other words. 20 % of the edits are forgotten before anything is searched. Beside the large namespace stand one
of 1,000 and one of 10 edits. A neighbour counts as found when its exact score reaches the tenth exact score.
"""

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np

from memory_store.edit import Edit
from memory_store.index import ExactIndex, Keys
from memory_store.store import EditStore, IndexKind
from scr.protocols import Encoder

SYLLABLES = "ba ce di fo gu ha ki lo mu na pe ri so tu va we xi yo zu bra cle dri flo gru".split()
RELATIONS = (
    "capital,mayor,founder,owner,editor,anthem,climate,currency,language,river,harbour,museum,bishop,architect,"
    "sponsor,captain,coach,stadium,patron,rector,chairman,publisher,composer,translator,producer,designer,curator,"
    "ambassador,treasurer,secretary,manager,director,conductor,librarian,surveyor,postcode,dialect,cuisine,emblem,motto"
).split(",")
NAMESPACES = {"ten": 10, "thousand": 1_000}
BATCH = 256
K = 10

_OPENING = """
import sys, time
import numpy as np
import memory_store.live_index
from memory_store.store import EditStore
def private():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024
query = np.load(sys.argv[2])
import memory_store.faiss_index
before = private()
started = time.perf_counter()
with EditStore.open(sys.argv[1], encoder=sys.argv[3], index=sys.argv[4]) as store:
    store.nearest(query, 10, namespace="all")
    print(time.perf_counter() - started, private() - before)
"""


def corpus(rows: int) -> Iterator[tuple[Edit, str]]:
    """Yield each edit with a question for it, the same for the same number of rows."""
    draw = random.Random(20_261_120)
    names = sorted({"".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))).title() for _ in range(rows // 8 + 50)})
    for number in range(rows):
        relation = RELATIONS[(number // len(names)) % len(RELATIONS)]
        subject = names[number % len(names)]
        number_of_lap = number // (len(names) * len(RELATIONS))
        subject = f"{subject} {number_of_lap + 1}" if number_of_lap else subject
        answer = "".join(draw.choices(SYLLABLES, k=3)).title()
        prompt = f"The {relation} of {subject} is"
        edit = Edit(
            statement=f"{prompt} {answer}.", subject=subject, prompt=prompt, target_new=answer, edit_id=f"e{number}"
        )
        yield edit, f"Can you tell me who or what the {relation} of {subject} is?"


@click.command()
@click.option("--rows", default=100_000, show_default=True, help="Edits in the large namespace.")
@click.option("--queries", default=200, show_default=True)
@click.option("--encoder", metavar="NAME", help="As for scr (default all-MiniLM-L6-v2; hash needs no model).")
@click.option("--index", type=click.Choice(get_args(IndexKind)), default="auto", help="Default: by size.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def main(rows: int, queries: int, encoder: str | None, index: IndexKind, as_json: bool) -> None:
    """Measure the memory on its corpus."""
    from scr.encoder import load_encoder

    used = load_encoder(encoder)
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder) / "memory.scr", used, rows, queries, index)
    if as_json:
        click.echo(json.dumps({"schema": "scr.bench.memory/1", **figures}))
        return
    for name, value in figures.items():
        click.echo(f"{name:<28} {value}")


def measured(path: Path, encoder: Encoder, rows: int, queries: int, index: IndexKind) -> dict[str, Any]:
    """Fill a store at ``path`` and return every figure by name, its unit in the name."""
    pairs = list(corpus(rows))
    edits, asked = [edit for edit, _ in pairs], [question for _, question in pairs]
    with EditStore.open(path, encoder=encoder.fingerprint, index=index) as store:
        encoding, storing, keys = _fill(store, encoder, edits)
        for name, size in NAMESPACES.items():
            few = [Edit(statement=e.statement, edit_id=e.edit_id, namespace=name) for e in edits[:size]]
            store.put(few, {"statement": keys[:size]})
        gone = [edit.edit_id for edit in edits[::5]]
        for start in range(0, len(gone), 1_000):
            store.forget(gone[start : start + 1_000], namespace="all")
        for name, size in NAMESPACES.items():
            store.forget([edit.edit_id for edit in edits[:size:5]], namespace=name)
        chosen = random.Random(1).sample([n for n in range(rows) if n % 5], min(queries, rows * 4 // 5))
        questions = encoder.encode([asked[n] for n in chosen])
        started = time.perf_counter()
        store.nearest(questions[:1], K, namespace="all")
        building = time.perf_counter() - started
        figures: dict[str, Any] = {
            "rows": rows,
            "index": index,
            "encoder": encoder.fingerprint,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            "add_over_encode": round((encoding + storing) / encoding, 3),
            "store_ms_per_edit": round(storing / rows * 1e3, 3),
            "first_search_s": round(building, 2),
        }
        for name, size in {**NAMESPACES, "all": rows}.items():
            figures |= _searched(store, name, questions, keys[:size])
    path_and_query = [str(path), str(path.with_suffix(".npy")), encoder.fingerprint, index]
    np.save(path_and_query[1], questions[:1])
    said = subprocess.run(
        [sys.executable, "-c", _OPENING, *path_and_query], capture_output=True, text=True, check=True
    ).stdout
    seconds, megabytes = map(float, said.split())
    sizes = {file.name: file.stat().st_size for file in path.parent.glob(f"{path.name}*")}
    cache = sum(size for name, size in sizes.items() if ".index-" in name)
    return figures | {
        "open_and_search_s": round(seconds, 3),
        "private_mb": round(megabytes, 1),
        "store_bytes_per_edit": round((sum(sizes.values()) - cache) / rows),
        "cache_bytes_per_edit": round(cache / rows, 1),
    }


def _fill(store: EditStore, encoder: Encoder, edits: list[Edit]) -> tuple[float, float, Keys]:
    """Return seconds of encoding, seconds of storing, and the keys of the statements."""
    encoding = storing = 0.0
    keys = []
    for start in range(0, len(edits), BATCH):
        part = [
            Edit(
                statement=e.statement,
                subject=e.subject,
                prompt=e.prompt,
                target_new=e.target_new,
                edit_id=e.edit_id,
                namespace="all",
            )
            for e in edits[start : start + BATCH]
        ]
        before = time.perf_counter()
        encoded = encoder.encode([e.statement for e in part])
        between = time.perf_counter()
        store.put(part, {"statement": encoded})
        encoding, storing = encoding + between - before, storing + time.perf_counter() - between
        keys.append(encoded)
    return encoding, storing, np.concatenate(keys)


def _searched(store: EditStore, name: str, questions: Keys, keys: Keys) -> dict[str, Any]:
    """Return recall and latency of one namespace, whose every fifth edit is forgotten."""
    kept = np.array([n for n in range(len(keys)) if n % 5])
    exact = ExactIndex(keys.shape[1])
    exact.add(kept.tolist(), keys[kept])
    hits = wanted = 0
    times = []
    store.nearest(questions[:1], K, namespace=name)
    for question in questions:
        started = time.perf_counter()
        (found,) = store.nearest(question[None], K, namespace=name)
        times.append((time.perf_counter() - started) * 1e3)
        (reference,) = exact.search(question[None], K)
        hits += sum(hit.score >= reference[-1][1] for hit in found)
        wanted += len(reference)
    return {
        f"recall_at_10.{name}": round(hits / wanted, 4),
        f"p50_ms.{name}": round(statistics.median(times), 2),
        f"p95_ms.{name}": round(float(np.quantile(times, 0.95)), 2),
    }


if __name__ == "__main__":
    main()
