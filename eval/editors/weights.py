"""How are weights changed so that they can always be given back? Deltas over untouched originals.

A weight is its original plus a float32 delta, rounded once to the model's dtype, so that many small edits of a 16-bit
model are not lost one by one. Leaving the context, for whatever reason, restores every byte.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from eval.editors.errors import ConfigError, NumericalError


class EditedWeights:
    """Deltas on a model's parameters; a context manager that restores the model bit for bit."""

    def __init__(self, model: Any) -> None:
        self._parameters: dict[str, Tensor] = dict(model.named_parameters())
        self._original: dict[str, Tensor] = {}
        self._deltas: dict[str, Tensor] = {}

    @property
    def deltas(self) -> Mapping[str, Tensor]:
        """Parameter name → current delta, float32, in the parameter's own layout."""
        return self._deltas

    def original(self, name: str) -> Tensor:
        """The parameter before any delta; not to be written to."""
        return self._original[name] if name in self._original else self._parameter(name).detach()

    def current(self, name: str) -> Tensor:
        """The parameter as it is now, in full precision: original plus delta, float32."""
        original = self.original(name).float()
        return original + self._deltas[name] if name in self._deltas else original

    def add(self, changes: Mapping[str, Tensor]) -> None:
        """Add to the deltas, all of them or none.

        Raises:
            ConfigError: no such parameter, or another shape.
            NumericalError: a change is not finite.
        """
        self._check(changes)
        self.replace({name: self._deltas[name] + c if name in self._deltas else c for name, c in changes.items()})

    def replace(self, deltas: Mapping[str, Tensor]) -> None:
        """Replace the deltas of the named parameters; others stay."""
        self._check(deltas)
        for name, delta in deltas.items():
            parameter = self._parameter(name)
            if name not in self._original:
                self._original[name] = parameter.detach().clone()
            kept = delta.detach().to(device=parameter.device, dtype=torch.float32, copy=True)
            self._deltas[name] = kept
            with torch.no_grad():
                parameter.copy_(self._original[name].float() + kept)

    def snapshot(self) -> dict[str, Tensor]:
        """Deltas to come back to with ``rollback``."""
        return dict(self._deltas)

    def rollback(self, snapshot: Mapping[str, Tensor]) -> None:
        """Undo everything since ``snapshot``; parameters without a delta then are original again."""
        self._restore([name for name in self._deltas if name not in snapshot])
        self.replace({name: delta for name, delta in snapshot.items() if self._deltas.get(name) is not delta})

    def restore(self) -> None:
        """Give every parameter its original bytes and forget the deltas."""
        self._restore(list(self._original))

    def _restore(self, names: list[str]) -> None:
        with torch.no_grad():
            for name in names:
                self._parameters[name].copy_(self._original.pop(name))
                self._deltas.pop(name, None)

    @contextlib.contextmanager
    def original_in_place(self) -> Iterator[None]:
        """The unedited model inside the context; the edited one again after it."""
        with torch.no_grad():
            edited = {name: self._parameters[name].detach().clone() for name in self._original}
            for name, original in self._original.items():
                self._parameters[name].copy_(original)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in edited.items():
                    self._parameters[name].copy_(value)

    def save(self, path: Path, note: Mapping[str, str] | None = None) -> None:
        """Write the deltas as safetensors under the parameters' own names; ``note`` goes into the header."""
        tensors = {name: delta.cpu().contiguous() for name, delta in self._deltas.items()}
        written = path.with_name(path.name + ".part")
        save_file(tensors, str(written), metadata={"format": "pt", "note": json.dumps(dict(note or {}))})
        written.replace(path)

    def load(self, path: Path) -> None:
        """Set the deltas that ``save`` wrote.

        Raises:
            ConfigError: unreadable, or made for another model.
        """
        self.replace(read_deltas(path))

    def __enter__(self) -> "EditedWeights":
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()

    def _parameter(self, name: str) -> Tensor:
        if name not in self._parameters:
            raise ConfigError(f"the model has no parameter {name!r}; were these deltas made for another model?")
        return self._parameters[name]

    def _check(self, changes: Mapping[str, Tensor]) -> None:
        for name, change in changes.items():
            if change.shape != self._parameter(name).shape:
                raise ConfigError(
                    f"a delta for {name!r} has shape {tuple(change.shape)}, wanted {tuple(self._parameter(name).shape)}"
                )
            if not bool(torch.isfinite(change).all()):
                raise NumericalError(f"the change of {name!r} is not finite; the model is left as it was")


def read_deltas(path: Path) -> dict[str, Tensor]:
    """Parameter name → delta.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot read deltas from {path}: {error}") from error
