"""Which words stand before a prompt while an edit is made? Contexts keep an edit from fitting one bare sentence.

MEMIT's procedure: the model continues five short openings by ten tokens. The published code samples them unseeded, so
that its results differ from run to run; here they depend on ``seed`` alone and can be frozen in a file.
"""

import json
from pathlib import Path
from typing import Any

import torch

from eval.editors.errors import ConfigError
from eval.editors.subjects import Templates, flat_templates

OPENINGS = ("The", "Therefore", "Because", "I", "You")


def sampled_templates(
    model: Any, tokenizer: Any, *, seed: int = 0, tokens: int = 10, top_k: int = 5
) -> list[list[str]]:
    """Two groups: the bare prompt, and five openings continued by top-k sampling.

    Source: MEMIT, arXiv:2210.07229.
    """
    generator = torch.Generator().manual_seed(seed)
    texts = []
    for opening in OPENINGS:
        ids = torch.tensor([tokenizer(opening)["input_ids"]], device=model.device)
        for _ in range(tokens):
            with torch.inference_mode():
                logits = model(input_ids=ids).logits[0, -1].float().cpu()
            best = logits.topk(min(top_k, logits.numel()))
            drawn = best.indices[torch.multinomial(best.values.softmax(-1), 1, generator=generator)]
            ids = torch.cat([ids, drawn.to(ids.device)[None]], dim=1)
        text = tokenizer.decode(ids[0], skip_special_tokens=True)
        texts.append(" ".join(text.replace("{", " ").replace("}", " ").split()) + ". {}")
    return [["{}"], texts]


def load_templates(path: Path) -> list[list[str]]:
    """Read frozen templates: a JSON list of groups, or a flat list.

    Raises:
        ConfigError: not such a file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read context templates from {path}: {error}") from error
    if isinstance(found, list) and all(isinstance(t, str) for t in found):
        found = [found]
    if not isinstance(found, list) or not all(
        isinstance(g, list) and all(isinstance(t, str) for t in g) for g in found
    ):
        raise ConfigError(f"{path} holds no list of templates")
    groups: Templates = found
    flat_templates(groups)
    return found
