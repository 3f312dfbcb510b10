"""How often does the scope decision fall on the right edit, or rightly on none?

All edits of a file stand in one memory. A query in scope counts when the top decided edit is one of its ``edit_ids``, a
query out of scope when none is decided. ``hm`` is the harmonic mean of the mean over kinds in scope and the mean over
kinds out of scope; kinds are pooled over sources before averaging. Weights are never scored on rows they were trained
on unless asked, and then the report says so.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from memory_store.identity import identity_of
from memory_store.store import EditStore
from scr.aliases import read_table, settled
from scr.calibration import interval, reliability
from scr.protocols import Candidate, Decision, Encoder, Keys, LanguageModel, ScopeClassifier
from scr.scope import DECIDERS, load_scope
from scr.scope.pair import PairClassifier
from scr.scope.recall import recall
from scr.scope.weights import FINAL, SHIPPED, Weights

SCHEMA = "scr.eval.scope/1"
IN_KINDS = ("prompt", "paraphrase", "alias_surface", "yes_no")
OUT_KINDS = ("same_subject", "neighbor", "unrelated")
WEIGHTS = ("cross-fitted", "shipped")
WeightsChoice = Literal["cross-fitted", "shipped"]
_BATCH = 256
_THRESHOLDS = tuple(round(0.05 * n, 2) for n in range(1, 20))


@dataclass(frozen=True, slots=True)
class ScopeQuery:
    """A labelled query of a scope benchmark."""

    text: str
    kind: str
    source: str
    edit_ids: frozenset[str]
    """Deciding on any of them is right; empty: no edit governs it."""


@dataclass(frozen=True, slots=True)
class ScopeCases:
    """A memory and the queries asked of it."""

    edits: tuple[Edit, ...]
    queries: tuple[ScopeQuery, ...]
    shared_identity: int = 0
    """Edits that state the same fact as an earlier one with another answer; each keeps a place of its own."""


@dataclass(frozen=True, slots=True)
class ScopeReport:
    """What ``scr eval scope`` prints; ``as_json`` is its schema."""

    decider: str
    weights: str
    """Whether the judging weights saw the rows they are scored on."""
    weights_sha256: str
    encoder: str
    threshold: float
    threshold_note: str
    kinds: Mapping[str, tuple[float, int]]
    """Share of right decisions and number of queries, by kind."""
    sources: Mapping[str, Mapping[str, float]]
    candidate_recall: Mapping[str, float]
    encode_ms: Mapping[str, float]
    decide_ms: Mapping[str, float]
    edits: int
    shared_identity: int
    failed: int
    """Queries whose decision failed (they count as out of scope)."""
    singles_that_differ: int
    """Of the queries timed one by one, how many were decided otherwise than in the batch."""
    timed: int
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_mean(self) -> float | None:
        return _mean([share for kind, (share, _) in self.kinds.items() if kind in IN_KINDS])

    @property
    def out_mean(self) -> float | None:
        return _mean([share for kind, (share, _) in self.kinds.items() if kind in OUT_KINDS])

    @property
    def hm(self) -> float | None:
        """``None`` when the queries have no kind in scope or none out of scope."""
        a, b = self.in_mean, self.out_mean
        if a is None or b is None:
            return None
        return 2 * a * b / (a + b) if a + b else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return one JSON object."""
        return {
            "schema": SCHEMA,
            "decider": self.decider,
            "hm": self.hm,
            "in_mean": self.in_mean,
            "out_mean": self.out_mean,
            "kinds": {k: {"share": share, "n": n} for k, (share, n) in self.kinds.items()},
            "sources": {s: dict(kinds) for s, kinds in self.sources.items()},
            "threshold": self.threshold,
            "threshold_note": self.threshold_note,
            "weights": self.weights,
            "weights_sha256": self.weights_sha256,
            "encoder": self.encoder,
            "candidate_recall": dict(self.candidate_recall),
            "encode_ms": dict(self.encode_ms),
            "decide_ms": dict(self.decide_ms),
            "edits": self.edits,
            "queries": sum(n for _, n in self.kinds.values()),
            "shared_identity": self.shared_identity,
            "failed": self.failed,
            "timed": self.timed,
            "singles_that_differ": self.singles_that_differ,
            **self.extra,
        }


