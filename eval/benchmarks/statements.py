"""How often does ``scr add "sentence"`` work out the right subject and target?

The statements of ``scope_dev_memory.jsonl`` with their fields hidden. *Committed*: the parser's confidence reaches
``MIN_CONFIDENCE``; accuracies are over the committed ones. Fields are compared by ``normalised`` (case, white space,
outer quotes, articles and end punctuation aside); ``exact`` compares case, white space and end punctuation only.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from memory_store.errors import ConfigError
from scr.statement import MIN_CONFIDENCE, Parsed, parse
from scr.statement_train import normalised


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Shares in [0, 1]; the accuracies are over the committed statements, NaN-free: 0 where none is committed."""

    n: int
    committed: float
    subject: float
    target: float
    both: float
    subject_exact: float
    target_exact: float
    mean_confidence: float


def score(rows: Iterable[Mapping[str, str]], min_confidence: float = MIN_CONFIDENCE) -> Score:
    """Parse each row's ``statement`` and compare with its ``subject`` and ``target_new``."""
    pairs = [(row, parse(row["statement"])) for row in rows]
    if not pairs:
        raise ConfigError("got no statements, wanted at least one")
    taken = [(row, got) for row, got in pairs if got.confidence >= min_confidence]
    total = max(len(taken), 1)

    def share(field: str, same: "Sequence[str]" = ("normalised",)) -> float:
        key = normalised if same == ("normalised",) else _exact
        return sum(key(row[field]) == key(getattr(got, field)) for row, got in taken) / total

    return Score(
        n=len(pairs),
        committed=len(taken) / len(pairs),
        subject=share("subject"),
        target=share("target_new"),
        both=sum(is_right(row, got) for row, got in taken) / total,
        subject_exact=share("subject", ("exact",)),
        target_exact=share("target_new", ("exact",)),
        mean_confidence=sum(got.confidence for _, got in taken) / total,
    )


def is_right(row: Mapping[str, str], got: Parsed) -> bool:
    return all(normalised(row[field]) == normalised(getattr(got, field)) for field in ("subject", "target_new"))


def _exact(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".,;:!? ")


def by_source(rows: Sequence[Mapping[str, str]], min_confidence: float = MIN_CONFIDENCE) -> dict[str, Score]:
    """Scores for each source and, under ``all``, for everything."""
    sources = sorted({row["source"] for row in rows})
    scores = {s: score([row for row in rows if row["source"] == s], min_confidence) for s in sources}
    return scores | {"all": score(rows, min_confidence)}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.benchmarks.statements", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with scope_dev_memory.jsonl, or such a file")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    path = args.data / "scope_dev_memory.jsonl" if args.data.is_dir() else args.data
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    scores = by_source(rows)
    if args.json:
        print(json.dumps({"min_confidence": MIN_CONFIDENCE, "sources": {k: asdict(v) for k, v in scores.items()}}))
        return
    columns = ("committed", "subject", "target", "both", "subject_exact", "target_exact", "mean_confidence")
    print(f"{'source':18}{'n':>6}  " + "  ".join(f"{c:>9}" for c in columns))
    for name, found in scores.items():
        print(f"{name:18}{found.n:6}  " + "  ".join(f"{getattr(found, c):{max(len(c), 9)}.3f}" for c in columns))


if __name__ == "__main__":
    main()
