"""How are the pair classifier's weights made? ``python -m scr.scope.train --data DIR [--out FILE] [--cache DIR]``.

Rows: every query of every corpus against the candidates that recall gives it. Folds: five, by connected subjects (same
subject or near-duplicate statement in one fold), so that what is measured was never trained on. Calibration and
threshold of a fold's judge come from the predictions left out in the other folds, those of the final judge from all.
The same data, seed and versions give the same file, without a cache or with the same one. Needs scikit-learn, which
comes with sentence-transformers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from memory_store.edit import Edit, Hit
from memory_store.errors import ConfigError
from memory_store.identity import names_of, spans_of
from memory_store.store import LONGEST_MENTION, EditStore
from scr.calibration import reliability
from scr.encoder import load_encoder
from scr.protocols import Encoder, Keys
from scr.scope.features import COLUMN, DENSE, NAMES, read, read_edit
from scr.scope.pair import EvidenceGatherer
from scr.scope.recall import recall
from scr.scope.relation_space import RelationSpace, learn
from scr.scope.training_data import IN_KINDS, OUT_KINDS, Corpus, Query, all_corpora, kept_back_subjects, key_of, rows_of
from scr.scope.trees import Trees
from scr.scope.weights import FINAL, LEXICAL, SHIPPED, Judge, Weights, query_hash

_log = logging.getLogger("scr.scope.train")

FOLDS = 5
FAMILIES = ("counterfact", "wiki_counterfact", "halluedit", "qaedit", "zsre")
_THRESHOLDS = tuple(round(0.3 + 0.025 * n, 3) for n in range(17))
_NO_WORSE = 0.001
"""Of thresholds whose harmonic means differ by less, the one nearest to one half is taken."""
MORE = (
    "cos_statement cos_prompt cos_clause_prompt cos_relation cos_relation_crop cos_relation_best relation_overlap "
    "statement_cover words_near words_near_edit same_meaning subject_exact subject_coverage subject_precision "
    "subject_ordered subject_trigrams name_alike cos_subject asks_same rival_cos_statement rival_cos_prompt "
    "rival_cos_relation near_relation rival_near_relation rival_coverage rival_blend rival_trigrams"
).split()
"""Evidence of which more never makes an edit less probable."""
LESS = (
    "relation_missing relation_missing_max query_extra query_extra_max query_extra_count words_near_worst "
    "words_near_edit_worst excluding subject_extra_capitals name_numbers_differ name_shared foreign_capitals "
    "foreign_numbers numbers_missing numbers_differ negation_differs other_time past_for_present changing asks_other "
    "answer_kind_differs"
).split()
"""Evidence of which more never makes it more probable. What is learnt so carries over to wordings never seen."""
_WORD_DIMENSIONS = 48
_TREES = {False: 300, True: 120}
"""In the free ensemble, and in the bound one."""
_INNER_FOLDS = 3
"""Parts of a training set: trees learn from nearness in a space that did not learn from the same row."""
_SAME_NAME = 0.8
"""Coverage times precision of a subject from which a row's two relations are compared when the space is learnt."""
_NEAR_DUPLICATE = 0.95
_SAME_QUESTION = 0.7
"""Two prompts of one subject whose relations are this near ask the same: neither is trained on as wrong."""


@dataclass
class Table:
    """Judgements as rows, all arrays in parallel."""

    evidence: NDArray[np.float32]
    label: NDArray[np.bool_]
    query: NDArray[np.int32]
    """Row of ``queries``."""
    candidate: list[str]
    """edit_ids."""
    ignore: NDArray[np.bool_]
    """Neither right nor wrong: not trained on."""
    queries: list[Query]
    corpus: list[str]
    group: NDArray[np.int32]
    """Of each query: connected subjects share a number."""
    recalled: NDArray[np.bool_]
    """Of each query: no edit governs it, or one that does is among its candidates."""
    asked: NDArray[np.int32]
    """Of each row, what the query asks without its subject: a row of ``keys``, or -1."""
    stated: NDArray[np.int32]
    """What the edit states, likewise."""
    keys: Keys
    """Of relations."""
    part: NDArray[np.int32]
    """Of each row, the part of a long text that it judges; 0 for a short one."""


def word_weights(folder: Path) -> dict[str, float]:
    """Inverse document frequencies over the running-text files, in nats; a document is a sentence or paragraph."""
    texts = [r["Text"] for r in rows_of(folder / "text_me_ppl.jsonl")]
    texts += [s for r in rows_of(folder / "text_wikitext2_valid.jsonl") for s in r["text"].split(" . ")]
    texts += [r["question"] for r in rows_of(folder / "probe_gsm8k_test.jsonl")]
    texts += [r["goal"] for r in rows_of(folder / "probe_piqa_valid.jsonl")]
    seen = Counter(word for text in texts for word in set(read(text).words))
    return {w: round(float(np.log(len(texts) / n)), 3) for w, n in sorted(seen.items()) if n >= 4 and w.isalpha()}


