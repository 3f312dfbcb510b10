"""What keys does the unedited model use? E[k kᵀ] over the tokens of a text corpus, per layer, computed once.

Sums are float64, made from float32 products of one batch of texts. A finished moment is cached as safetensors under a
key that names the model's fingerprint, the layer, the corpus, the token count and the dtype, because a moment of
another model has the right shape and ruins every edit without a word. An interrupted run goes on where it stopped.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from eval.editors.anatomy import Anatomy
from eval.editors.errors import ConfigError
from eval.editors.replay import frozen

logger = logging.getLogger("scr")


class _EnoughError(Exception):
    """Ends a forward pass at the last layer that is needed."""


@dataclass(frozen=True, slots=True)
class MomentKey:
    """What a second moment was computed from."""

    model: str
    """``model_fingerprint``."""
    layer: int
    corpus: str
    """``corpus_hash``."""
    tokens: int
    dtype: str
    """Of the model's weights while the keys were computed."""

    @property
    def file_name(self) -> str:
        return f"{self.model[:16]}-L{self.layer}-{self.corpus[:12]}-{self.tokens}-{self.dtype}.safetensors"


@dataclass(frozen=True, slots=True)
class SecondMoment:
    """E[k kᵀ], not centred, of one layer."""

    matrix: Tensor
    """Shape (d_key, d_key), float64, symmetric."""
    key: MomentKey