def read_cases(memory: Path, queries: Path, aliases: Path | None = None) -> ScopeCases:
    """Read a scope benchmark's JSON Lines files; its edit_ids are kept, and names settled as ``scr alias`` does.

    Raises:
        ConfigError: a file is missing or a row lacks a field, with its line.
    """
    rows = _rows(memory, ("edit_id", "statement"))
    names: dict[str, list[str]] = {}
    if aliases is not None:
        names, _ = settled(read_table(aliases), [r["subject"] for r in rows if r.get("subject")])
    edits: list[Edit] = []
    identities: set[str] = set()
    shared = 0
    for r in rows:
        edit = Edit(
            edit_id=str(r["edit_id"]),
            subject=r.get("subject") or "",
            prompt=r.get("prompt") or "",
            target_new=r.get("target_new") or "",
            statement=r["statement"],
            aliases=tuple(names.get(r.get("subject") or "", ())),
            source=r.get("source"),
        )
        identity = identity_of(edit)
        if identity in identities:
            # In one memory the later one would supersede the earlier; the benchmark wants both to be found.
            shared += 1
            edit = replace(edit, relation=f"row {edit.edit_id}")
        identities.add(identity)
        edits.append(edit)
    asked = tuple(
        ScopeQuery(r["query"], r["kind"], str(r.get("source") or "all"), frozenset(map(str, r["edit_ids"])))
        for r in _rows(queries, ("query", "kind", "edit_ids"))
    )
    if not edits or not asked:
        raise ConfigError(f"nothing to score: {len(edits)} edits in {memory}, {len(asked)} queries in {queries}")
    return ScopeCases(tuple(edits), asked, shared)


def evaluate(
    cases: ScopeCases,
    encoder: Encoder,
    *,
    decider: str = "pair",
    model: LanguageModel | None = None,
    weights: WeightsChoice = "cross-fitted",
    tune: bool = False,
    folds: int = 5,
    false_fire: float | None = None,
    weights_file: Path = SHIPPED,
    timed: int = 400,
) -> ScopeReport:
    """Put the edits into a memory, decide every query, and score.

    Args:
        weights: ``cross-fitted`` judges a query that stood in the training rows by the trees that never saw its
            subject; ``shipped`` judges all by the final trees.
        tune: choose the threshold on the file itself, each fold's on the other folds.
        folds: how many, for ``tune``.
        false_fire: also report what a threshold does that was chosen, on other folds, to let at most this share of
            the queries of each kind out of scope fire.
        timed: how many queries are also decided one by one, for the timings.
    """
    meter = _Metered(encoder)
    with _memory(cases.edits, encoder) as store:
        texts = [q.text for q in cases.queries]
        found: list[list[Candidate]] = []
        for start in _steps(len(texts), "recall"):
            found += recall(store, encoder, texts[start : start + _BATCH])
        panel = _Panel(meter, decider, model, weights, weights_file, texts)
        decisions = panel.decide(texts, found)
        threshold, note = panel.threshold, "shipped"
        extra = panel.extra | {"calibration": calibration(cases.queries, decisions)}
        if false_fire is not None:
            extra["budget"] = budgeted(cases.queries, decisions, panel.folds(folds), false_fire)
        if tune:
            decisions, threshold = _tuned(cases.queries, decisions, folds)
            note = f"tuned on this file, each of {folds} folds on the others"
        encode_ms, decide_ms, times_encoding, differ = _timings(
            store, meter, panel, texts, decisions, timed, compare=not tune
        )
        extra["times_encoding"] = times_encoding
    right = [_is_right(q, d) for q, d in zip(cases.queries, decisions, strict=True)]
    return ScopeReport(
        decider=decider,
        weights=panel.described,
        weights_sha256=panel.sha256,
        encoder=encoder.fingerprint,
        threshold=threshold,
        threshold_note=note,
        kinds=_by_kind(cases.queries, right),
        sources=_by_source(cases.queries, right),
        candidate_recall=_recalled(cases.queries, found),
        encode_ms=encode_ms,
        decide_ms=decide_ms,
        edits=len(cases.edits),
        shared_identity=cases.shared_identity,
        failed=sum(bool(d.failed) for d in decisions),
        singles_that_differ=differ,
        timed=min(timed, len(texts)),
        extra=extra,
    )


