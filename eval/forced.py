"""How probable does a model find answers that are given to it?

Rows are tokens: a prompt's and an answer's. Rows of the same two lengths run together and nothing is padded, so that a
row's score does not depend on its company beyond the last bits of a float.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from memory_store.errors import ConfigError

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


def token_hits(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> tuple[bool, ...]:
    """Of each token of an answer, whether it is the likeliest after the prompt and the answer's earlier tokens.

    Args:
        prompt: token ids, at least one.
        answer: token ids, at least one.

    Raises:
        ConfigError: one of them is empty.
    """
    import torch

    if not prompt or not answer:
        raise ConfigError(f"a prompt of {len(prompt)} and an answer of {len(answer)} tokens cannot be read")
    ids = torch.tensor([[*prompt, *answer]], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, len(prompt) - 1 : -1]
    return tuple((logits.argmax(-1) == ids[0, len(prompt) :]).tolist())


__all__ = ["row_likelihood", "token_hits"]
