"""How probable does a model find answers that are given to it?

Rows are tokens: a prompt's and an answer's. Rows of the same two lengths run together and nothing is padded, so that a
row's score does not depend on its company beyond the last bits of a float.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

_TOGETHER = 32
"""Rows in one forward pass, at most."""


def row_likelihood(model: Any, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, int, bool]]:
    """Teacher-forced score of each row's answer: log-probability (nats), its tokens, whether all are greedy.

    Args:
        rows: token ids of a prompt and of an answer, neither empty.
    """
    import torch

    by_lengths: dict[tuple[int, int], list[int]] = {}
    for index, (prompt, answer) in enumerate(rows):
        by_lengths.setdefault((len(prompt), len(answer)), []).append(index)
    sparing = "logits_to_keep" in inspect.signature(model.forward).parameters
    found: dict[int, tuple[float, int, bool]] = {}
    for (_, length), members in by_lengths.items():
        for start in range(0, len(members), _TOGETHER):
            some = members[start : start + _TOGETHER]
            ids = torch.tensor([[*rows[i][0], *rows[i][1]] for i in some], device=model.device)  # (rows, tokens)
            # The last prompt token foretells the answer's first; the answer's last foretells nothing asked.
            options = {"logits_to_keep": length + 1} if sparing else {}
            with torch.inference_mode():
                logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **options).logits
            scores = logits[:, -length - 1 : -1].float().log_softmax(-1)  # (rows, length, vocabulary)
            wanted = ids[:, -length:]
            chosen = scores.gather(-1, wanted[..., None])[..., 0].double().sum(-1)
            greedy = (scores.argmax(-1) == wanted).all(-1)
            for index, nats, same in zip(some, chosen.tolist(), greedy.tolist(), strict=True):
                found[index] = nats, length, same
    return [found[index] for index in range(len(rows))]


__all__ = ["row_likelihood"]
