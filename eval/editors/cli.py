"""``scr eval edit``, ``scr eval tune`` and ``scr eval moments``: weight editors from the command line.

Commands for ``eval.cli``'s group; torch is loaded when one of them runs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memory_store.errors import ConfigError
from scr.cli.options import Command, Session, pass_session

if TYPE_CHECKING:
    from eval.editors.anatomy import Anatomy
    from eval.editors.moments import SecondMoment

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_CACHE = click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for second moments (default: scr/moments in the user's cache folder).",
)
_CONFIG = click.option("--config", type=_FILE, help="JSON: settings by their own names, over the published ones.")
_TEMPLATES = click.option("--templates", type=_FILE, help="JSON: frozen context templates, in groups.")
_CORPUS = click.option(
    "--corpus",
    type=_FILE,
    help="Texts, a JSON list or one a line: for second moments, and for WISE what no edit governs.",
)
_BARE = click.option(
    "--bare", is_flag=True, help="Write raw prompts, as published, even where the model has a chat template."
)
_BATCH = click.option("--batch-size", type=click.IntRange(1), help="Edits written together; all where left out.")


@click.command(
    "edit",
    cls=Command,
    short_help="Write edits into a model's weights by a published method.",
    examples="""
        scr eval edit -m gpt2-xl --method memit --edits edits.jsonl --corpus texts.json --save-deltas d.safetensors
        scr eval edit -m ./model --method alphaedit --edits edits.jsonl --corpus texts.txt --batch-size 100 \\
            --config hparams.json --save-deltas d.safetensors --json
        scr eval edit -m ./model --method prune-memit --edits edits.jsonl --corpus texts.txt --save-deltas d.safetensors
    """,
)
@click.option("--method", required=True, help="memit, rome, alphaedit, … or rect-… and prune-… before one.")
@click.option("--edits", type=_FILE, required=True, help="JSON Lines or a JSON list: prompt, subject, target_new.")
@_CONFIG
@_TEMPLATES
@_CORPUS
@_BATCH
@_BARE
@click.option(
    "--save-deltas",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The changes, as safetensors under the parameters' own names.",
)
@_CACHE
@pass_session
def edit(
    session: Session,
    method: str,
    edits: Path,
    config: Path | None,
    templates: Path | None,
    corpus: Path | None,
    batch_size: int | None,
    bare: bool,
    save_deltas: Path,
    cache: Path | None,
) -> None:
    """Write edits into a model and save what changed. The model's own files are not touched.

    A model with a chat template gets each edit as an exchange of it, for that is how it will be asked.
    Interrupted, it loses at most one batch: the same command goes on.
    """
    from eval.editors.anatomy import dissect
    from eval.editors.build import build_editor, configured, layers_of, method_of
    from eval.editors.forms import form_of
    from eval.editors.prune import Prune
    from eval.editors.sweep import read_edits, read_old_answers, sweep
    from eval.editors.templates import load_templates
    from scr.language_model import load_model

    kind = method_of(method)[0]
    settings = read_settings(config)
    wanted = read_edits(edits)
    texts = _texts(method, kind.needs_moments, corpus)
    frozen = load_templates(templates) if templates is not None else None
    given = session.settings
    model, tokenizer = load_model(given.model, offline=given.offline, device=given.device)
    chosen, unknown = configured(method, model, settings)
    if unknown:
        session.warn(f"{method} has no setting {', '.join(sorted(unknown))}; left out of account")
    moments = None
    if kind.needs_moments:
        moments = _moments(session, dissect(model), tokenizer, texts or [], layers_of(chosen), cache)
    old = read_old_answers(edits) if kind.reads_old else {}
    form = form_of(tokenizer, bare=bare)
    editor = build_editor(
        method,
        model,
        tokenizer,
        chosen,
        moments=moments,
        templates=frozen,
        others=texts,
        old_answers=old,
        settings=settings,
        form=form,
    )
    run = {"method": method, "config": asdict(chosen), "settings": settings, "templates": frozen, "old": old}
    run["written"] = form.name
    with editor:
        tell = partial(meter(session), "edits")
        done = sweep(editor, wanted, save_deltas, batch_size=batch_size, run=run, progress=tell)
        norms = {name: float(delta.norm()) for name, delta in editor.weights.deltas.items()}
        sigma = editor.singular_values() if isinstance(editor, Prune) else None
    result: dict[str, Any] = {
        "method": method,
        "edits": done.edits,
        "batches": done.batches,
        "resumed_edits": done.resumed,
        "seconds": round(done.seconds, 3),
        "deltas": str(save_deltas),
        "written": form.name,
        "norms": norms,
        **({"largest_singular_values": sigma} if sigma is not None else {}),
        "config": asdict(chosen),
        "ignored": sorted(unknown),
    }
    session.print("scr.eval.edit/1", result, lambda: _as_text(result))


@click.command(
    "tune",
    cls=Command,
    short_help="Find the settings of a weight editor on development edits.",
    examples="""
        scr eval tune -m ./model --method memit --edits dev.jsonl --corpus texts.json --save-config memit.json
        scr eval tune -m ./model --method rome --edits dev.jsonl --corpus texts.json --single --budget 40 --json
        scr eval tune -m ./model --method prune-memit --edits dev.jsonl --corpus texts.json --second memit.json
    """,
)
@click.option("--method", required=True, help="As for scr eval edit.")
@click.option(
    "--edits",
    type=_FILE,
    required=True,
    help="Development edits, as for scr eval edit; rephrase_prompt and locality_prompt count where rows have them.",
)
@click.option("--budget", type=click.IntRange(1), default=20, show_default=True, help="Trials; equal for all methods.")
@click.option("--config", type=_FILE, help="JSON: settings that stay as given in every trial.")
@click.option("--second", type=_FILE, help="JSON: what the second trial tries, such as the wrapped method's best.")
@_TEMPLATES
@_CORPUS
@_BATCH
@_BARE
@click.option("--single", is_flag=True, help="Each edit by itself, the model given back after it.")
@click.option("--seed", default=0, show_default=True)
@click.option("--save-config", type=click.Path(dir_okay=False, path_type=Path), help="The best settings, for --config.")
@_CACHE
@pass_session
def tune(
    session: Session,
    method: str,
    edits: Path,
    budget: int,
    config: Path | None,
    second: Path | None,
    templates: Path | None,
    corpus: Path | None,
    batch_size: int | None,
    bare: bool,
    single: bool,
    seed: int,
    save_config: Path | None,
    cache: Path | None,
) -> None:
    """Search the published ranges of a method's settings.

    The first trial is the published configuration. A trial's score is the harmonic mean of the shares of edits, of
    rephrased prompts and of untouched prompts that are answered as they should, by greedy decoding to the stop. A
    model with a chat template is written and asked through it, as in scr eval run.
    """
    from eval.editors.anatomy import dissect
    from eval.editors.build import method_of
    from eval.editors.forms import form_of
    from eval.editors.sweep import read_old_answers
    from eval.editors.templates import load_templates
    from eval.editors.tune import Trial, read_development
    from eval.editors.tune import tune as search
    from scr.language_model import load_model

    kind = method_of(method)[0]
    settings, rows = read_settings(config), read_development(edits)
    texts = _texts(method, kind.needs_moments, corpus)
    frozen = load_templates(templates) if templates is not None else None
    given = session.settings
    model, tokenizer = load_model(given.model, offline=given.offline, device=given.device)
    anatomy = dissect(model)
    known: dict[int, SecondMoment] = {}

    def moments(layers: Sequence[int]) -> dict[int, SecondMoment]:
        missing = tuple(layer for layer in anatomy.checked_layers(layers) if layer not in known)
        if missing:
            known.update(_moments(session, anatomy, tokenizer, texts or [], missing, cache))
        return known

    def tell(number: int, trial: Trial) -> None:
        figures = trial.figures
        told = f"score {figures.score:.3f}, reliability {figures.reliability:.3f}" if figures else trial.error
        session.say(f"trial {number} of {budget}: {told}; {trial.settings or 'published settings'}")

    found = search(
        method,
        model,
        tokenizer,
        rows,
        budget=budget,
        settings=settings,
        second=read_settings(second) if second is not None else None,
        moments=moments,
        templates=frozen,
        others=texts,
        old_answers=read_old_answers(edits) if kind.reads_old else None,
        batch_size=batch_size,
        alone=single,
        seed=seed,
        form=form_of(tokenizer, bare=bare),
        progress=tell,
    )
    result = found.as_json()
    if save_config is not None:
        save_config.write_text(json.dumps(result["config"], indent=1) + "\n", encoding="utf-8")
    session.print("scr.eval.tune/1", {"edits": len(rows), "seed": seed, **result}, lambda: _tuned_as_text(result))


def _tuned_as_text(result: dict[str, Any]) -> str:
    figures = result["best"]["figures"]
    lines = [f"{result['method']}: the best of {len(result['trials'])} trials"]
    lines += [f"  {name}: {'–' if value is None else format(value, '.3f')}" for name, value in figures.items()]
    return "\n".join([*lines, f"settings {json.dumps(result['config'])}"])


@click.command(
    "moments",
    cls=Command,
    short_help="Second moments of a model's keys, which weight editors spare.",
    examples="""
        scr eval moments -m ./model --corpus texts.txt --layers 3,4,5
        scr eval moments -m gpt2-xl --corpus texts.json --method memit --json
    """,
)
@click.option("--corpus", type=_FILE, required=True, help="A JSON list of texts, or one a line.")
@click.option("--layers", help="Numbers of blocks, such as 3,4,5.")
@click.option("--method", help="Instead of --layers: those that this method edits by default.")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Texts at once.")
@_CACHE
@pass_session
def moments(
    session: Session, corpus: Path, layers: str | None, method: str | None, batch_size: int, cache: Path | None
) -> None:
    """Compute E[k k'] over a corpus and keep it for ``scr eval edit``. Goes on where it was interrupted."""
    from eval.editors.anatomy import dissect
    from eval.editors.build import configured, layers_of
    from eval.editors.sweep import read_corpus
    from scr.language_model import load_model

    if (layers is None) == (method is None):
        raise ConfigError("give either --layers or --method")
    texts = read_corpus(corpus)
    given = session.settings
    model, tokenizer = load_model(given.model, offline=given.offline, device=given.device)
    numbers = _numbers(layers) if layers is not None else layers_of(configured(method or "", model, {})[0])
    found = _moments(session, dissect(model), tokenizer, texts, numbers, cache, batch_size)
    folder = cache or default_cache()
    rows = [
        {
            "layer": layer,
            "tokens": m.key.tokens,
            "trace": float(m.matrix.trace()),
            "file": str(folder / m.key.file_name),
        }
        for layer, m in found.items()
    ]
    session.print(
        "scr.eval.moments/1",
        {"moments": rows},
        lambda: "\n".join(
            f"layer {r['layer']}: {r['tokens']} tokens, trace {r['trace']:.6g}, {r['file']}" for r in rows
        ),
    )


def read_settings(path: Path | None) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ConfigError: it is none.
    """
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read settings from {path}: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} must hold one JSON object")
    return found


def _texts(method: str, needed: bool, corpus: Path | None) -> list[str] | None:
    from eval.editors.sweep import read_corpus

    if needed and corpus is None:
        raise ConfigError(f"{method} needs second moments of the model's keys; give texts with --corpus")
    return read_corpus(corpus) if corpus is not None else None


def default_cache() -> Path:
    """``scr/moments`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scr" / "moments"


def _moments(
    session: Session,
    anatomy: Anatomy,
    tokenizer: Any,
    texts: list[str],
    layers: tuple[int, ...],
    cache: Path | None,
    batch_size: int = 32,
) -> dict[int, SecondMoment]:
    from eval.editors.moments import second_moments

    folder = cache or default_cache()
    tell = partial(meter(session), "texts")
    return second_moments(anatomy, tokenizer, texts, layers, batch_size=batch_size, cache=folder, progress=tell)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--layers takes numbers with commas between them, got {text!r}") from error


def meter(session: Session) -> Callable[[str, int, int], None]:
    """Says every few seconds how far it is and how long it may take still; called with (what, done, total)."""
    started = last = time.monotonic()
    first: int | None = None

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last, first
        now = time.monotonic()
        first = done if first is None else first
        if now - last < 3 or done <= first:
            return
        last = now
        left = (now - started) / (done - first) * (total - done)
        session.say(f"{what}: {done} of {total}, about {left:.0f} s left")

    return tell


def _as_text(result: dict[str, Any]) -> str:
    lines = [f"{result['edits']} edits by {result['method']} in {result['batches']} batches, {result['seconds']:.1f} s"]
    lines += [f"  {name}: norm {norm:.4g}" for name, norm in result["norms"].items()]
    return "\n".join([*lines, f"written to {result['deltas']}"])


__all__ = ["default_cache", "edit", "moments", "read_settings", "tune"]
