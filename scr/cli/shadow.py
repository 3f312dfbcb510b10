"""Is the ``eval`` or ``memory_store`` that Python would import the one that came with this ``scr``?

These names are common; a folder on PYTHONPATH may hold others. Nothing is imported to find out.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
"""Where ``scr`` and its siblings lie: the checkout, or site-packages."""


def shadowed_by(package: str, root: Path = ROOT) -> str | None:
    """Return where another top-level ``package`` than ours would come from; None when it is ours.

    >>> shadowed_by("memory_store") is None
    True
    """
    spec = importlib.util.find_spec(package)
    if spec is None:
        return f"nowhere (it is missing beside {root / 'scr'})"
    if spec.submodule_search_locations is None or spec.origin is None:
        found = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), package))
    else:
        found = Path(spec.origin).parent
    return None if found.resolve() == root / package else str(found)


def refuse_shadowed(package: str) -> None:
    """Exit with one line that names what stands before our ``package``."""
    other = shadowed_by(package)
    if other is not None:
        print(f"scr: {shadow_message(package, other)}", file=sys.stderr)
        sys.exit(1)


def shadow_message(package: str, other: str) -> str:
    return (
        f"{package!r} would be imported from {other}, not from the one beside scr; "
        "unset PYTHONPATH or rename that folder, then run again"
    )
