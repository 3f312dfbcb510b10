"""What does an edit cost by the published procedure, and here? Keys, values and solve, in one run.

    python -m eval.benchmarks.editors --model FOLDER --edits FILE [--templates FILE] [--layers 1,2,3] [--n 20] [--json]
    python -m eval.benchmarks.editors --shape llama-3-8b --n 8        # random weights, CUDA; nothing is downloaded

CPU seconds of this process on one thread (on CUDA: wall seconds, synchronised), the median of ``--repeat`` runs:

- ``values``: the published procedure optimises one edit at a time, all blocks, all positions, the head everywhere
  (``eval.benchmarks.reference``); ours ``eval.editors.values``, with the same early stops;
- ``keys``: a whole forward pass a layer against sentences cut at the subject that stop at the layer;
- ``solve``: the d × d system against the N × N one on a factor made once a model.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import torch
from torch import Tensor

from eval.benchmarks.reference import reference_value_optimisation
from eval.editors.anatomy import Anatomy, dissect
from eval.editors.errors import ConfigError
from eval.editors.keys import KeyTape
from eval.editors.solvers import Preserved, least_squares_update
from eval.editors.subjects import Request, Templates, requests
from eval.editors.sweep import read_edits
from eval.editors.templates import load_templates, sampled_templates
from eval.editors.values import ValueSettings, optimised_values
from memory_store.edit import Edit

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds per edit, and how far apart the results are."""

    what: str
    published: float
    ours: float
    ratio: float
    difference: float
    """Largest relative difference of an edit's result."""


def measure(
    anatomy: Anatomy,
    batch: Sequence[Request],
    templates: Templates,
    layers: Sequence[int],
    settings: ValueSettings,
    *,
    repeat: int = 3,
) -> list[Cost]:
    """Cost of values, keys and solve for one batch of edits."""
    top = layers[-1]
    slow, reference = timed(anatomy, lambda: reference_value_optimisation(anatomy, batch, top, settings), repeat)
    fast, ours = timed(anatomy, lambda: optimised_values(anatomy, batch, top, settings), repeat)
    if [len(x) for x in reference.losses] != [len(x) for x in ours.losses]:
        raise ConfigError("the early stops differ; the two procedures did not do the same work")
    costs = [_cost("values", slow, fast, len(batch), _apart(ours.targets, reference.targets))]

    slow, whole = timed(anatomy, lambda: [whole_keys(anatomy, batch, layer) for layer in layers], repeat)

    def cut_keys() -> list[Tensor]:
        tape = KeyTape(anatomy, batch, templates, layers[0])
        return [tape.row_keys(layer) for layer in layers]

    fast, cut = timed(anatomy, cut_keys, repeat)
    costs.append(_cost("keys", slow, fast, len(batch), max(map(_apart, cut, whole))))

    d_key, d_model = anatomy.projections[top].d_key, anatomy.projections[top].d_model
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(2 * d_key, d_key, generator=generator).to(anatomy.device)
    moment = (sample.T @ sample / len(sample)).double()
    keys = torch.randn(d_key, len(batch), generator=generator).to(anatomy.device).double()
    residuals = torch.randn(d_model, len(batch), generator=generator).to(anatomy.device).double()
    slow, direct = timed(anatomy, lambda: residuals @ torch.linalg.solve(100 * moment + keys @ keys.T, keys).T, repeat)
    preserved = Preserved(moment, 100.0)
    fast, small = timed(anatomy, lambda: least_squares_update(preserved, keys, residuals), repeat)
    return [*costs, _cost("solve", slow, fast, len(batch), _apart(small, direct))]


def timed(anatomy: Anatomy, work: Callable[[], T], repeat: int) -> tuple[float, T]:
    """Median seconds of ``work``, and what it gave: CPU seconds of this process, on CUDA wall seconds."""
    cuda = anatomy.device.type == "cuda"
    clock = time.perf_counter if cuda else time.process_time
    seconds = []
    for _ in range(repeat):
        if cuda:
            torch.cuda.synchronize()
        started = clock()
        result = work()
        if cuda:
            torch.cuda.synchronize()
        seconds.append(clock() - started)
    return statistics.median(seconds), result


def whole_keys(anatomy: Anatomy, batch: Sequence[Request], layer: int) -> Tensor:
    """Keys by a forward pass over whole sentences, the head included, an edit at a time, shape (sentences, d_key)."""
    kept: list[Tensor] = []
    handle = anatomy.projections[layer].module.register_forward_pre_hook(lambda _m, inputs: kept.append(inputs[0]))
    found = []
    try:
        with torch.no_grad():
            for request in batch:
                width = max(len(row.ids) for row in request.prompts)
                ids = torch.tensor([[*r.ids, *[0] * (width - len(r.ids))] for r in request.prompts])
                mask = torch.tensor([[1] * len(r.ids) + [0] * (width - len(r.ids)) for r in request.prompts])
                kept.clear()
                anatomy.model(input_ids=ids.to(anatomy.device), attention_mask=mask.to(anatomy.device), use_cache=False)
                keys = kept[0].reshape(len(request.prompts), width, -1)
                last = torch.tensor([row.subject_last for row in request.prompts])
                found.append(keys[torch.arange(len(last)), last].float())
    finally:
        handle.remove()
    return torch.cat(found)