def word_vectors(words: Sequence[str], encoder: Encoder) -> NDArray[np.int8]:
    """Directions of the words' keys within the 48 dimensions in which they differ most; shape (words, 48)."""
    keys = encoder.encode(words).astype(np.float64)
    keys -= keys.mean(0)
    _, axes = np.linalg.eigh(keys.T @ keys)
    axes = axes[:, ::-1][:, :_WORD_DIMENSIONS]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    short = keys @ axes
    return np.round(127 * short / np.abs(short).max(1, keepdims=True)).astype(np.int8)


@dataclass
class _Gathered:
    """Evidence on the queries of one corpus."""

    rows: NDArray[np.float32]
    count: NDArray[np.int32]
    """Rows of each query."""
    candidate: list[str]
    """edit_id of each row."""
    asked: list[str]
    """Of each row, what the query asks without its subject; empty where that was not found."""
    stated: list[str]
    """What the edit states, likewise."""
    part: NDArray[np.int32]
    recalled: NDArray[np.bool_]
    """Of each query: no edit governs it, or one that does is among its candidates."""


def tabulate(
    corpora: Sequence[Corpus], encoder: RememberingEncoder, weights: Weights, cache: Path | None = None
) -> Table:
    """Put each corpus into a memory of its own, recall, and gather the evidence; ``cache`` keeps it."""
    parts: list[_Gathered] = []
    queries: list[Query] = []
    names: list[str] = []
    ignore: list[bool] = []
    groups = _Groups()
    about: list[str] = []
    asked: list[str] = []
    stated: list[str] = []
    by_origin: dict[str, list[Corpus]] = defaultdict(list)
    for corpus in corpora:
        by_origin[corpus.origin].append(corpus)
    for origin, mine in by_origin.items():
        gathered = _gather(mine, encoder, weights, cache)
        encoder.save()
        for corpus, part in zip(mine, gathered, strict=True):
            parts.append(part)
            asked += part.asked
            stated += part.stated
            relations = {e.edit_id: read_edit(e).relation for e in corpus.edits}
            relation_key = dict(zip(relations, encoder.encode(list(relations.values())), strict=True))
            subject_of = {e.edit_id: key_of(e.subject) or f"fact {e.statement}" for e in corpus.edits}
            _join_near_duplicates(corpus, encoder, subject_of, groups)
            first = 0
            for q, count in zip(corpus.queries, part.count.tolist(), strict=True):
                ids, rows = part.candidate[first : first + count], part.rows[first : first + count]
                first += count
                queries.append(q)
                names.append(corpus.name)
                golds = [relation_key[g] for g in q.edit_ids]
                gold_subjects = {subject_of[g] for g in q.edit_ids}
                ignore += [
                    i not in q.edit_ids
                    and subject_of[i] in gold_subjects
                    and any(float(relation_key[i] @ g) >= _SAME_QUESTION for g in golds)
                    for i in ids
                ]
                if q.about:
                    about.append(key_of(q.about))
                elif ids and not groups.knows(f"text {q.text}"):
                    exact = np.nan_to_num(rows[:, COLUMN["subject_exact"]]) + rows[:, COLUMN["cos_statement"]]
                    about.append(subject_of[ids[int(exact.argmax())]])
                else:
                    # Asked of another memory before: what is nearest there and here have nothing to do with each other.
                    about.append(f"text {q.text}")
                groups.join(about[-1], f"text {q.text}")
                for g in gold_subjects:
                    groups.join(about[-1], g)
        _log.info("%s: %d memories, %d queries so far", origin, len(mine), len(queries))
    texts = {text: row for row, text in enumerate(dict.fromkeys(filter(None, (*asked, *stated))))}
    keys = encoder.encode(list(texts))
    encoder.save()
    query = np.repeat(np.arange(len(queries)), np.concatenate([part.count for part in parts])).astype(np.int32)
    candidate = [edit_id for part in parts for edit_id in part.candidate]
    label = np.array([i in queries[q].edit_ids for i, q in zip(candidate, query.tolist(), strict=True)])
    piece = np.concatenate([part.part for part in parts])
    in_pieces = np.zeros(len(queries), bool)
    in_pieces[query[piece > 0]] = True
    return Table(
        np.concatenate([part.rows for part in parts]),
        label,
        query,
        candidate,
        # Which piece of a text asks for the edit is not known.
        np.array(ignore) | label & in_pieces[query],
        queries,
        names,
        np.array([groups.number(a) for a in about], np.int32),
        np.concatenate([part.recalled for part in parts]),
        np.array([texts.get(text, -1) for text in asked], np.int32),
        np.array([texts.get(text, -1) for text in stated], np.int32),
        keys,
        piece,
    )


