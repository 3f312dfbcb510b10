"""How are RippleEdits' rows read, in MQuAKE's shape? One edit and one question through it and a second fact.

Rows about the same edit make one case with all their questions. Source: Cohen et al., arXiv:2307.12976.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.cases import EvalCase
from eval.datasets.mquake import chained


def read(number: int, row: Mapping[str, Any]) -> EvalCase:
    """One row.

    Raises:
        DroppedError: it makes no case.
    """
    return chained(row, "rippleedits", "two_hop")