def model_fingerprint(model: Any) -> str:
    """Hex digest of the configuration and of every parameter's name, shape and a sample of its values.

    Up to 4,096 evenly spaced values per parameter are read, so that a large model takes a second; an edited model gets
    another fingerprint unless the edit misses every sample.
    """
    digest = hashlib.sha256()
    config = model.config.to_dict()
    for volatile in ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "architectures"):
        config.pop(volatile, None)
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        flat = parameter.detach().reshape(-1)
        sample = flat[:: max(1, flat.numel() // 4096)].float().cpu()
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()


def corpus_hash(texts: Sequence[str]) -> str:
    """Hex digest of the texts in their order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def second_moments(
    anatomy: Anatomy,
    tokenizer: Any,
    texts: Sequence[str],
    layers: Sequence[int],
    *,
    batch_size: int = 32,
    max_tokens: int | None = None,
    cache: Path | None = None,
    save_every: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, SecondMoment]:
    """E[k kᵀ] of the unedited model's keys at all tokens of ``texts``.

    Args:
        batch_size: texts per forward pass.
        max_tokens: longer texts are cut; None is the model's own limit.
        cache: folder to read from and write to; None keeps nothing.
        save_every: batches between two saved states; only with ``cache``.
        progress: called with texts done and texts in all.

    Raises:
        ConfigError: no texts, or layers out of range.
    """
    layers = anatomy.checked_layers(layers)
    rows = _rows(tokenizer, texts, max_tokens or getattr(anatomy.model.config, "max_position_embeddings", None))
    if not rows:
        raise ConfigError("second moments need text; the corpus is empty")
    model, corpus = model_fingerprint(anatomy.model), corpus_hash(texts)
    dtype = str(anatomy.projections[0].weight.dtype).removeprefix("torch.")
    keys = {layer: MomentKey(model, layer, corpus, sum(map(len, rows)), dtype) for layer in layers}
    found: dict[int, SecondMoment] = {}
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        found = {
            la: load_moment(cache / key.file_name, key) for la, key in keys.items() if (cache / key.file_name).exists()
        }
    missing = [layer for layer in layers if layer not in found]
    if missing:
        # Long texts last: rows of like length share a batch, and the order is the corpus's own on every run.
        rows.sort(key=len)
        partial = None
        if cache is not None:
            wanted = "-".join(map(str, missing))
            partial = cache / f"{model[:16]}-{corpus[:12]}-{dtype}-{wanted}-{batch_size}.part.safetensors"
        with frozen(anatomy.model):
            sums = _accumulate(anatomy, rows, missing, batch_size, partial, save_every, progress)
        for layer in missing:
            found[layer] = SecondMoment(sums[layer] / keys[layer].tokens, keys[layer])
            if cache is not None:
                save_moment(found[layer], cache / keys[layer].file_name)
        if partial is not None:
            partial.unlink(missing_ok=True)
    return {layer: found[layer] for layer in layers}


def _rows(tokenizer: Any, texts: Sequence[str], limit: int | None) -> list[list[int]]:
    rows: list[list[int]] = []
    for start in range(0, len(texts), 1024):
        rows += tokenizer(list(texts[start : start + 1024]))["input_ids"] if texts else []
    return [list(row[:limit]) for row in rows if row]


def _accumulate(
    anatomy: Anatomy,
    rows: Sequence[Sequence[int]],
    layers: Sequence[int],
    batch_size: int,
    partial: Path | None,
    save_every: int,
    progress: Callable[[int, int], None] | None,
) -> dict[int, Tensor]:
    """Sums of k kᵀ, float64, on the model's device."""
    done = 0
    sums = {
        la: torch.zeros(
            anatomy.projections[la].d_key, anatomy.projections[la].d_key, dtype=torch.float64, device=anatomy.device
        )
        for la in layers
    }
    if partial is not None and partial.exists():
        done, saved = _load_partial(partial)
        if set(saved) == set(layers):
            sums = {la: saved[la].to(anatomy.device) for la in layers}
            logger.info("second moments: going on after %d of %d texts", done, len(rows))
        else:
            done = 0
    mask = torch.zeros(0)

    def hook(layer: int) -> Callable[[Any, tuple[Any, ...]], None]:
        def add(_module: Any, inputs: tuple[Any, ...]) -> None:
            keys = inputs[0].reshape(-1, inputs[0].shape[-1])[mask].float()  # (tokens, d_key)
            sums[layer] += (keys.T @ keys).double()
            if layer == layers[-1]:
                raise _EnoughError

        return add

    handles = [anatomy.projections[la].module.register_forward_pre_hook(hook(la)) for la in layers]
    try:
        for count, start in enumerate(range(done, len(rows), batch_size), start=1):
            batch = rows[start : start + batch_size]
            ids = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.long)
            padding = torch.zeros_like(ids)
            for index, row in enumerate(batch):
                ids[index, : len(row)] = torch.tensor(row)
                padding[index, : len(row)] = 1
            mask = padding.reshape(-1).bool().to(anatomy.device)
            try:
                with torch.no_grad():
                    anatomy.body(
                        input_ids=ids.to(anatomy.device), attention_mask=padding.to(anatomy.device), use_cache=False
                    )
            except _EnoughError:
                pass
            done = min(start + batch_size, len(rows))
            if partial is not None and count % save_every == 0 and done < len(rows):
                _save_partial(partial, done, sums)
            if progress is not None:
                progress(done, len(rows))
    finally:
        for handle in handles:
            handle.remove()
    return sums


def save_moment(moment: SecondMoment, path: Path) -> None:
    """Write a moment and the key it stands under."""
    written = path.with_name(path.name + ".new")
    save_file(
        {"second_moment": moment.matrix.cpu().contiguous()},
        str(written),
        metadata={"key": json.dumps(asdict(moment.key))},
    )
    written.replace(path)


def load_moment(path: Path, wanted: MomentKey | None = None) -> SecondMoment:
    """Read a moment.

    Raises:
        ConfigError: unreadable, or not the one that is ``wanted``.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            key = MomentKey(**json.loads((file.metadata() or {})["key"]))
            matrix = file.get_tensor("second_moment")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} holds no second moment; delete it and compute it again ({error})") from error
    if wanted is not None and key != wanted:
        raise ConfigError(f"{path} holds the second moment of {key}, wanted {wanted}; delete it and compute it again")
    return SecondMoment(matrix, key)


def checked_moments(
    anatomy: Anatomy, moments: Mapping[int, SecondMoment | Tensor], layers: Sequence[int]
) -> dict[int, Tensor]:
    """The matrices for ``layers``, on the model's device.

    A bare matrix is taken as it is; a ``SecondMoment`` must be of this model, unedited.

    Raises:
        ConfigError: one is missing, of another model or layer, or of another width.
    """
    missing = [layer for layer in layers if layer not in moments]
    if missing:
        raise ConfigError(f"no second moment for layers {missing}; compute them with second_moments(...)")
    fingerprint = ""
    chosen = {}
    for layer in layers:
        moment = moments[layer]
        if isinstance(moment, SecondMoment):
            fingerprint = fingerprint or model_fingerprint(anatomy.model)
            if moment.key.model != fingerprint or moment.key.layer != layer:
                raise ConfigError(
                    f"the second moment for layer {layer} is of layer {moment.key.layer} of model "
                    f"{moment.key.model[:16]}, wanted model {fingerprint[:16]}; compute it for this model"
                )
            moment = moment.matrix
        d_key = anatomy.projections[layer].d_key
        if tuple(moment.shape) != (d_key, d_key):
            raise ConfigError(
                f"the second moment for layer {layer} has shape {tuple(moment.shape)}, wanted {(d_key, d_key)}"
            )
        chosen[layer] = moment.to(anatomy.device)
    return chosen


def _save_partial(path: Path, done: int, sums: Mapping[int, Tensor]) -> None:
    written = path.with_name(path.name + ".new")
    tensors = {str(layer): matrix.cpu().contiguous() for layer, matrix in sums.items()}
    save_file(tensors, str(written), metadata={"done": str(done)})
    written.replace(path)


def _load_partial(path: Path) -> tuple[int, dict[int, Tensor]]:
    try:
        with safe_open(str(path), framework="pt") as file:
            names = list(file.keys())
            return int((file.metadata() or {})["done"]), {int(name): file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ConfigError(f"{path} is damaged; delete it and start again ({error})") from error
