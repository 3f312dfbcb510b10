"""Is the nearest statement near enough? One cut-off on the cosine: the simplest decider, and the baseline."""

from collections.abc import Sequence

from memory_store.errors import ConfigError
from scr.protocols import Candidate, Decision, Judged

DEFAULT_THRESHOLD = 0.685
"""The best single cut-off for all-MiniLM-L6-v2 on the scope benchmark; it still confuses relations of one subject."""
_FITTED = {
    "sentence-transformers/all-MiniLM-L6-v2@53aa51172d14:mean:256": DEFAULT_THRESHOLD,
    "hash@1:words+trigrams:384": DEFAULT_THRESHOLD,  # of words and their parts that two texts share, enough for tests
}
"""By the encoder's fingerprint, the cut-off chosen with its keys."""
SAME_TEXT = 0.9999
"""Cosine that only a text and itself reach, rounding aside."""


def fitted_threshold(encoder: str) -> float:
    """Return the cut-off for an encoder's keys, by its fingerprint.

    For an encoder with which none was chosen, nothing but a fact's own statement fires until one is measured
    (``scr calibrate --scope cosine``).
    """
    return _FITTED.get(encoder, SAME_TEXT)


class CosineScope:
    """The one edit whose statement is nearest is in scope if its cosine reaches the threshold."""

    name = "cosine"

    def __init__(self, threshold: float = DEFAULT_THRESHOLD) -> None:
        """Use ``threshold``, a cosine in [-1, 1].

        Raises:
            ConfigError: it is out of range.
        """
        if not -1 <= threshold <= 1:
            raise ConfigError(f"threshold is {threshold}, wanted a cosine in [-1, 1]")
        self.threshold = threshold

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        """Decide each query by its candidates' ``statement`` scores; ``probability`` is the cosine, not below 0."""
        return [self._decide_one(found) for found in candidates]

    def _decide_one(self, found: Sequence[Candidate]) -> Decision:
        ranked = sorted(found, key=lambda c: (-c.scores.get("statement", -1.0), c.edit.edit_id))
        judged = tuple(
            Judged(c.edit, min(max(c.scores.get("statement", 0.0), 0.0), 1.0), {"cos_statement": c.scores["statement"]})
            for c in ranked
            if "statement" in c.scores
        )
        fires = bool(judged) and judged[0].evidence["cos_statement"] >= self.threshold
        cut = 1 if fires else 0
        return Decision(in_scope=judged[:cut], near_misses=judged[cut : cut + 5], threshold=self.threshold)


__all__ = ["DEFAULT_THRESHOLD", "CosineScope", "fitted_threshold"]
