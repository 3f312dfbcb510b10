"""How fast, how exact and how large is the memory? Recall, latency, adding, opening and bytes an edit.

    python -m eval.benchmarks.memory [--data ../shared/data] [--work runs/memory] [--part all] [--json]

Two corpora, each in a store of its own below ``--work``, where keys and stores are kept for the next run; what was
interrupted goes on where it ended, and ``--part prepare`` does no more than that.

* ``real``: 100,000 statements of the published rows below ``--data``, one for each prompt that any of them has with an
  answer beside it (rewrites, rephrasings, neighbours, hops), shuffled and encoded.
* ``made``: 1,000,000 keys by recombination. The first are the real ones. Each other is
  unit(w * a + (1 - w) * b + 0.02 * g), where a and b are keys of two real statements, w is uniform in [0.5, 0.9] and g
  is standard normal: between two statements, as the subject of one in the wording of another comes to lie. These
  edits have one key each, where the real ones have the two that ``scr`` stores, of statement and prompt.

A corpus stands in the namespace ``all``; beside it stand its first 1,000 and its first 10 in namespaces of their own.
Every fifth edit of each is forgotten before anything is searched. Queries are questions of every kind from
``scope_dev_queries``, encoded; one at a time, on one thread. A neighbour counts as found when its exact score reaches
the tenth exact score, which is computed here, apart from the store. Opening is a new process that opens the store and
searches once, its imports done; its private memory is the growth from there on.

Adding is measured on a copy of the real store, in batches of 256 new edits: the encoder alone (on the statements, and
on all texts that become keys), and encoding with storing; ratios are those of the sums over one run. The last batches
go through ``RetrievalEditor.edit``, as ``scr import`` does it, which also looks for facts that a new one contradicts.

Beside the time that passed stands the time the processor took (``cpu``); on a busy machine they differ.
"""

import hashlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from memory_store.foreign import sentence
from memory_store.identity import fold
from memory_store.index import ExactIndex, Keys
from memory_store.store import EditStore
from scr.editor import RetrievalEditor, keys_of
from scr.encoder import load_encoder
from scr.protocols import Encoder
from scr.scope import load_scope

FEW = {"ten": 10, "thousand": 1_000}
"""Namespaces beside ``all``."""
GONE = 5
"""Every so manieth edit is forgotten."""
BATCH = 256
ADDED = 8
"""Batches whose adding is measured."""
K = 10
BLOCK = 10_000
"""Rows of keys held at once; of the made corpus, those that share a generator."""
ENCODED_AT_ONCE = 2_048
SEED = 20_261_120
Figures = dict[str, Any]
"""By name, the unit in the name."""
NOT_STATEMENTS = ("scope_dev", "probe", "text")
"""How the names of files begin whose rows state no facts, or repeat those of others."""
ANSWERS_OF = {
    "prompt": ("target_new", "target", "target_true", "ground_truth"),
    "paraphrase_prompts": ("target_new",),
    "neighborhood_prompts": ("target_true",),
    "attribute_prompts": ("target_new",),
    "rephrase_prompt": ("target_new",),
    "locality_prompt": ("locality_ground_truth",),
    "src": ("alt", "answers"),
    "rephrase": ("alt", "target"),
    "loc": ("loc_ans",),
    "question": ("object", "answer", "target_new"),
    "query": ("new_object",),
    "paraphrased_question": ("object",),
    "questions": ("new_answer",),
    "cloze": ("answer",),
    "New Question": ("New Answer",),
    **{f"question_{hops}hop": (f"answer_{hops}hop",) for hops in range(2, 7)},
}
"""Of each name a prompt has in some benchmark, those of its answer; the first that is there counts."""


# -- the corpora -------------------------------------------------------------------------------------------------------


