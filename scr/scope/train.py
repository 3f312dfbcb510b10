"""How are the pair classifier's weights made? ``python -m scr.scope.train --data DIR [--out FILE]``.

Rows: every query of every corpus against the candidates that recall gives it. Folds: five, by connected subjects (same
subject or near-duplicate statement in one fold), so that what is measured was never trained on. Calibration and
threshold come from the left-out predictions. Needs scikit-learn, which comes with sentence-transformers.
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
from memory_store.identity import names_of, spans_of
from memory_store.store import LONGEST_MENTION, EditStore
from scr.encoder import load_encoder
from scr.protocols import Encoder, Keys
from scr.scope.features import COLUMN, DENSE, read, read_edit
from scr.scope.pair import EvidenceGatherer
from scr.scope.recall import recall
from scr.scope.training_data import IN_KINDS, OUT_KINDS, Corpus, Query, all_corpora, kept_back_subjects, key_of, rows_of
from scr.scope.trees import Trees
from scr.scope.weights import FINAL, LEXICAL, SHIPPED, Judge, Weights, query_hash

_log = logging.getLogger("scr.scope.train")

FOLDS = 5
FAMILIES = ("counterfact", "wiki_counterfact", "halluedit", "qaedit", "zsre", "gsm8k", "me_ppl")
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


def word_weights(folder: Path) -> dict[str, float]:
    """Inverse document frequencies over the running-text files, in nats; a document is a sentence or paragraph."""
    texts = [r["Text"] for r in rows_of(folder / "text_me_ppl.jsonl")]
    texts += [s for r in rows_of(folder / "text_wikitext2_valid.jsonl") for s in r["text"].split(" . ")]
    texts += [r["question"] for r in rows_of(folder / "probe_gsm8k_test.jsonl")]
    texts += [r["goal"] for r in rows_of(folder / "probe_piqa_valid.jsonl")]
    seen = Counter(word for text in texts for word in set(read(text).words))
    return {w: round(float(np.log(len(texts) / n)), 3) for w, n in sorted(seen.items()) if n >= 8 and w.isalpha()}


def tabulate(corpora: Sequence[Corpus], encoder: Encoder, weights: Weights) -> Table:
    """Put each corpus into a memory of its own, recall, and gather the evidence."""
    evidence, label, query, candidate, ignore = [], [], [], [], []
    queries: list[Query] = []
    names: list[str] = []
    recalled: list[bool] = []
    groups = _Groups()
    about: list[str] = []
    for corpus in corpora:
        gather = EvidenceGatherer(encoder, weights)
        memory = cast(EditStore, BulkMemory(corpus.edits, encoder))
        relations = {e.edit_id: read_edit(e) for e in corpus.edits}
        relation_key = dict(zip(relations, encoder.encode([r.relation for r in relations.values()]), strict=True))
        subject_of = {e.edit_id: key_of(e.subject) or f"fact {e.statement}" for e in corpus.edits}
        _join_near_duplicates(corpus, encoder, subject_of, groups)
        for start in range(0, len(corpus.queries), 512):
            batch = corpus.queries[start : start + 512]
            texts = [q.text for q in batch]
            found = recall(memory, encoder, texts)
            for q, cands, (rows, owners) in zip(batch, found, gather(texts, found), strict=True):
                number = len(queries)
                queries.append(q)
                names.append(corpus.name)
                ids = [cands[o].edit.edit_id for o in owners]
                right = [i in q.edit_ids for i in ids]
                evidence.append(rows.astype(np.float32))
                label += right
                query += [number] * len(ids)
                candidate += ids
                golds = [relation_key[g] for g in q.edit_ids]
                gold_subjects = {subject_of[g] for g in q.edit_ids}
                ignore += [
                    not r
                    and subject_of[i] in gold_subjects
                    and any(float(relation_key[i] @ g) >= _SAME_QUESTION for g in golds)
                    for i, r in zip(ids, right, strict=True)
                ]
                recalled.append(not q.edit_ids or any(c.edit.edit_id in q.edit_ids for c in cands))
                if q.about:
                    about.append(key_of(q.about))
                elif ids:
                    exact = np.nan_to_num(rows[:, COLUMN["subject_exact"]]) + rows[:, COLUMN["cos_statement"]]
                    about.append(subject_of[ids[int(exact.argmax())]])
                else:
                    about.append(f"text {q.text}")
                groups.join(about[-1], f"text {q.text}")
                for g in gold_subjects:
                    groups.join(about[-1], g)
        if len(corpus.edits) < 100:
            continue
        _log.info(
            "%s: %d edits, %d queries, %d rows so far", corpus.name, len(corpus.edits), len(corpus.queries), len(label)
        )
    return Table(
        np.concatenate(evidence),
        np.array(label),
        np.array(query, np.int32),
        candidate,
        np.array(ignore),
        queries,
        names,
        np.array([groups.number(a) for a in about], np.int32),
        np.array(recalled),
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

    def nearest(self, queries: Keys, k: int, *, namespace: str, kind: str, as_of: object = None) -> list[list[Hit]]:
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
        self, texts: Sequence[str], *, namespace: str, as_of: object = None, limit: int = 16
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
    """Of each query in training: no (family, kind) drowns another; the mean is 1."""
    size: dict[tuple[str, str, bool], float] = defaultdict(float)
    for q in queries:
        size[q.family, q.kind, q.generated] += q.weight
    weights = np.array([q.weight * size[q.family, q.kind, q.generated] ** -0.5 for q in queries])
    return weights / weights.mean()


def grow(
    table: Table, rows: NDArray[np.bool_], row_weight: NDArray[np.float64], *, seed: int, dense: bool = True
) -> Trees:
    """Boost trees on the chosen rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    evidence = table.evidence[rows].astype(np.float64)
    if not dense:
        evidence[:, [COLUMN[n] for n in DENSE]] = 0.0
    unknown = np.isnan(evidence).all(0)
    evidence[:, unknown] = 0.0  # the library cannot bin a column without values
    model = HistGradientBoostingClassifier(
        max_iter=200,
        learning_rate=0.1,
        max_leaf_nodes=24,
        min_samples_leaf=40,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )
    model.fit(evidence, table.label[rows], sample_weight=row_weight[rows])
    return Trees.from_sklearn(model)