def _gather(corpora: Sequence[Corpus], encoder: Encoder, weights: Weights, cache: Path | None) -> list[_Gathered]:
    file = None
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        file = cache / f"evidence-{_digest(corpora, encoder, weights)}.npz"
        if file.is_file():
            return _read_gathered(file, len(corpora))
    gathered = [_gather_one(corpus, encoder, weights) for corpus in corpora]
    if file is not None:
        arrays: dict[str, Any] = {}
        for number, part in enumerate(gathered):
            arrays |= {
                f"{number}.rows": part.rows,
                f"{number}.count": part.count,
                f"{number}.recalled": part.recalled,
                f"{number}.part": part.part,
                **{
                    f"{number}.{name}": np.frombuffer("\0".join(texts).encode("utf-8", "surrogatepass"), np.uint8)
                    for name, texts in (("candidate", part.candidate), ("asked", part.asked), ("stated", part.stated))
                },
            }
        aside = file.with_suffix(".part.npz")
        np.savez(aside, **arrays)
        aside.replace(file)
    return gathered


def _read_gathered(file: Path, count: int) -> list[_Gathered]:
    with np.load(file) as arrays:

        def texts(n: int, name: str) -> list[str]:
            if not len(arrays[f"{n}.rows"]):
                return []
            return arrays[f"{n}.{name}"].tobytes().decode("utf-8", "surrogatepass").split("\0")

        return [
            _Gathered(
                arrays[f"{n}.rows"],
                arrays[f"{n}.count"],
                texts(n, "candidate"),
                texts(n, "asked"),
                texts(n, "stated"),
                arrays[f"{n}.part"],
                arrays[f"{n}.recalled"],
            )
            for n in range(count)
        ]


def _digest(corpora: Sequence[Corpus], encoder: Encoder, weights: Weights) -> str:
    """Of all that the evidence depends on: texts, encoder, word weights and the code that gathers it."""
    digest = hashlib.sha256(encoder.fingerprint.encode())
    for name in ("features", "pieces", "thesaurus", "compared", "pair", "recall"):
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    digest.update(json.dumps(weights.word_weights).encode() + weights.word_vectors.tobytes())
    for corpus in corpora:
        for e in corpus.edits:
            digest.update(repr((e.edit_id, e.statement, e.prompt, e.subject, e.target_new, e.aliases)).encode())
        for q in corpus.queries:
            digest.update(repr((q.text, sorted(q.edit_ids))).encode())
    return digest.hexdigest()[:20]


def _gather_one(corpus: Corpus, encoder: Encoder, weights: Weights) -> _Gathered:
    gather = EvidenceGatherer(encoder, weights)
    memory = cast(EditStore, BulkMemory(corpus.edits, encoder))
    evidence: list[NDArray[np.float32]] = []
    candidate: list[str] = []
    asked: list[str] = []
    stated: list[str] = []
    part: list[NDArray[np.int64]] = []
    recalled: list[bool] = []
    for start in range(0, len(corpus.queries), 512):
        batch = corpus.queries[start : start + 512]
        texts = [q.text for q in batch]
        found = recall(memory, encoder, texts)
        for q, cands, gathered in zip(batch, found, gather(texts, found), strict=True):
            evidence.append(gathered.evidence.astype(np.float32))
            candidate += [cands[o].edit.edit_id for o in gathered.owners]
            asked += gathered.asked
            stated += gathered.stated
            part.append(gathered.part)
            recalled.append(not q.edit_ids or any(c.edit.edit_id in q.edit_ids for c in cands))
        if start and start % 4096 == 0:
            _log.info("    %s: %d of %d queries", corpus.name, start, len(corpus.queries))
    return _Gathered(
        np.concatenate(evidence) if evidence else np.zeros((0, len(NAMES)), np.float32),
        np.array([len(rows) for rows in evidence], np.int32),
        candidate,
        asked,
        stated,
        np.concatenate(part).astype(np.int32) if part else np.zeros(0, np.int32),
        np.array(recalled, bool),
    )


class BulkMemory:
    """The reading side of an edit memory over matrices in main memory, for a hundred thousand questions in a row.

    It answers what ``recall`` asks of an ``EditStore`` as the store would, which a test holds.
    """

    def __init__(self, edits: Sequence[Edit], encoder: Encoder) -> None:
        self._edits = {e.edit_id: e for e in edits}
        self._ids = list(self._edits)
        self._row = {edit_id: row for row, edit_id in enumerate(self._ids)}
        self._keys = {
            "statement": encoder.encode([e.statement for e in edits]),
            "prompt": encoder.encode([e.prompt or e.statement for e in edits]),
        }
        self._named: dict[str, list[str]] = defaultdict(list)
        for e in edits:
            for name in names_of(e):
                self._named[name].append(e.edit_id)
        self._longest = max((len(name.split()) for name in self._named), default=0)

    def nearest(
        self, queries: Keys, k: int, *, namespace: str, kind: str, as_of: object = None, known_at: object = None
    ) -> list[list[Hit]]:
        scores = queries @ self._keys[kind].T
        k = min(k, len(self._ids))
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        found = []
        for row, columns in zip(scores, top, strict=True):
            ranked = sorted(columns.tolist(), key=lambda c, r=row: (-r[c], c))  # type: ignore[misc]
            found.append([Hit(self._ids[c], float(row[c])) for c in ranked])
        return found

    def similarities(
        self, queries: Keys, edit_ids: Sequence[Sequence[str]], *, namespace: str, kind: str
    ) -> list[list[float]]:
        keys = self._keys[kind]
        return [
            (keys[[self._row[i] for i in ids]] @ q).tolist() if ids else []
            for q, ids in zip(queries, edit_ids, strict=True)
        ]

    def mentioned(
        self,
        texts: Sequence[str],
        *,
        namespace: str,
        as_of: object = None,
        known_at: object = None,
        limit: int = 16,
    ) -> list[list[str]]:
        longest = min(self._longest, LONGEST_MENTION)
        return [
            list(dict.fromkeys(i for span in spans_of(text, longest) for i in self._named.get(span, ())))[:limit]
            for text in texts
        ]

    def get_many(self, edit_ids: Sequence[str], *, namespace: str) -> list[Edit]:
        return [self._edits[i] for i in edit_ids]