def _apart(got: Tensor, wanted: Tensor) -> float:
    return float(((got - wanted).norm(dim=1) / wanted.norm(dim=1)).max())


def _cost(what: str, published: float, ours: float, n: int, difference: float) -> Cost:
    return Cost(what=what, published=published / n, ours=ours / n, ratio=published / ours, difference=difference)


def shaped_model(shape: str) -> Any:
    """A model of a published shape with random weights, bfloat16, on CUDA.

    Raises:
        ConfigError: another shape, or no CUDA.
    """
    from transformers import AutoModelForCausalLM, LlamaConfig

    if shape != "llama-3-8b":
        raise ConfigError(f"the only shape is llama-3-8b, got {shape!r}")
    if not torch.cuda.is_available():
        raise ConfigError("the 8B shape needs CUDA; give --model on this machine")
    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=8192,
        rope_theta=500_000.0,
    )
    torch.manual_seed(0)
    with torch.device("cuda"):
        return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()


def made_up_requests(n: int, seed: int = 0) -> tuple[list[Request], Templates]:
    """Edits as random tokens of usual lengths: subjects of 4, prompts of 9, six contexts, targets of one token."""
    from eval.editors.subjects import Row

    generator = torch.Generator().manual_seed(seed)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(1000, 100_000, (count,), generator=generator).tolist())

    contexts = [(), *(ids(11) for _ in range(5))]
    found = []
    for number in range(n):
        lead, subject, rest = ids(3), ids(4), ids(2 + number % 4)
        rows = tuple(Row((*c, *lead, *subject, *rest), len(c) + 6) for c in contexts)
        edit = Edit(statement="", prompt=f"made-up prompt {number}", target_new="made-up")
        found.append(Request(edit, rows, ids(1), Row((*subject, *ids(2)), 3)))
    return found, [["{}"], [f"context {i}. {{}}" for i in range(5)]]


@click.command()
@click.option("--model", help="Hugging Face name or folder.")
@click.option("--shape", help="Instead of --model: llama-3-8b, with random weights.")
@click.option("--edits", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON Lines.")
@click.option("--templates", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Frozen contexts.")
@click.option("--layers", default="", help="Numbers of blocks; the published ones where left out.")
@click.option("--n", default=20, show_default=True, help="Edits.")
@click.option("--v-lr", default=0.5, show_default=True)
@click.option("--v-num-grad-steps", default=20, show_default=True)
@click.option("--clamp-norm-factor", default=0.75, show_default=True)
@click.option("--repeat", default=3, show_default=True, help="Runs; the median counts.")
@click.option("--threads", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(
    model: str | None,
    shape: str | None,
    edits: Path | None,
    templates: Path | None,
    layers: str,
    n: int,
    v_lr: float,
    v_num_grad_steps: int,
    clamp_norm_factor: float,
    repeat: int,
    threads: int,
    as_json: bool,
) -> None:
    """Time keys, values and solve per edit against the published procedure."""
    from eval.editors.published import published_for
    from scr.language_model import load_model

    torch.set_num_threads(threads)
    settings = ValueSettings(v_lr=v_lr, v_num_grad_steps=v_num_grad_steps, clamp_norm_factor=clamp_norm_factor)
    if shape is not None:
        network = shaped_model(shape)
        batch, contexts = made_up_requests(n)
    elif edits is None:
        raise click.UsageError("give --edits with --model, or --shape")
    else:
        network, tokenizer = load_model(model)
        contexts = load_templates(templates) if templates is not None else sampled_templates(network, tokenizer)
        batch = requests(tokenizer, read_edits(edits)[:n], contexts)
    anatomy = dissect(network)
    chosen = [int(x) for x in layers.split(",")] if layers else published_for(network).layers
    costs = measure(anatomy, batch, contexts, anatomy.checked_layers(chosen), settings, repeat=repeat)
    told = {"edits": len(batch), "threads": threads, "layers": list(chosen), "device": str(anatomy.device)}
    if as_json:
        click.echo(json.dumps({**told, "settings": asdict(settings), "costs": [asdict(c) for c in costs]}, indent=2))
        return
    click.echo("  ".join(f"{key} {value}" for key, value in told.items()))
    click.echo(f"{'':<8}{'published s':>13}{'ours s':>11}{'ratio':>8}{'difference':>12}")
    for c in costs:
        click.echo(f"{c.what:<8}{c.published:>13.5f}{c.ours:>11.5f}{c.ratio:>8.1f}{c.difference:>12.1e}")


if __name__ == "__main__":
    main()
