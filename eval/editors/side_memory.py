"""How does an editor answer that changes no weight? One projection is wrapped while one sentence is read.

Whether the memory speaks is settled at the prompt and holds for the whole sentence, so that greedy decoding and
teacher forcing are treated alike.
"""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from eval.editors.base import Row, WeightEditor
from scr.protocols import Answer


class SideMemory(WeightEditor):
    """Base of GRACE and WISE."""

    def __init__(self, model: Any, tokenizer: Any, layer: int, **options: Any) -> None:
        """Raises: ConfigError: the layer is out of range."""
        super().__init__(model, tokenizer, **options)
        self.anatomy.checked_layers([layer])
        self._projection: Any = self.anatomy.projections[layer].module

    @abstractmethod
    def reading(self, prompt_tokens: int) -> AbstractContextManager[None]:
        """The memory speaks, where it has something to say, for one sentence with so long a prompt."""

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        answers = []
        for prompt in prompts:
            with self.reading(len(self.language_model.prompt_ids(prompt))):
                answers += super().answer([prompt])
        return answers

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        scores = []
        for prompt, continuation in pairs:
            with self.reading(len(self.language_model.prompt_ids(prompt.rstrip()))):
                scores += super().log_likelihood([(prompt, continuation)])
        return scores

    def row_likelihood(self, rows: Sequence[Row]) -> list[tuple[float, int, bool]]:
        scores = []
        for row in rows:
            with self.reading(len(row[0])):
                scores += super().row_likelihood([row])
        return scores

    def projected(self, tokens: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Input (tokens, d_key) and output (tokens, d_model) of the unedited projection, float32."""
        kept: list[Tensor] = []
        handle = self._projection.register_forward_hook(lambda _m, inputs, out: kept.extend((inputs[0], out)))
        try:
            with torch.inference_mode():
                self.anatomy.body(input_ids=torch.tensor([list(tokens)], device=self.anatomy.device), use_cache=False)
        finally:
            handle.remove()
        # Cloned outside inference mode: later steps differentiate through expressions with them.
        key, output = (tensor.reshape(len(tokens), -1).float().clone() for tensor in kept)
        return key, output