def _join_near_duplicates(corpus: Corpus, encoder: Encoder, subject_of: Mapping[str, str], groups: _Groups) -> None:
    keys = encoder.encode([e.statement for e in corpus.edits])
    for start in range(0, len(keys), 1024):
        near = np.argwhere(keys[start : start + 1024] @ keys.T >= _NEAR_DUPLICATE)
        for i, j in near.tolist():
            if start + i < j:
                groups.join(subject_of[corpus.edits[start + i].edit_id], subject_of[corpus.edits[j].edit_id])


class _Groups:
    """Union-find over names."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._number: dict[str, int] = {}

    def knows(self, name: str) -> bool:
        return name in self._parent

    def find(self, name: str) -> str:
        self._parent.setdefault(name, name)
        root = name
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[name] != root:
            self._parent[name], name = root, self._parent[name]
        return root

    def join(self, one: str, other: str) -> None:
        a, b = sorted((self.find(one), self.find(other)))
        self._parent[b] = a

    def number(self, name: str) -> int:
        return self._number.setdefault(self.find(name), len(self._number))


def folds_of(group: NDArray[np.int32], *, seed: int) -> NDArray[np.int8]:
    """Return a fold in [0, FOLDS) for each query: groups whole, largest first into the emptiest fold."""
    sizes = Counter(group.tolist())
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda g: -sizes[g] if sizes[g] > 50 else 0)
    load = [0] * FOLDS
    fold_of = {}
    for g in order:
        fold = min(range(FOLDS), key=lambda k: load[k])
        fold_of[g] = fold
        load[fold] += sizes[g]
    return np.array([fold_of[g] for g in group.tolist()], np.int8)


def query_weights(queries: Sequence[Query]) -> NDArray[np.float64]:
    """Of each query in training: no (family, kind) drowns another, what people wrote counts twice what was made from
    it, and the mean is 1."""
    size: dict[tuple[str, str, bool], float] = defaultdict(float)
    for q in queries:
        size[q.family, q.kind, q.generated] += q.weight
    weights = np.array([q.weight * (2 - q.generated) * size[q.family, q.kind, q.generated] ** -0.5 for q in queries])
    return weights / weights.mean()


@dataclass(frozen=True)
class Grown:
    """What is learnt from one set of rows."""

    trees: Trees
    space: RelationSpace | None
    dense: bool = True
    """Whether there is evidence from keys."""


def grow(
    table: Table, rows: NDArray[np.bool_], row_weight: NDArray[np.float64], *, seed: int, dense: bool = True
) -> Grown:
    """Learn a space of relations and boost trees on the chosen rows: the mean of an ensemble that is free and one that
    is bound by MORE and LESS.

    The free one fits what it has seen better, the bound one what it has not. A row's nearness comes from a space that
    was learnt from other subjects, as it will for a question that is asked; their wordings may be the same.
    """
    label, weight = table.label[rows], row_weight[rows]
    space = None
    if dense:
        space = space_of(table, rows, row_weight, seed=seed)
        near = np.full(len(table.label), np.nan)
        part = table.group[table.query] % _INNER_FOLDS
        # A row that is not learnt from may still be the rival of one that is.
        asked = np.zeros(len(table.queries), bool)
        asked[table.query[rows]] = True
        for number in range(_INNER_FOLDS):
            others = space_of(table, rows & (part != number), row_weight, seed=seed)
            mine = asked[table.query] & (part == number)
            near[mine] = near_relation(others, table, mine)
        evidence = with_nearness(table, near)[rows]
    else:
        evidence = table.evidence[rows].astype(np.float64)
        evidence[:, [COLUMN[n] for n in DENSE]] = 0.0
    trees = Trees.mean([boosted(evidence, label, weight, bound=bound, seed=seed) for bound in (False, True)])
    return Grown(trees, space, dense)


def space_of(
    table: Table, rows: NDArray[np.bool_], row_weight: NDArray[np.float64], *, seed: int
) -> RelationSpace | None:
    """Learn from the chosen rows whose subjects are the same which relations are; None where there are too few."""
    same_name = table.evidence[:, COLUMN["subject_coverage"]] * table.evidence[:, COLUMN["subject_precision"]]
    paired = rows & (table.asked >= 0) & (table.stated >= 0) & (table.label | (np.nan_to_num(same_name) >= _SAME_NAME))
    label = table.label[paired]
    if min(label.sum(), (~label).sum()) < 2:
        return None
    return learn(table.keys, table.asked[paired], table.stated[paired], label, row_weight[paired], seed=seed)


def near_relation(space: RelationSpace | None, table: Table, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Nearness of what is asked and what is stated, of the chosen rows; NaN where it is not known."""
    near = np.full(int(rows.sum()), np.nan)
    asked, stated = table.asked[rows], table.stated[rows]
    known = (asked >= 0) & (stated >= 0)
    if space is not None and known.any():
        near[known] = space.near(table.keys[asked[known]], table.keys[stated[known]])
    return near