def margins_of(trees: Trees, table: Table, rows: NDArray[np.bool_], *, dense: bool = True) -> NDArray[np.float64]:
    """Log-odds of the chosen rows."""
    evidence = table.evidence[rows].astype(np.float64)
    if not dense:
        evidence[:, [COLUMN[n] for n in DENSE]] = np.nan
    return np.concatenate([trees.margins(evidence[i : i + 4096]) for i in range(0, len(evidence), 4096)])


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


def train(folder: Path, encoder: RememberingEncoder, *, seed: int = 0, families: bool = True) -> Weights:
    """Make the weights; the log has the cross-fitted and the left-out figures."""
    started = time.monotonic()
    blank = Weights({}, word_weights(folder), encoder.fingerprint)
    table = tabulate(all_corpora(folder, seed=seed), encoder, blank)
    encoder.save()
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
    # Most candidates are far away and teach nothing more: a quarter of those is enough.
    rng = np.random.default_rng(seed)
    near = np.nan_to_num(table.evidence[:, COLUMN["subject_coverage"]], nan=1.0) > 0.3
    near |= np.nan_to_num(table.evidence[:, COLUMN["cos_statement"]]) > 0.5
    used = (near | table.label | (rng.random(len(near)) < 0.25)) & ~table.ignore & allowed[table.query]
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
    trees: dict[str, Trees] = {}
    for k in range(FOLDS):
        trees[f"fold{k}"] = grow(table, used & (fold_of_row != k), row_weight, seed=seed)
        out = fold_of_row == k
        margins[out] = margins_of(trees[f"fold{k}"], table, out)
        _log.info("fold %d grown", k)
    judges = {}
    kind_weight = _equal_kinds(table, weight_of_query)
    threshold = np.zeros(len(queries))
    probability = np.zeros(len(table.label))
    for k in range(FOLDS):
        others = fold_of_row != k
        judges[f"fold{k}"] = _judge(trees[f"fold{k}"], table, margins, others, kind_weight, given & (fold != k))
        threshold[fold == k] = judges[f"fold{k}"].threshold
        probability[~others] = judges[f"fold{k}"].probability(margins[~others])
    cross = figures(table, probability, threshold, given)
    _log.info("cross-fitted by subject: %s", cross)
    for name, kinds in cross.by_family.items():
        _log.info("    %-18s %s", name, kinds)
    judges[FINAL] = _judge(
        grow(table, used, row_weight, seed=seed), table, margins, np.ones(len(margins), bool), kind_weight, given
    )
    out = fold_of_row < 2
    lexical = np.full(len(margins), -np.inf)
    lexical[out] = margins_of(grow(table, used & ~out, row_weight, seed=seed, dense=False), table, out, dense=False)
    judges[LEXICAL] = _judge(
        grow(table, used, row_weight, seed=seed, dense=False), table, lexical, out, kind_weight, given & (fold < 2)
    )
    p = np.where(out, judges[LEXICAL].probability(lexical), 0)
    _log.info("without keys, left-out folds: %s", figures(table, p, judges[LEXICAL].threshold, given & (fold < 2)))
    facts: dict[str, Any] = {"seed": seed, "folds": FOLDS, "cross_fitted": {"hm": cross.hm, "kinds": cross.kinds}}
    if families:
        left_out = np.zeros(len(table.label))
        for name in FAMILIES:
            mine = np.array([name in f for f in family])[table.query]
            if name == "me_ppl":
                continue
            if name == "gsm8k":
                mine |= np.array(["me_ppl" in f for f in family])[table.query]
            left_out[mine] = margins_of(grow(table, used & ~mine, row_weight, seed=seed), table, mine)
            _log.info("family %s left out", name)
        p = judges[FINAL].probability(left_out)
        for limit in sorted({round(judges[FINAL].threshold, 3), 0.3, 0.4, 0.5, 0.6}):
            _log.info("families left out, threshold %.3f: %s", limit, figures(table, p, limit, given))
        held = figures(table, p, judges[FINAL].threshold, given)
        facts["families_left_out"] = {"hm": held.hm, "kinds": held.kinds}
        for name, kinds in held.by_family.items():
            _log.info("    %-18s %s", name, kinds)
    facts["recalled"] = {
        k: round(float(table.recalled[np.array([q.kind == k for q in queries]) & given].mean()), 4) for k in IN_KINDS
    }
    _log.info("recalled: %s", facts["recalled"])
    hashes = np.array([query_hash(q.text) for q in queries], np.uint64)
    order = np.unique(hashes, return_index=True)[1]
    return Weights(judges, blank.word_weights, blank.encoder, facts, hashes[order], fold[order].astype(np.uint8))


