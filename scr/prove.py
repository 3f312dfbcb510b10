"""Is a prompt that no edit governs answered by exactly the model that was wrapped? Compare hashes, not impressions.

Each prompt is generated twice, by the wrapped model alone and through the memory, and the logits of every step are
hashed. Where no edit fires the two hashes must be equal: the same call, the same bits.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scr.edited_model import EditedModel


@dataclass(frozen=True, slots=True)
class ProofRow:
    """One prompt, generated with and without the memory."""

    prompt: str
    fired: bool
    """An edit governs it, so the two may differ."""
    base: str
    """sha256 of the logits (float32, steps x vocabulary) and of the tokens, without the memory."""
    edited: str
    """The same with it."""

    @property
    def identical(self) -> bool:
        return self.base == self.edited


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared, prompt by prompt."""

    rows: tuple[ProofRow, ...]

    @property
    def prompts(self) -> int:
        return len(self.rows)

    @property
    def fired(self) -> int:
        return sum(row.fired for row in self.rows)

    @property
    def silent(self) -> int:
        return self.prompts - self.fired

    @property
    def identical(self) -> bool:
        """Every silent prompt gave the same bits."""
        return all(row.identical for row in self.rows if not row.fired)


def prove(model: EditedModel, prompts: Iterable[str], *, max_new_tokens: int = 8) -> Proof:
    """Generate each prompt greedily with and without the memory and compare.

    Args:
        prompts: asked as ``ask`` would ask them; a progress bar is the caller's (wrap the iterable).
        max_new_tokens: steps whose logits are compared.
    """
    rows = []
    for prompt in prompts:
        ids = model.question_ids(prompt)
        (decision,) = model.decide([model.turns.find(ids).query])
        base = _digest(model.model.generate(**_call(ids, model.device, max_new_tokens)))
        edited = _digest(model.generate(**_call(ids, model.device, max_new_tokens)))
        rows.append(ProofRow(prompt, bool(decision.in_scope), base, edited))
    return Proof(tuple(rows))


def _call(ids: Sequence[int], device: Any, max_new_tokens: int) -> dict[str, Any]:
    import torch

    tensor = torch.tensor([list(ids)], device=device)
    return {
        "input_ids": tensor,
        "attention_mask": torch.ones_like(tensor),
        "max_new_tokens": max_new_tokens,
        "do_sample": False,
        "return_dict_in_generate": True,
        "output_logits": True,
    }


def _digest(output: Any) -> str:
    digest = hashlib.sha256(repr(output.sequences.tolist()).encode())
    for step in output.logits or ():
        digest.update(step.float().cpu().numpy().tobytes())
    return digest.hexdigest()