def calibration(queries: Sequence[ScopeQuery], decisions: Sequence[Decision]) -> dict[str, float]:
    """``scr.calibration.reliability`` over the kinds that count; empty without one."""
    counted = [(q, d) for q, d in zip(queries, decisions, strict=True) if q.kind in (*IN_KINDS, *OUT_KINDS)]
    if not counted:
        return {}
    top = [_most_probable(d) for _, d in counted]
    right = np.array([edit_id in q.edit_ids for (q, _), (edit_id, _) in zip(counted, top, strict=True)])
    found = reliability(np.array([probability for _, probability in top]), right, [q.kind for q, _ in counted])
    return {name: round(value, 6) for name, value in found.items()}


def budgeted(
    queries: Sequence[ScopeQuery], decisions: Sequence[Decision], fold: Sequence[int], budget: float
) -> dict[str, Any]:
    """What thresholds do that were chosen to let at most a share of each kind out of scope fire.

    A fold's threshold is the lowest at which every kind out of scope stays within the budget on the other folds.

    Returns:
        ``thresholds`` by fold, by kind out of scope the share that fires with its 95 % interval (``fires``), by kind in
        scope the share decided rightly (``hits``).

    Raises:
        ConfigError: the budget is no share between 0 and 1.
    """
    if not 0 < budget < 1:
        raise ConfigError(f"the share of false fires is {budget:g}, wanted one between 0 and 1, such as 0.01")
    top = [_most_probable(d) for d in decisions]
    out = np.array([q.kind if not q.edit_ids else "" for q in queries])
    p = np.array([probability for _, probability in top])
    folds = np.array(fold)
    limits = {}
    for k in sorted(set(fold)):
        limit = 0.0
        for kind in OUT_KINDS:
            others = np.sort(p[(folds != k) & (out == kind)])[::-1]
            if len(others):
                limit = max(limit, float(others[min(int(budget * len(others)), len(others) - 1)]) + 1e-9)
        limits[int(k)] = limit
    fires = p >= np.array([limits[int(k)] for k in folds])
    shares: dict[str, dict[str, Any]] = {"fires": {}, "hits": {}}
    for kind in OUT_KINDS:
        mine = fires[out == kind]
        if len(mine):
            low, high = interval(int(mine.sum()), len(mine))
            shares["fires"][kind] = {"share": float(mine.mean()), "low": low, "high": high, "n": len(mine)}
    for kind in IN_KINDS:
        right = [
            bool(f) and edit_id in q.edit_ids
            for q, f, (edit_id, _) in zip(queries, fires, top, strict=True)
            if q.kind == kind and q.edit_ids
        ]
        if right:
            shares["hits"][kind] = {"share": float(np.mean(right)), "n": len(right)}
    return {"budget": budget, "thresholds": [limits[k] for k in sorted(limits)], **shares}


def _most_probable(decision: Decision) -> tuple[str, float]:
    """The edit that is most probably in scope, and its probability; ("", 0) without candidates."""
    judged = (*decision.in_scope, *decision.near_misses)
    return (judged[0].edit.edit_id, judged[0].probability) if judged else ("", 0.0)