def _judge(
    trees: Trees,
    table: Table,
    margins: NDArray[np.float64],
    rows: NDArray[np.bool_],
    weight: NDArray[np.float64],
    tuned_on: NDArray[np.bool_],
) -> Judge:
    """Calibrate and set the threshold on left-out margins of the given rows and queries."""
    sure = rows & ~table.ignore & (weight > 0)
    x, y = calibrated(margins[sure], table.label[sure], weight[sure])
    p = np.interp(np.where(rows, margins, -1e9), x, y)
    best = max((round(figures(table, p, t, tuned_on).hm, 4), -abs(t - 0.5), t) for t in np.arange(0.2, 0.81, 0.05))
    _log.info("threshold %.2f, HM %.4f where it was chosen", best[2], best[0])
    return Judge(trees, x, y, float(round(best[2], 2)))


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
    parser.add_argument("--remember", type=Path, metavar="FILE", help="keep keys of texts here, for the next training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-families", action="store_true", help="skip the figures with a family left out")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    encoder = RememberingEncoder(load_encoder(), given.remember)
    weights = train(given.data, encoder, seed=given.seed, families=not given.no_families)
    weights.save(given.out)
    digest = hashlib.sha256(given.out.read_bytes()).hexdigest()
    _log.info("wrote %s: %d bytes, sha256 %s", given.out, given.out.stat().st_size, digest[:16])


class RememberingEncoder:
    """An encoder that encodes each text once: training meets the same text in many judgements."""

    def __init__(self, encoder: Encoder, file: Path | None = None) -> None:
        """Begin with the keys in ``file``, where there is one; ``save`` writes it."""
        self._encoder = encoder
        self._file = file
        self._row: dict[str, int] = {}
        self._keys = np.zeros((0, encoder.d_key), np.float32)
        if file is not None and file.is_file():
            from safetensors.numpy import load_file

            known = load_file(str(file))
            self._row = {t: i for i, t in enumerate(json.loads(known["texts"].tobytes()))}
            self._keys = known["keys"]

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
        if self._file is not None:
            from safetensors.numpy import save_file

            texts = np.frombuffer(json.dumps(list(self._row)).encode(), np.uint8)
            save_file({"texts": texts, "keys": self._keys[: len(self._row)]}, str(self._file))


if __name__ == "__main__":
    main()