def with_nearness(table: Table, near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the evidence, shape (rows, len(NAMES)), its two columns of nearness filled as a decision fills them."""
    evidence = table.evidence.astype(np.float64)
    evidence[:, COLUMN["near_relation"]] = np.round(near, 5)
    first = np.flatnonzero(np.r_[True, (np.diff(table.query) != 0) | (np.diff(table.part) != 0)])
    count = np.diff(np.r_[first, len(near)])
    value = np.where(np.isnan(near), -1.0, near)
    best = np.repeat(np.maximum.reduceat(value, first), count)
    below = np.repeat(np.maximum.reduceat(np.where(value == best, -np.inf, value), first), count)
    shared = np.repeat(np.add.reduceat((value == best).astype(int), first), count) > 1
    rival = np.where((value == best) & ~shared, below, best)
    alone = np.repeat(count, count) == 1
    evidence[:, COLUMN["rival_near_relation"]] = np.where(alone, np.nan, np.round(value - rival, 5))
    return evidence


def boosted(
    evidence: NDArray[np.float64], label: NDArray[np.bool_], weight: NDArray[np.float64], *, bound: bool, seed: int
) -> Trees:
    """Boost trees; ``bound``: by MORE and LESS."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    # The library cannot bin a column without values.
    evidence = np.where(np.isnan(evidence).all(0), 0.0, evidence)
    model = HistGradientBoostingClassifier(
        max_iter=_TREES[bound],
        learning_rate=0.15,
        max_leaf_nodes=24,
        min_samples_leaf=40,
        l2_regularization=5.0,
        early_stopping=False,
        monotonic_cst=[int(n in MORE) - int(n in LESS) if bound else 0 for n in NAMES],
        random_state=seed,
    )
    model.fit(evidence, label, sample_weight=weight)
    return Trees.from_sklearn(model)


def margins_of(grown: Grown, table: Table, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log-odds of the chosen rows, which come as whole queries."""
    if not grown.dense:
        evidence = table.evidence[rows].astype(np.float64)
        evidence[:, [COLUMN[n] for n in DENSE]] = np.nan
    else:
        near = np.full(len(table.label), np.nan)
        near[rows] = near_relation(grown.space, table, rows)
        evidence = with_nearness(table, near)[rows]
    return np.concatenate([grown.trees.margins(evidence[i : i + 4096]) for i in range(0, len(evidence), 4096)])


def calibrated(margins: NDArray[np.float64], label: NDArray[np.bool_], weight: NDArray[np.float64]) -> tuple[Any, Any]:
    """Corners of the isotonic curve from log-odds to probability, thinned to at most 200."""
    from sklearn.isotonic import IsotonicRegression

    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(margins, label, sample_weight=weight)
    x, y = curve.X_thresholds_, curve.y_thresholds_
    # A curve with steps would make unequal margins equal: join the middles of the steps.
    edges = np.flatnonzero(np.diff(y) > 0)
    starts, ends = np.r_[0, edges + 1], np.r_[edges, len(x) - 1]
    x, y = (x[starts] + x[ends]) / 2, y[starts]
    if len(x) > 200:
        at = np.unique(np.linspace(0, len(x) - 1, 200).astype(int))
        x, y = x[at], y[at]
    return x.astype(np.float64), y.astype(np.float64)


@dataclass(frozen=True)
class Figures:
    """Shares of right decisions by kind, and their means."""

    hm: float
    kinds: dict[str, float]
    by_family: dict[str, dict[str, float]]

    def __str__(self) -> str:
        kinds = " ".join(f"{k} {v:.3f}" for k, v in self.kinds.items())
        return f"HM {self.hm:.4f} | {kinds}"


def figures(
    table: Table, probability: NDArray[np.float64], threshold: NDArray[np.float64] | float, chosen: NDArray[np.bool_]
) -> Figures:
    """Score the chosen queries as the scope benchmark does: the top decided edit counts."""
    limit = np.broadcast_to(np.asarray(threshold, np.float64), len(table.queries))
    fires = np.flatnonzero(chosen[table.query] & (probability >= limit[table.query]))
    top: dict[int, int] = {}
    for row in fires[np.argsort(-probability[fires], kind="stable")].tolist():
        top.setdefault(int(table.query[row]), row)
    right: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for i in np.flatnonzero(chosen).tolist():
        q = table.queries[i]
        decided = table.candidate[top[i]] if i in top else None
        right[q.family, q.kind].append(decided in q.edit_ids if q.edit_ids else decided is None)
    pooled: dict[str, list[bool]] = defaultdict(list)
    for (_, kind), values in right.items():
        pooled[kind] += values
    kinds = {k: float(np.mean(pooled[k])) for k in (*IN_KINDS, *OUT_KINDS) if k in pooled}
    inside = np.mean([v for k, v in kinds.items() if k in IN_KINDS])
    outside = np.mean([v for k, v in kinds.items() if k in OUT_KINDS])
    by_family: dict[str, dict[str, float]] = defaultdict(dict)
    for (family, kind), values in sorted(right.items()):
        by_family[family][kind] = round(float(np.mean(values)), 4)
    return Figures(float(2 * inside * outside / (inside + outside)), kinds, dict(by_family))


def train(
    folder: Path, encoder: RememberingEncoder, *, seed: int = 0, families: bool = True, cache: Path | None = None
) -> Weights:
    """Make the weights; the log has the cross-fitted and the left-out figures."""
    started = time.monotonic()
    words = word_weights(folder)
    blank = Weights({}, words, encoder.fingerprint, word_vectors=word_vectors(sorted(words), encoder))
    table = tabulate(all_corpora(folder, seed=seed), encoder, blank, cache)
    _log.info("evidence gathered after %.0f s: %d rows", time.monotonic() - started, len(table.label))
    return fit(table, blank, folder, seed=seed, families=families)


def fit(table: Table, blank: Weights, folder: Path, *, seed: int = 0, families: bool = True) -> Weights:
    """Grow, calibrate and measure on a table of evidence."""
    queries = table.queries
    fold = folds_of(table.group, seed=seed)
    kept: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for name in kept_back_subjects(folder):
        kept[name.split()[0]].append(tuple(name.split()))
    allowed = np.array(
        [q.kind in (*IN_KINDS, *OUT_KINDS) and not _mentions(f"{q.text} | {q.about}", kept) for q in queries]
    )
    weight_of_query = query_weights(queries)
    row_weight = weight_of_query[table.query]
    # Most candidates are far away and teach nothing more: a tenth of those is enough.
    rng = np.random.default_rng(seed)
    near = np.nan_to_num(table.evidence[:, COLUMN["subject_coverage"]], nan=1.0) > 0.3
    near |= np.nan_to_num(table.evidence[:, COLUMN["cos_statement"]]) > 0.5
    used = (near | table.label | (rng.random(len(near)) < 0.1)) & ~table.ignore & allowed[table.query]
    _log.info("%d of %d queries may be trained on; %d rows", allowed.sum(), len(allowed), used.sum())
    fold_of_row = fold[table.query]
    family = [set(q.family.split("+")) for q in queries]
    given = np.array(
        [
            not q.generated and c == "scope" and q.kind in (*IN_KINDS, *OUT_KINDS)
            for q, c in zip(queries, table.corpus, strict=True)
        ]
    )

    margins = np.zeros(len(table.label))
    grown: dict[str, Grown] = {}
    for k in range(FOLDS):
        grown[f"fold{k}"] = grow(table, used & (fold_of_row != k), row_weight, seed=seed)
        out = fold_of_row == k
        margins[out] = margins_of(grown[f"fold{k}"], table, out)
        _log.info("fold %d grown", k)
    judges = {}
    kind_weight = _equal_kinds(table, weight_of_query)
    threshold = np.zeros(len(queries))
    probability = np.zeros(len(table.label))
    for k in range(FOLDS):
        others = fold_of_row != k
        judges[f"fold{k}"] = _judge(grown[f"fold{k}"], table, margins, others, kind_weight, given & (fold != k))
        threshold[fold == k] = judges[f"fold{k}"].threshold
        probability[~others] = judges[f"fold{k}"].probability(margins[~others])
    cross = figures(table, probability, threshold, given)
    _log.info("cross-fitted by subject: %s", cross)
    for name, kinds in cross.by_family.items():
        _log.info("    %-18s %s", name, kinds)
    measured = calibration(table, probability, given)
    _log.info("calibration: %s", measured)
    counted = np.isin([q.kind for q in queries], (*IN_KINDS, *OUT_KINDS))
    for origin in ("everyday", "small-everyday", "pocket", "small-pocket"):
        mine = np.array([name.startswith(origin) for name in table.corpus]) & counted
        if mine.any():
            _log.info("%s, cross-fitted: %s", origin, figures(table, probability, threshold, mine))
    final = grow(table, used, row_weight, seed=seed)
    judges[FINAL] = _judge(final, table, margins, np.ones(len(margins), bool), kind_weight, given)
    learnt = margins_of(final, table, given[table.query])
    seen_rows = np.zeros(len(margins))
    seen_rows[given[table.query]] = judges[FINAL].probability(learnt)
    on_training = figures(table, seen_rows, judges[FINAL].threshold, given)
    _log.info("on the rows it was trained on: %s", on_training)
    out = fold_of_row < 2
    lexical = np.full(len(margins), -np.inf)
    lexical[out] = margins_of(grow(table, used & ~out, row_weight, seed=seed, dense=False), table, out)
    judges[LEXICAL] = _judge(
        grow(table, used, row_weight, seed=seed, dense=False), table, lexical, out, kind_weight, given & (fold < 2)
    )
    p = np.where(out, judges[LEXICAL].probability(lexical), 0)
    _log.info("without keys, left-out folds: %s", figures(table, p, judges[LEXICAL].threshold, given & (fold < 2)))
    facts: dict[str, Any] = {
        "seed": seed,
        "folds": FOLDS,
        "cross_fitted": {"hm": cross.hm, "kinds": cross.kinds},
        "on_training_rows": {"hm": on_training.hm, "kinds": on_training.kinds},
        "calibration": measured,
    }
    if families:
        left_out = np.zeros(len(table.label))
        of_families = np.array([bool(f & set(FAMILIES)) for f in family]) & given
        for name in FAMILIES:
            without = np.array([name in f for f in family])[table.query]
            asked = without & of_families[table.query]
            left_out[asked] = margins_of(grow(table, used & ~without, row_weight, seed=seed), table, asked)
            _log.info("family %s left out", name)
        p = judges[FINAL].probability(left_out)
        for limit in sorted({round(judges[FINAL].threshold, 3), 0.3, 0.4, 0.5, 0.6}):
            _log.info("families left out, threshold %.3f: %s", limit, figures(table, p, limit, of_families))
        held = figures(table, p, judges[FINAL].threshold, of_families)
        facts["families_left_out"] = {"hm": held.hm, "kinds": held.kinds, "families": held.by_family}
        facts["families_left_out_false_fire_at_0.01"] = budgeted(table, p, family, of_families, seed=seed)
        _log.info("a budget of 1 %%, families left out: %s", facts["families_left_out_false_fire_at_0.01"])
        for name, kinds in held.by_family.items():
            _log.info("    %-18s %s", name, kinds)
    facts["recalled"] = {
        k: round(float(table.recalled[np.array([q.kind == k for q in queries]) & given].mean()), 4) for k in IN_KINDS
    }
    _log.info("recalled: %s", facts["recalled"])
    hashes = np.array([query_hash(q.text) for q in queries], np.uint64)
    order = np.unique(hashes, return_index=True)[1]
    return Weights(
        judges,
        blank.word_weights,
        blank.encoder,
        facts,
        hashes[order],
        fold[order].astype(np.uint8),
        blank.word_vectors,
    )


def _judge(
    grown: Grown,
    table: Table,
    margins: NDArray[np.float64],
    rows: NDArray[np.bool_],
    weight: NDArray[np.float64],
    tuned_on: NDArray[np.bool_],
) -> Judge:
    """Calibrate on left-out margins of the given rows and choose the threshold on the queries ``tuned_on``."""
    sure = rows & ~table.ignore & (weight > 0)
    x, y = calibrated(margins[sure], table.label[sure], weight[sure])
    p = np.interp(np.where(rows, margins, -1e9), x, y)
    hm = {t: figures(table, p, t, tuned_on).hm for t in _THRESHOLDS}
    best = max(hm.values())
    threshold = min((t for t in hm if hm[t] >= best - _NO_WORSE), key=lambda t: (abs(t - 0.5), t))
    _log.info("threshold %.3f, HM %.4f where it was chosen; the best there %.4f", threshold, hm[threshold], best)
    return Judge(grown.trees, x, y, threshold, grown.space)


def calibration(table: Table, probability: NDArray[np.float64], chosen: NDArray[np.bool_]) -> dict[str, float]:
    """``reliability`` of each chosen query's most probable candidate."""
    top = _tops(table, probability, chosen)
    return reliability(probability[top], table.label[top], [table.queries[q].kind for q in table.query[top]])


def _tops(table: Table, probability: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The row of each chosen query's most probable candidate."""
    order = np.lexsort((-probability, table.query))
    order = order[chosen[table.query[order]]]
    if not len(order):
        return order
    return order[np.r_[True, np.diff(table.query[order]) != 0]]


def budgeted(
    table: Table,
    probability: NDArray[np.float64],
    family: Sequence[set[str]],
    chosen: NDArray[np.bool_],
    *,
    seed: int,
    budget: float = 0.01,
    labelled: int = 200,
    draws: int = 20,
) -> dict[str, Any]:
    """What a budget of false fires comes to on families never seen: by the others' threshold, and by one of their own.

    Args:
        probability: of each row, by trees that never saw its family.
        labelled: queries of the family that set its own threshold: that of the most probable one out of scope among
            them, or, of ``n`` of them, of number ``budget * (n + 1)``. Measured on the rest; the mean over ``draws``.
    """
    top = _tops(table, probability, chosen)
    p, queries = probability[top], table.query[top]
    silent = np.array([not table.queries[q].edit_ids for q in queries])
    found = {}
    for name in FAMILIES:
        mine = np.array([name in family[q] for q in queries])
        if not (mine & silent).any() or not (~mine & silent).any():
            continue
        others = float(np.quantile(p[~mine & silent], 1 - budget))
        rng = np.random.default_rng(seed)
        shares = []
        for _ in range(draws):
            drawn = np.isin(np.arange(len(p)), rng.choice(np.flatnonzero(mine), min(labelled, mine.sum()), False))
            out = np.sort(p[drawn & silent])[::-1]
            limit = out[max(int(budget * (len(out) + 1)) - 1, 0)] if len(out) else others
            rest = mine & silent & ~drawn
            if rest.any():
                shares.append(float((p[rest] > limit).mean()))
        found[name] = {
            "out_of_scope": int((mine & silent).sum()),
            "others_threshold": round(float((p[mine & silent] > others).mean()), 5),
            "own_threshold": round(float(np.mean(shares)), 5) if shares else None,
        }
    return found


def _equal_kinds(table: Table, weight_of_query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row weights under which every counted kind weighs the same."""
    kinds = np.array([q.kind for q in table.queries])
    weights = np.zeros(len(kinds))
    for kind in (*IN_KINDS, *OUT_KINDS):
        mine = kinds == kind
        weights[mine] = weight_of_query[mine] / max(weight_of_query[mine].sum(), 1e-9)
    return weights[table.query] * len(kinds)


def _mentions(text: str, names: Mapping[str, Sequence[tuple[str, ...]]]) -> bool:
    """Whether the text holds one of the names, which are listed by their first word."""
    words = read(text).words
    return any(words[i : i + len(name)] == name for i, word in enumerate(words) for name in names.get(word, ()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write the weights file."""
    parser = argparse.ArgumentParser(prog="python -m scr.scope.train", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the benchmark files")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="weights file to write")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep gathered evidence here, for the next training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-families", action="store_true", help="skip the figures with a family left out")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    encoder = RememberingEncoder(load_encoder(), given.cache)
    weights = train(given.data, encoder, seed=given.seed, families=not given.no_families, cache=given.cache)
    weights.save(given.out)
    digest = hashlib.sha256(given.out.read_bytes()).hexdigest()
    _log.info("wrote %s: %d bytes, sha256 %s", given.out, given.out.stat().st_size, digest[:16])


class RememberingEncoder:
    """An encoder that encodes each text once: training meets the same text in many judgements.

    A key differs by float noise with the texts it was encoded among. Every key is made once, and kept with the folder's
    other evidence, so that a training that was interrupted, or repeated after a change, meets the same keys.
    """

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self._encoder = encoder
        self._row: dict[str, int] = {}
        self._keys = np.zeros((0, encoder.d_key), np.float32)
        self._file = None
        self._kept = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = folder / f"keys-{hashlib.sha256(encoder.fingerprint.encode()).hexdigest()[:12]}.npz"
            if self._file.is_file():
                with np.load(self._file) as kept:
                    self._keys = kept["keys"]
                    texts = kept["texts"].tobytes().decode("utf-8", "surrogatepass").split("\0")
                self._row = {text: row for row, text in enumerate(texts)}
                self._kept = len(texts)

    @property
    def fingerprint(self) -> str:
        return self._encoder.fingerprint

    @property
    def d_key(self) -> int:
        return self._encoder.d_key

    def encode(self, texts: Sequence[str]) -> Keys:
        new = [t for t in dict.fromkeys(texts) if t not in self._row]
        if new:
            first = len(self._row)
            if first + len(new) > len(self._keys):
                room = np.zeros((2 * (first + len(new)), self.d_key), np.float32)
                room[:first] = self._keys[:first]
                self._keys = room
            self._keys[first : first + len(new)] = self._encoder.encode(new)
            self._row.update((t, first + i) for i, t in enumerate(new))
        return self._keys[[self._row[t] for t in texts]]

    def save(self) -> None:
        """Write all keys to the folder, where there is one."""
        if self._file is None or len(self._row) == self._kept:
            return
        if any("\0" in text for text in self._row):
            raise ConfigError("a text holds a NUL character, which parts the texts of the key cache")
        texts = np.frombuffer("\0".join(self._row).encode("utf-8", "surrogatepass"), np.uint8)
        aside = self._file.with_suffix(".part.npz")
        np.savez(aside, keys=self._keys[: len(self._row)], texts=texts)
        aside.replace(self._file)
        self._kept = len(self._row)


if __name__ == "__main__":
    main()