class _Panel:
    """The deciders that judge the queries: one, or the final trees and those of each fold."""

    def __init__(
        self,
        encoder: Encoder,
        decider: str,
        model: LanguageModel | None,
        weights: WeightsChoice,
        file: Path,
        texts: Sequence[str],
    ) -> None:
        self.extra: dict[str, Any] = {}
        self.sha256 = ""
        self._texts = texts
        self._fold = np.full(len(texts), -1)
        self._fold_of: dict[str, int] = {}
        if decider != "pair":
            self._deciders: dict[int, ScopeClassifier] = {-1: load_scope(decider, encoder=encoder, model=model)}
            self.described = "none: nothing is learnt" if decider in DECIDERS else f"those of {decider}"
            inner: Any = self._deciders[-1]
            self.threshold = float(getattr(inner, "inner", inner).threshold)
            return
        learnt = Weights.load(file)
        self.sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        seen = learnt.fold_of(texts)
        count = int((seen >= 0).sum())
        final = PairClassifier(encoder, learnt)
        self.extra["training"] = dict(learnt.facts)
        self._deciders = {-1: final}
        self.threshold = final.threshold
        if final.judge_name != FINAL:
            self.described = f"{final.judge_name}: no evidence from keys, for they come from another encoder"
            return
        if not count:
            self.described = "shipped; none of these rows were in its training"
        elif weights == "shipped" or any(f"fold{k}" not in learnt.judges for k in set(seen[seen >= 0].tolist())):
            self.described = f"shipped; {count} of {len(texts)} rows were in its training"
        else:
            rest = "" if count == len(texts) else f"; {len(texts) - count} rows in no training, judged by the shipped"
            self.described = f"cross-fitted by subject{rest}"
            self._fold = seen
            folds = sorted(set(seen[seen >= 0].tolist()))
            self._deciders |= {k: PairClassifier(encoder, learnt, judge=f"fold{k}") for k in folds}
            self.extra["fold_thresholds"] = [learnt.judges[f"fold{k}"].threshold for k in folds]
        self._fold_of = dict(zip(texts, self._fold.tolist(), strict=True))

    def folds(self, count: int) -> list[int]:
        """The fold each text was left out of; of others, one of ``count`` drawn from the text itself."""
        return [
            int(f) if f >= 0 else _stable(text) % count
            for text, f in zip(self._texts, self._fold.tolist(), strict=True)
        ]

    def decide(self, texts: Sequence[str], found: Sequence[Sequence[Candidate]]) -> list[Decision]:
        decisions: list[Decision] = [Decision()] * len(texts)
        by_decider: dict[int, list[int]] = defaultdict(list)
        for i, text in enumerate(texts):
            by_decider[self._fold_of.get(text, -1)].append(i)
        for which, rows in sorted(by_decider.items()):
            for start in _steps(len(rows), f"decide {which + 1}" if which >= 0 else "decide"):
                some = rows[start : start + _BATCH]
                decided = self._deciders[which].decide([texts[i] for i in some], [found[i] for i in some])
                for i, decision in zip(some, decided, strict=True):
                    decisions[i] = decision
        return decisions


