"""What happens when a decision cannot be made? Nothing is in scope, and the decision says why."""

import logging
from collections.abc import Sequence

from scr.protocols import Candidate, Decision, ScopeClassifier

_log = logging.getLogger(__name__)


class FailClosed:
    """A decider whose every failure means out of scope, for the queries that fail and no others."""

    def __init__(self, inner: ScopeClassifier) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        return self.inner.name

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        """Decide as the inner decider does; where it raises, ``Decision.failed`` carries the reason."""
        try:
            return self.inner.decide(queries, candidates)
        except Exception as error:  # whatever went wrong, an edit must not fire because of it
            if len(queries) == 1:
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                _log.warning("scope decider %s failed, nothing is in scope: %s", self.name, reason)
                return [Decision(failed=reason)]
        return [self.decide([q], [c])[0] for q, c in zip(queries, candidates, strict=True)]


__all__ = ["FailClosed"]