def real_edits(data: Path, rows: int) -> list[Edit]:
    """Return edits made of the published rows, each with a prompt of its own, in an order that is always the same.

    Raises:
        ConfigError: there are too few.
    """
    found: dict[str, Edit] = {}
    for file in sorted(data.glob("*.jsonl")):
        if file.name.startswith(NOT_STATEMENTS):
            continue
        for line in file.read_text("utf-8").splitlines():
            for subject, prompt, answer in _stated(json.loads(line), {}):
                if prompt and answer and len(prompt) + len(answer) < 2_000:
                    about = subject if subject in prompt else ""
                    edit = Edit(statement=sentence(prompt, answer), subject=about, prompt=prompt, target_new=answer)
                    found.setdefault(fold(prompt), edit)
    if len(found) < rows:
        raise ConfigError(f"the rows below {data} make {len(found):,} statements, wanted {rows:,}; name --data")
    edits = list(found.values())
    random.Random(SEED).shuffle(edits)
    return edits[:rows]


def _stated(record: Any, about: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (subject, prompt, answer) of everything in a record that is asked and answered."""
    if isinstance(record, list):
        for part in record:
            yield from _stated(part, about)
    if not isinstance(record, dict):
        return
    # ConflictEdit and CounterFact write prompts and answers into two levels of one record.
    about = {**{k: about[k] for k in ("subject", "new_object", "target_new", "target_true") if k in about}, **record}
    rewrite = record.get("requested_rewrite")
    if isinstance(rewrite, dict):
        about = {**rewrite, **about}
    subject = _text(about.get("subject"))
    for name, answers in ANSWERS_OF.items():
        asked = record.get(name)
        answer = next((text for text in (_text(about.get(other)) for other in answers) if text), "")
        for prompt in asked if isinstance(asked, list) else [asked]:
            if isinstance(prompt, str):
                yield subject, " ".join(prompt.replace("{}", subject).split()), answer
    for part in record.values():
        yield from _stated(part, about)


def _text(value: Any) -> str:
    """Return a text as benchmarks write it: plain, under a name, or first in a list."""
    if isinstance(value, dict):
        value = value.get("str") or value.get("label")
    while isinstance(value, list) and value:
        value = value[0]
    return " ".join(value.split()) if isinstance(value, str) else ""


def keys_on_disk(texts: Sequence[str], encoder: Encoder, folder: Path) -> Keys:
    """Return keys, shape (len(texts), d_key), from a file that is filled first, from where it ends."""
    file = folder / f"keys-{_mark(encoder.fingerprint, *texts)}.f32"
    width = encoder.d_key * 4
    there = file.stat().st_size // width if file.exists() else 0
    with file.open("r+b" if there else "wb") as out:
        out.truncate(there * width)
        out.seek(there * width)
        for start in range(there, len(texts), ENCODED_AT_ONCE):
            part = texts[start : start + ENCODED_AT_ONCE]
            out.write(np.ascontiguousarray(encoder.encode(part), "<f4").tobytes())
            out.flush()
            click.echo(f"encoded {start + len(part):,} of {len(texts):,}", err=True)
    return np.fromfile(file, "<f4").reshape(len(texts), encoder.d_key)


def _mark(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def real_blocks(real: Keys, rows: int) -> Iterator[Keys]:
    for start in range(0, rows, BLOCK):
        yield real[start : min(start + BLOCK, rows)]


def made_blocks(real: Keys, rows: int) -> Iterator[Keys]:
    """Yield the keys of the made corpus, ``BLOCK`` rows at a time, the same every time."""
    for number, start in enumerate(range(0, rows, BLOCK)):
        draw = np.random.default_rng([SEED, number])
        one, other = draw.integers(len(real), size=(2, BLOCK))
        weight = draw.uniform(0.5, 0.9, size=(BLOCK, 1))
        keys = weight * real[one] + (1 - weight) * real[other] + 0.02 * draw.standard_normal((BLOCK, real.shape[1]))
        keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
        copied = real[start : start + BLOCK]
        keys[: len(copied)] = copied
        yield keys[: rows - start]


def made_edit(edits: Sequence[Edit], number: int) -> Edit:
    """Return a made row as text: the wording of one statement, the answer of another."""
    if number < len(edits):
        return edits[number]
    one, other = edits[number % len(edits)], edits[(number * 7919 + number // len(edits)) % len(edits)]
    prompt = f"{number}: {one.prompt}"
    return Edit(
        statement=sentence(prompt, other.target_new), subject=one.subject, prompt=prompt, target_new=other.target_new
    )


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a store is filled with."""

    rows: int
    edit: Callable[[int], Edit]
    """The edit of a row, without id and namespace."""
    blocks: Callable[[], Iterator[Keys]]
    """Keys of the statements, ``BLOCK`` rows at a time."""
    prompts: Keys | None = None
    """Keys of the prompts, shape (rows, d_key)."""


def filled(path: Path, encoder: Encoder, corpus: Corpus) -> None:
    """Bring the store at ``path`` to its full state, from wherever an earlier run left it."""
    rows = corpus.rows
    with EditStore.open(path, encoder=encoder.fingerprint) as store:
        there = _versions(store)
        for name, size in {**FEW, "all": rows}.items():
            if there.get(name, (0, 0))[0] < size:
                _put_missing(store, name, there.get(name, (0, 0))[0], size, corpus)
        for name, size in {**FEW, "all": rows}.items():
            gone = [_id(number) for number in range(0, size, GONE)][there.get(name, (0, 0))[1] :]
            for start in range(0, len(gone), 1_000):
                store.forget(gone[start : start + 1_000], namespace=name)


def _put_missing(store: EditStore, name: str, there: int, size: int, corpus: Corpus) -> None:
    for number, keys in enumerate(corpus.blocks()):
        for start in range(0, len(keys), BATCH):
            first = number * BLOCK + start
            numbers = range(max(first, there), min(first + len(keys[start : start + BATCH]), size))
            if numbers:
                batch = [replace(corpus.edit(n), edit_id=_id(n), namespace=name) for n in numbers]
                at = numbers.start - number * BLOCK
                more = {} if corpus.prompts is None else {"prompt": corpus.prompts[numbers.start : numbers.stop]}
                results = store.put(batch, {"statement": keys[at : at + len(numbers)], **more})
                assert {result.status for result in results} == {"added"}
        if (number + 1) * BLOCK >= size:
            return
        click.echo(f"stored {(number + 1) * BLOCK:,} of {size:,}", err=True)


def _versions(store: EditStore) -> dict[str, tuple[int, int]]:
    """Return by namespace how many versions there are, and how many of them are forgotten."""
    counts = store.stats()["namespaces"]
    return {name: (count["live"] + count["closed"], count["closed"]) for name, count in counts.items()}


def _id(number: int) -> str:
    return f"e{number}"


# -- what is measured --------------------------------------------------------------------------------------------------

_OPENING = """
import sys, time
import numpy as np
import memory_store.faiss_index, memory_store.live_index
from memory_store.store import EditStore
def private():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024
query = np.load(sys.argv[2])
before = private()
started = time.perf_counter()
with EditStore.open(sys.argv[1], encoder=sys.argv[3]) as store:
    opened = time.perf_counter()
    store.nearest(query, 10, namespace="all")
    print(opened - started, time.perf_counter() - started, private() - before, private())
"""


def searched(path: Path, encoder: str, corpus: Corpus, questions: Keys) -> Figures:
    """Return recall and latency in each namespace, and what opening and storing take.

    Args:
        questions: unit rows, shape (n, d_key).
    """
    rows = corpus.rows
    figures: Figures = {"rows": rows}
    for cache in path.parent.glob(f"{path.name}.index-*"):
        cache.unlink()
    with EditStore.open(path, encoder=encoder) as store:
        started = time.perf_counter()
        store.nearest(questions[:1], K, namespace="all")
        figures["first_search_without_cache_s"] = round(time.perf_counter() - started, 2)
        for name, size in {**FEW, "all": rows}.items():
            figures |= _searched(store, name, questions, _tops(corpus.blocks(), size, questions))
    query = path.with_suffix(".npy")
    np.save(query, questions[:1])
    runs = []
    for _ in range(3):
        command = [sys.executable, "-c", _OPENING, str(path), str(query), encoder]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        runs.append([float(figure) for figure in said.split()])
    opened, first, grown, private = (statistics.median(run) for run in zip(*runs, strict=True))
    sizes = {file.name: file.stat().st_size for file in path.parent.glob(f"{path.name}*")}
    cache_size = sum(size for name, size in sizes.items() if ".index-" in name)
    versions = rows + sum(FEW.values())
    return figures | {
        "open_s": round(opened, 3),
        "open_and_search_s": round(first, 3),
        "open_private_mb": round(grown, 1),
        "process_private_mb": round(private, 1),
        "store_bytes_per_edit": round((sum(sizes.values()) - cache_size) / versions),
        "cache_bytes_per_edit": round(cache_size / rows, 1),
    }


def _tops(blocks: Iterator[Keys], size: int, questions: Keys) -> list[list[float]]:
    """Return for each question the ``K`` best exact scores among the first ``size`` keys that are not forgotten."""
    best: list[list[float]] = [[] for _ in questions]
    for number, keys in enumerate(blocks):
        start = number * BLOCK
        kept = np.array([row for row in range(min(len(keys), size - start)) if (start + row) % GONE], np.int64)
        index = ExactIndex(keys.shape[1])
        index.add((kept + start).tolist(), keys[kept])
        for scores, found in zip(best, index.search(questions, K), strict=True):
            scores[:] = sorted([*scores, *(score for _, score in found)], reverse=True)[:K]
        if start + BLOCK >= size:
            break
    return best


def _searched(store: EditStore, name: str, questions: Keys, tops: list[list[float]]) -> Figures:
    hits = wanted = forgotten = 0
    times, worked = [], []
    store.nearest(questions[:1], K, namespace=name)
    for question, top in zip(questions, tops, strict=True):
        started, began = time.perf_counter(), time.process_time()
        (found,) = store.nearest(question[None], K, namespace=name)
        times.append((time.perf_counter() - started) * 1e3)
        worked.append((time.process_time() - began) * 1e3)
        hits += sum(hit.score >= top[-1] for hit in found)
        wanted += len(top)
        forgotten += sum(int(hit.edit_id[1:]) % GONE == 0 for hit in found)
    return {
        f"recall_at_10.{name}": round(hits / wanted, 4),
        f"forgotten_found.{name}": forgotten,
        f"p50_ms.{name}": round(statistics.median(times), 2),
        f"p95_ms.{name}": round(float(np.quantile(times, 0.95)), 2),
        f"cpu_p50_ms.{name}": round(statistics.median(worked), 2),
    }


def added(path: Path, encoder: Encoder, edits: Sequence[Edit]) -> Figures:
    """Return what adding costs beside the bare encoder, at the size of the store at ``path``, which is copied."""
    copy = path.with_suffix(".copy.scr")
    for old in copy.parent.glob(f"{copy.name}*"):
        old.unlink()
    with EditStore.open(path, encoder=encoder.fingerprint) as store:
        store.backup(copy)
    spent = {"statements": 0.0, "texts": 0.0, "adding": 0.0, "storing": 0.0, "alone": 0.0, "judged": 0.0}
    stored_only = len(edits) * 5 // 8 // BATCH * BATCH
    with EditStore.open(copy, encoder=encoder.fingerprint) as store:
        editor = RetrievalEditor(store, encoder, load_scope("pair", encoder=encoder), namespace="all")
        for start in range(0, len(edits), BATCH):
            batch = [replace(edit, namespace="all") for edit in edits[start : start + BATCH]]
            if start >= stored_only:
                began = time.perf_counter()
                keys_of(encoder, batch)
                encoded = time.perf_counter()
                editor.edit(batch)
                if start > stored_only:  # the first of these warms up too
                    spent["alone"] += encoded - began
                    spent["judged"] += time.perf_counter() - encoded
                continue
            clock = [time.perf_counter()]
            encoder.encode([edit.statement for edit in batch])
            clock.append(time.perf_counter())
            keys_of(encoder, batch)
            clock.append(time.perf_counter())
            keys = keys_of(encoder, batch)
            clock.append(time.perf_counter())
            store.put(batch, keys)
            clock.append(time.perf_counter())
            if start:  # the first batch warms up
                spent["statements"] += clock[1] - clock[0]
                spent["texts"] += clock[2] - clock[1]
                spent["adding"] += clock[4] - clock[2]
                spent["storing"] += clock[4] - clock[3]
    for file in copy.parent.glob(f"{copy.name}*"):
        file.unlink()
    return {
        "add_over_encode": round(spent["adding"] / spent["texts"], 3),
        "add_and_look_for_contradictions_over_encode": round(spent["judged"] / spent["alone"], 3),
        "statements_and_storing_over_statements": round(1 + spent["storing"] / spent["statements"], 3),
        "encode_ms_per_statement": round(spent["statements"] / (stored_only - BATCH) * 1e3, 3),
        "encode_ms_per_edit": round(spent["texts"] / (stored_only - BATCH) * 1e3, 3),
        "store_ms_per_edit": round(spent["storing"] / (stored_only - BATCH) * 1e3, 3),
    }


def questions_of(data: Path, count: int) -> list[str]:
    """Return benchmark questions of every kind, always the same."""
    lines = (data / "scope_dev_queries.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["query"] for line in random.Random(SEED).sample(lines, count)]


@click.command()
@click.option("--data", default="../shared/data", show_default=True, help="Folder with the benchmark rows.")
@click.option("--work", default="runs/memory", show_default=True, help="Folder for keys and stores, kept between runs.")
@click.option("--rows", default=100_000, show_default=True, help="Edits of the real corpus.")
@click.option("--made", default=1_000_000, show_default=True, help="Edits of the made corpus; 0 leaves it out.")
@click.option("--queries", default=500, show_default=True)
@click.option("--encoder", metavar="NAME", help="As for scr (default all-MiniLM-L6-v2; hash needs no model).")
@click.option("--part", type=click.Choice(["all", "prepare", "search", "add"]), default="all", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def main(
    data: str, work: str, rows: int, made: int, queries: int, encoder: str | None, part: str, as_json: bool
) -> None:
    """Measure the memory on its two corpora."""
    used, folder = load_encoder(encoder), Path(work)
    folder.mkdir(parents=True, exist_ok=True)
    edits = real_edits(Path(data), rows + ADDED * BATCH)
    edits, new = edits[:rows], edits[rows:]
    real = keys_on_disk([edit.statement for edit in edits], used, folder)
    prompts = keys_on_disk([edit.prompt for edit in edits], used, folder)
    corpora = {"real": Corpus(rows, edits.__getitem__, partial(real_blocks, real, rows), prompts)}
    if made:
        corpora["made"] = Corpus(made, partial(made_edit, edits), partial(made_blocks, real, made))
    figures: Figures = {
        "encoder": used.fingerprint,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    }
    mark = _mark(used.fingerprint)
    paths = {name: folder / f"{name}-{corpus.rows}-{mark}.scr" for name, corpus in corpora.items()}
    if part in ("all", "prepare"):
        for name, corpus in corpora.items():
            filled(paths[name], used, corpus)
    if part in ("all", "add"):
        figures |= added(paths["real"], used, new)
    if part == "all":
        figures |= _on_one_thread(sys.argv[1:])
    if part == "search":
        asked = used.encode(questions_of(Path(data), queries))
        for name, corpus in corpora.items():
            found = searched(paths[name], used.fingerprint, corpus, asked)
            figures |= {f"{name}.{figure}": value for figure, value in found.items()}
    if as_json:
        click.echo(json.dumps({"schema": "scr.bench.memory/3", **figures}))
        return
    for name, value in figures.items():
        click.echo(f"{name:<40} {value}")


def _on_one_thread(args: Sequence[str]) -> Figures:
    """Return the figures of searching from a process whose libraries were told how many threads there are."""
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "eval.benchmarks.memory", *args, "--part", "search", "--json"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **one}).stdout
    figures: Figures = json.loads(said)
    return figures


if __name__ == "__main__":
    main()