class _Metered:
    """An encoder that adds up the time it takes."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.seconds = 0.0

    @property
    def fingerprint(self) -> str:
        return self._encoder.fingerprint

    @property
    def d_key(self) -> int:
        return self._encoder.d_key

    def encode(self, texts: Sequence[str]) -> Keys:
        started = time.perf_counter()
        keys = self._encoder.encode(texts)
        self.seconds += time.perf_counter() - started
        return keys


def _memory(edits: Sequence[Edit], encoder: Encoder) -> EditStore:
    store = EditStore.open(":memory:", encoder=encoder.fingerprint)
    keys = {
        "statement": encoder.encode([e.statement for e in edits]),
        "prompt": encoder.encode([e.prompt or e.statement for e in edits]),
    }
    refused = [r for r in store.put(list(edits), keys=keys) if r.status != "added"]
    if refused:
        raise ConfigError(
            f"{len(refused)} edits were not taken, the first: {refused[0].edit.edit_id} {refused[0].status}"
        )
    return store


def _timings(
    store: EditStore,
    meter: _Metered,
    panel: _Panel,
    texts: Sequence[str],
    decisions: Sequence[Decision],
    count: int,
    *,
    compare: bool,
) -> tuple[dict[str, float], dict[str, float], dict[str, float], int]:
    """Milliseconds of encoding a query and of what else a decision takes, one query at a time, spread over the file;
    how many times as long as the bare encoding of its query a decision takes in all."""
    chosen = np.unique(np.linspace(0, len(texts) - 1, min(count, len(texts))).astype(int)).tolist()
    encode, decide, times, differ = [], [], [], 0
    for i in chosen:
        before = meter.seconds
        meter.encode([texts[i]])
        encoding = meter.seconds - before
        started = time.perf_counter()
        decision = panel.decide([texts[i]], recall(store, meter, [texts[i]]))[0]
        whole = time.perf_counter() - started
        encode.append(1000 * encoding)
        decide.append(1000 * (whole - encoding))
        times.append(whole / encoding)
        differ += compare and decision.edit_ids != decisions[i].edit_ids
    return _quantiles(encode), _quantiles(decide), _quantiles(times), differ


def _tuned(queries: Sequence[ScopeQuery], decisions: Sequence[Decision], folds: int) -> tuple[list[Decision], float]:
    """Decide again by thresholds chosen on the other folds; also the one chosen on all."""
    if folds < 2:
        raise ConfigError(f"folds is {folds}, wanted at least 2")
    # A query falls into its edit's fold, so that the wordings of one fact stay together.
    fold = [_stable(min(q.edit_ids) if q.edit_ids else q.text) % folds for q in queries]
    limits = [
        _best_threshold([(q, d) for q, d, f in zip(queries, decisions, fold, strict=True) if f != k])
        for k in range(folds)
    ]
    again = [_cut(d, limits[f]) for d, f in zip(decisions, fold, strict=True)]
    return again, _best_threshold(list(zip(queries, decisions, strict=True)))


def _best_threshold(scored: Sequence[tuple[ScopeQuery, Decision]]) -> float:
    queries = [q for q, _ in scored]

    def hm_at(limit: float) -> float:
        kinds = _by_kind(queries, [_is_right(q, _cut(d, limit)) for q, d in scored])
        inside = _mean([s for k, (s, _) in kinds.items() if k in IN_KINDS])
        outside = _mean([s for k, (s, _) in kinds.items() if k in OUT_KINDS])
        if inside is None or outside is None or inside + outside == 0:
            return 0.0
        return 2 * inside * outside / (inside + outside)

    return max(_THRESHOLDS, key=lambda limit: (round(hm_at(limit), 6), -abs(limit - 0.5)))


def _cut(decision: Decision, limit: float) -> Decision:
    judged = (*decision.in_scope, *decision.near_misses)
    inside = tuple(j for j in judged if j.probability >= limit)
    return Decision(inside, tuple(j for j in judged if j.probability < limit), limit, decision.failed)


def _is_right(query: ScopeQuery, decision: Decision) -> bool:
    decided = decision.edit_ids
    return bool(decided) and decided[0] in query.edit_ids if query.edit_ids else not decided


def _by_kind(queries: Sequence[ScopeQuery], right: Sequence[bool]) -> dict[str, tuple[float, int]]:
    pooled: dict[str, list[bool]] = defaultdict(list)
    for q, r in zip(queries, right, strict=True):
        pooled[q.kind].append(r)
    order = [*IN_KINDS, *OUT_KINDS]
    names = sorted(pooled, key=lambda k: (order.index(k) if k in order else len(order), k))
    return {k: (float(np.mean(pooled[k])), len(pooled[k])) for k in names}


def _by_source(queries: Sequence[ScopeQuery], right: Sequence[bool]) -> dict[str, dict[str, float]]:
    pooled: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for q, r in zip(queries, right, strict=True):
        pooled[q.source][q.kind].append(r)
    return {s: {k: float(np.mean(v)) for k, v in sorted(kinds.items())} for s, kinds in sorted(pooled.items())}


def _recalled(queries: Sequence[ScopeQuery], found: Sequence[Sequence[Candidate]]) -> dict[str, float]:
    pooled: dict[str, list[bool]] = defaultdict(list)
    for q, candidates in zip(queries, found, strict=True):
        if q.edit_ids:
            pooled[q.kind].append(any(c.edit.edit_id in q.edit_ids for c in candidates))
    return {kind: float(np.mean(values)) for kind, values in sorted(pooled.items())}


def _rows(file: Path, wanted: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                missing = [w for w in wanted if not isinstance(row, dict) or w not in row]
                if missing:
                    raise ConfigError(f"{file}, line {number}: no field {missing[0]!r}; see the benchmark's README")
                rows.append(row)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{file}, line {number}: not JSON ({error.msg})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error
    return rows


def _steps(count: int, what: str) -> Any:
    """Starts of batches, with a bar on stderr where a person watches."""
    from tqdm import tqdm

    return tqdm(range(0, count, _BATCH), desc=what, unit="batch", delay=2, leave=False, disable=not sys.stderr.isatty())


def _stable(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8], "little")


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {"p50": round(float(np.quantile(values, 0.5)), 3), "p95": round(float(np.quantile(values, 0.95)), 3)}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


__all__ = [
    "IN_KINDS",
    "OUT_KINDS",
    "SCHEMA",
    "WEIGHTS",
    "ScopeCases",
    "ScopeQuery",
    "ScopeReport",
    "budgeted",
    "calibration",
    "evaluate",
    "read_cases",
]
