"""How are many edits written in batches so that an interruption loses at most one? A file beside the deltas.

After each batch the full deltas, what the editor keeps besides, and the number of edits done are written to
``<deltas>.part``; a run with the same model, method, settings and edits goes on from there.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from eval.editors.base import WeightEditor
from eval.editors.errors import ConfigError
from eval.editors.moments import model_fingerprint
from eval.editors.wrapped import WrappedEditor
from memory_store.edit import Edit

AnyEditor = WeightEditor | WrappedEditor


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did."""

    edits: int
    batches: int
    resumed: int
    """Edits that an earlier run had done."""
    seconds: float
    """Of this run."""


def sweep(
    editor: AnyEditor,
    edits: Sequence[Edit],
    out: Path,
    *,
    batch_size: int | None = None,
    run: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Swept:
    """Write ``edits`` in order, ``batch_size`` at a time, and save the deltas to ``out``.

    Args:
        batch_size: None writes all at once.
        run: what besides model and edits must be the same for going on (method, settings).
        progress: called with edits done and edits in all, also within a batch.

    Raises:
        ConfigError: nothing to write, or a bad batch size; whatever the editor raises.
    """
    if not edits:
        raise ConfigError("there are no edits to write")
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
    size = batch_size or len(edits)
    batches = [list(edits[start : start + size]) for start in range(0, len(edits), size)]
    part = out.with_name(out.name + ".part")
    key = _key(editor.model, edits, {**(run or {}), "batch_size": size})
    done = _resume(editor, batches, part, key)
    resumed, started = sum(map(len, batches[:done])), time.monotonic()
    host = editor.host if isinstance(editor, WrappedEditor) else editor
    for number in range(done, len(batches)):
        before = sum(map(len, batches[:number]))
        if progress is not None:
            host.progress = lambda n, _all, before=before: progress(before + n, len(edits))
        editor.edit(batches[number])
        if number + 1 < len(batches):
            _save(editor, part, key, number + 1)
    host.progress = None
    editor.save_deltas(out)
    part.unlink(missing_ok=True)
    return Swept(len(edits), len(batches), resumed, time.monotonic() - started)


def _key(model: Any, edits: Sequence[Edit], run: Mapping[str, Any]) -> str:
    told = {"model": model_fingerprint(model), "run": run, "edits": [asdict(edit) for edit in edits]}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _save(editor: AnyEditor, path: Path, key: str, done: int) -> None:
    tensors = {f"delta:{name}": delta for name, delta in editor.full_deltas.items()}
    tensors |= {f"state:{name}": value for name, value in editor.state.items()}
    written = path.with_name(path.name + ".new")
    ready = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    save_file(ready, str(written), metadata={"key": key, "done": str(done)})
    written.replace(path)


def _resume(editor: AnyEditor, batches: Sequence[Sequence[Edit]], path: Path, key: str) -> int:
    """Batches that are done; 0 where the file is of another run."""
    if not path.exists():
        return 0
    try:
        with safe_open(str(path), framework="pt") as file:
            note = file.metadata() or {}
            if note.get("key") != key:
                return 0
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path} is damaged; delete it and start again ({error})") from error
    device = next(iter(editor.model.parameters())).device
    deltas = {n.removeprefix("delta:"): t.to(device) for n, t in tensors.items() if n.startswith("delta:")}
    state = {n.removeprefix("state:"): t.to(device) for n, t in tensors.items() if n.startswith("state:")}
    done = int(note["done"])
    editor.resume(batches[:done], deltas, state)
    return done


def read_rows(path: Path) -> list[Any]:
    """Rows of JSON Lines or of a JSON list.

    Raises:
        ConfigError: unreadable.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("["):
            rows: list[Any] = json.loads(text)
            return rows
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read edits from {path}: {error}") from error


def read_edits(path: Path) -> list[Edit]:
    """Edits from JSON Lines or a JSON list: ``prompt``, ``subject``, ``target_new``, perhaps ``edit_id``.

    A ``{}`` in the prompt stands for the subject.

    Raises:
        ConfigError: unreadable, or a row without its parts.
    """
    edits = []
    for number, row in enumerate(read_rows(path)):
        if not isinstance(row, dict):
            raise ConfigError(f"{path}, row {number + 1}: wanted an object, got {type(row).__name__}")
        wrong = [
            n for n in ("prompt", "subject", "target_new") if not isinstance(row.get(n), str) or not row[n].strip()
        ]
        if wrong:
            raise ConfigError(f"{path}, row {number + 1}: {', '.join(wrong)} must be text that is not empty")
        prompt = row["prompt"].replace("{}", row["subject"])
        edits.append(
            Edit(
                statement=f"{prompt} {row['target_new'].strip()}",
                prompt=prompt,
                subject=row["subject"],
                target_new=row["target_new"],
                edit_id=_edit_id(row, number),
            )
        )
    return edits


def read_old_answers(path: Path) -> dict[str, str]:
    """``ground_truth``, the answer before, by edit_id, of the rows that have one; CoME takes it out.

    Raises:
        ConfigError: unreadable.
    """
    rows = {_edit_id(row, number): row.get("ground_truth") for number, row in enumerate(read_rows(path))}
    return {edit_id: old for edit_id, old in rows.items() if isinstance(old, str) and old.strip()}


def _edit_id(row: Mapping[str, Any], number: int) -> str:
    return str(row.get("edit_id", row.get("case_id", number)))


def read_corpus(path: Path) -> list[str]:
    """Texts from a JSON list, or one a line.

    Raises:
        ConfigError: unreadable, or without text.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else text.splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read texts from {path}: {error}") from error
    if not isinstance(found, list) or not all(isinstance(t, str) for t in found):
        raise ConfigError(f"{path} holds no list of texts")
    texts = [t for t in found if t.strip()]
    if not texts:
        raise ConfigError(f"{path} holds no text")
    return texts
