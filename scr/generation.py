"""How is one ``generate`` call, of which some rows read facts, run and put together again?

Rows out of scope run together as the caller sent them. Rows in scope run with their facts, those of one length
together, so that nothing is padded. What the caller's own callables and streamer see is the caller's prompt. Every row
of the result begins with the caller's row.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Arguments with one entry a row; every other tensor belongs to the whole call.
_PER_ROW = (
    "attention_mask",
    "position_ids",
    "token_type_ids",
    "negative_prompt_ids",
    "negative_prompt_attention_mask",
)
# Of these, what no longer fits once facts stand in the row.
_OF_THE_CALLERS_ROW = ("attention_mask", "position_ids", "token_type_ids", "cache_position", "past_key_values")


@dataclass(frozen=True, slots=True)
class Shown:
    """What becomes of one row."""

    ids: Sequence[int] = ()
    """The row with its facts; empty where the caller's own row runs."""
    said: Sequence[int] | None = None
    """The answer itself, where no model is asked."""


@dataclass(slots=True)
class _Part:
    rows: list[int]
    new: Any  # (rows x returned, new tokens)
    output: Any = field(default=None)


class SplitCall:
    """The arguments of one call, read as transformers reads them: keyword, else config argument, else model config."""

    def __init__(self, model: Any, ids: Any, config: Any, kwargs: Mapping[str, Any]) -> None:
        self.model = model
        self.ids = ids  # (rows, width)
        self.config = config
        self.kwargs = {k: v for k, v in kwargs.items() if k != "input_ids"}
        self.returned = int(self.setting("num_return_sequences") or 1)

    def setting(self, name: str) -> Any:
        for value in (self.kwargs.get(name), getattr(self.config, name, None)):
            if value is not None:
                return value
        return getattr(self.model.generation_config, name, None)

    @property
    def room(self) -> int:
        """The most new tokens that the call may make; 20 where nothing is said, as in transformers."""
        if self.setting("max_new_tokens") is not None:
            return int(self.setting("max_new_tokens"))
        if self.setting("max_length") is not None:
            return int(self.setting("max_length")) - int(self.ids.shape[1])
        return 20

    def run(self, shown: Sequence[Shown], pad: int | None) -> Any:
        """Rows out of scope first, so that sampling draws for them what the base run of those rows draws."""
        parts = []
        silent = [i for i, row in enumerate(shown) if not row.ids and row.said is None]
        if silent:
            output = self.model.generate(self.ids[silent], self.config, **self._for_rows(silent))
            parts.append(_Part(silent, _sequences(output)[:, self.ids.shape[1] :], output))
        groups: dict[tuple[int, int], list[int]] = {}
        alone = any(self.kwargs.get(k) is not None for k in ("assistant_model", "prompt_lookup_num_tokens"))
        for index, row in enumerate(shown):
            if row.said is not None:
                parts.append(_Part([index], self._said(index, row.said)))
            elif row.ids:
                groups.setdefault((len(row.ids), index if alone else 0), []).append(index)
        for (length, _), rows in groups.items():
            output = self._with_facts(rows, [shown[i].ids for i in rows])
            if hasattr(output, "past_key_values"):
                output.past_key_values = None  # it holds the facts, and positions that are not the caller's
            parts.append(_Part(rows, _sequences(output)[:, length:], output))
        return self._together(parts, pad)

    def _for_rows(self, rows: list[int]) -> dict[str, Any]:
        """The caller's keyword arguments for some of the rows."""
        count = self.ids.shape[0]
        cut = dict(self.kwargs)
        if rows == list(range(count)):
            return cut
        for name in _PER_ROW:
            value = cut.get(name)
            if value is not None and hasattr(value, "shape"):
                # Position ids of some multimodal models are (3, rows, width).
                cut[name] = value[rows] if value.shape[0] == count and value.dim() < 3 else value[:, rows]
        allowed, each = cut.get("prefix_allowed_tokens_fn"), self._ids_a_row
        if allowed is not None:
            cut["prefix_allowed_tokens_fn"] = lambda b, ids: allowed(rows[b // each] * each + b % each, ids)
        return cut

    @property
    def _ids_a_row(self) -> int:
        """How many batch ids transformers gives a row's sequences: beams of a row share one."""
        return 1 if int(self.setting("num_beams") or 1) > 1 else self.returned

    def _with_facts(self, rows: list[int], texts: Sequence[Sequence[int]]) -> Any:
        """Run rows that have one length with their facts."""
        import torch

        ids = torch.tensor([list(t) for t in texts], dtype=self.ids.dtype, device=self.ids.device)  # (rows, length)
        cut = self._for_rows(rows)
        for name in _OF_THE_CALLERS_ROW:
            cut.pop(name, None)
        config = self._without_prompt_lengths(cut)
        seen = self.ids[rows]  # (rows, width): what the caller's own callables are shown
        length, each = ids.shape[1], self._ids_a_row
        for name, wrapper in (("logits_processor", _Processor), ("stopping_criteria", _Criterion)):
            if cut.get(name):
                cut[name] = type(cut[name])(wrapper(item, seen, length) for item in cut[name])
        allowed = cut.get("prefix_allowed_tokens_fn")
        if allowed is not None:
            cut["prefix_allowed_tokens_fn"] = lambda b, tokens: allowed(
                b, torch.cat([seen[b // each].to(tokens.device), tokens[length:]])
            )
        if cut.get("streamer") is not None:
            cut["streamer"] = _PromptSwap(cut["streamer"], seen)
        return self.model.generate(ids, config, attention_mask=torch.ones_like(ids), **cut)

    def _without_prompt_lengths(self, cut: dict[str, Any]) -> Any:
        """``max_length`` and ``min_length`` count the caller's prompt: said again, in ``cut``, as new tokens."""
        width, config = int(self.ids.shape[1]), copy.deepcopy(self.config)
        for length, new in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
            said = self.setting(length)
            if self.setting(new) is not None or not said:
                continue
            cut[new] = max(int(said) - width, 0)
            cut.pop(length, None)
            if config is not None:
                setattr(config, length, None)
        return config

    def _said(self, index: int, ids: Sequence[int]) -> Any:
        import torch

        limit = self.room if self.setting("max_new_tokens") or self.setting("max_length") else len(ids)
        new = torch.tensor([list(ids[:limit])] * self.returned, dtype=self.ids.dtype, device=self.ids.device)
        streamer = self.kwargs.get("streamer")
        if streamer is not None:
            streamer.put(self.ids[[index]].cpu())
            for token in new[0]:
                streamer.put(token[None].cpu())
            streamer.end()
        return new

    def _where(self, part: _Part) -> list[int]:
        """The rows of the result that a part fills."""
        return [row * self.returned + sequence for row in part.rows for sequence in range(self.returned)]

    def _together(self, parts: list[_Part], pad: int | None) -> Any:
        import torch

        total, width = self.ids.shape[0] * self.returned, max(part.new.shape[1] for part in parts)
        new = torch.full((total, width), pad or 0, dtype=self.ids.dtype, device=self.ids.device)
        for part in parts:
            new[self._where(part), : part.new.shape[1]] = part.new.to(new.device)
        sequences = torch.cat([self.ids.repeat_interleave(self.returned, dim=0), new], dim=1)
        if not self.setting("return_dict_in_generate"):
            return sequences
        merged = next((part.output for part in parts if part.output is not None), None)
        if merged is None:
            from transformers.generation.utils import GenerateDecoderOnlyOutput

            return GenerateDecoderOnlyOutput(sequences=sequences)
        if len(parts) > 1:
            for name in [n for n in merged if n != "sequences"]:
                # What cannot be put together from several runs is left out rather than wrong.
                merged[name] = self._merged(name, parts, total)
        merged.sequences = sequences
        return merged

    def _merged(self, name: str, parts: list[_Part], total: int) -> Any:
        """One output field of several runs; NaN where a run has none."""
        import torch

        values = [(part, getattr(part.output, name, None)) for part in parts]
        nan = float("nan")
        if name == "sequences_scores":
            scores = torch.full((total,), nan, device=self.ids.device)
            for part, value in values:
                if value is not None:
                    scores[self._where(part)] = value.float().to(scores.device)
            return scores
        if name not in ("scores", "logits") or int(self.setting("num_beams") or 1) > 1:
            return None
        steps = max(len(value) for _, value in values if value is not None)
        size = next(value[0].shape[-1] for _, value in values if value is not None)
        merged = [torch.full((total, size), nan, device=self.ids.device) for _ in range(steps)]
        for part, value in values:
            for step, row_scores in enumerate(value or ()):
                merged[step][self._where(part)] = row_scores.float().to(self.ids.device)
        return tuple(merged)


class _SeesCallersPrompt:
    """Stands before a caller's own callable, which is to see its own prompt and never the facts."""

    def __init__(self, inner: Any, seen: Any, length: int) -> None:
        self.inner, self.seen, self.length = inner, seen, length

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def swapped(self, input_ids: Any) -> Any:
        import torch

        seen = self.seen.repeat_interleave(input_ids.shape[0] // self.seen.shape[0], dim=0).to(input_ids.device)
        return torch.cat([seen, input_ids[:, self.length :]], dim=1)


class _Processor(_SeesCallersPrompt):
    # transformers counts the parameters, so there is no **kwargs here.
    def __call__(self, input_ids: Any, scores: Any) -> Any:
        return self.inner(self.swapped(input_ids), scores)


class _Criterion(_SeesCallersPrompt):
    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return self.inner(self.swapped(input_ids), scores, **kwargs)


class _PromptSwap:
    """A caller's streamer that is given the caller's prompt in place of the one with the facts."""

    def __init__(self, inner: Any, seen: Any) -> None:
        self.inner, self.seen, self.started = inner, seen, False

    def put(self, value: Any) -> None:
        self.inner.put(value if self.started else self.seen.cpu())
        self.started = True

    def end(self) -> None:
        self.inner.end()


def _sequences(output: Any) -> Any:
    return getattr(output, "sequences", output)
