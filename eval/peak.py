"""How much memory did the process take at most since it was last asked? Linux keeps the mark and lets it be reset."""

from __future__ import annotations

from pathlib import Path

_SELF = Path("/proc/self")


def reset_peak() -> None:
    """Begin anew from what is resident now; nothing where the system cannot."""
    try:
        (_SELF / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_mib() -> float | None:
    """The largest resident size since the reset, in MiB, the model and the libraries included; None where unknown."""
    try:
        lines = (_SELF / "status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


__all__ = ["peak_mib", "reset_peak"]
