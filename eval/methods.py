"""What is compared? Every method by name, as an ``scr.protocols.Editor`` that is asked questions, all in the same way.

Three families: *control* (no edit, the right fact always shown, the stored answer without a model), *retrieval* (a
memory in front of the frozen model) and *parametric* (``eval.editors``). A ``Bench`` holds the one frozen model and
what methods share; it is the only place that decides how a question reaches the model, so that none is asked better
than another. Weight editors write an edit in the form in which it will be asked (``eval.editors.forms``); with
``written="raw"`` they write the bare prompt, as published, whatever they are asked. Teacher-forced figures of every
method are read in the form in which edits are written.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from eval.editors.anatomy import dissect
from eval.editors.build import NAMES, build_editor, configured, layers_of, method_of
from eval.editors.forms import RAW, Chat, Form
from eval.editors.side_memory import SideMemory
from eval.editors.templates import sampled_templates
from eval.eren import Eren
from eval.forced import row_likelihood
from eval.radius import Radius
from eval.scr_paper import ScrPaper
from memory_store.edit import Edit, PutResult
from memory_store.errors import ConfigError
from scr.language_model import HFLanguageModel
from scr.pocket.data import Generator
from scr.pocket.facts import load_facts
from scr.prompting import facts_block
from scr.protocols import Answer, Editor, Judged

if TYPE_CHECKING:
    from torch import Tensor

    from eval.editors.moments import SecondMoment
    from scr.edited_model import EditedModel
    from scr.protocols import Encoder

Family = Literal["control", "retrieval", "parametric"]
Wording = Literal["asked", "raw"]
"""How edits are written: in the form in which they are asked, or as raw text."""
Governing = Mapping[str, Sequence[str]]
"""Prompt → edit_ids that govern it, for the method that is told."""
Scores = list[tuple[float, int, bool]]


class Compared(Editor, Protocol):
    """An editor that can also be asked with the answer given."""

    def forced(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        """As ``log_likelihood``, of (question, answer) in the form in which edits are written, not of raw texts."""

    def __enter__(self) -> Self: ...


IMPOSSIBLE = -1e4
"""Log-probability (nats) that a stored answer gives to any other text."""


class Bench:
    """One frozen model, how it is asked, and what is computed once for several methods."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        chat: bool | None = None,
        max_new_tokens: int = 24,
        encoder: str | None = None,
        offline: bool = True,
        corpus: Sequence[str] | None = None,
        moments: Mapping[int, SecondMoment | Tensor] | None = None,
        templates: Sequence[Sequence[str]] | None = None,
        cache: Path | None = None,
        seed: int = 0,
        written: Wording = "asked",
    ) -> None:
        """Nothing is computed before a method asks for it.

        Args:
            chat: ask as a user turn of the model's template; None where it has one.
            encoder: name of the memory's encoder; None is the product's default.
            corpus: texts for second moments of keys; None makes statements and chats of the pocket model's facts.
            moments: second moments that are there already, by layer.
            templates: context templates; None samples them from the model.
            cache: folder for second moments; None keeps them here only.
            written: how edits are written: in the form in which they are asked, or as raw text.

        Raises:
            ConfigError: ``chat`` for a tokenizer without a template, or no room for an answer.
        """
        has_template = bool(getattr(tokenizer, "chat_template", None))
        if written not in ("asked", "raw"):
            raise ConfigError(f"edits are written as they are asked or raw, got {written!r}")
        if max_new_tokens < 1:
            raise ConfigError(f"an answer needs room for a token, got {max_new_tokens}")
        self.model, self.tokenizer = model, tokenizer
        self.chat = has_template if chat is None else chat
        self._asked: Form = Chat(tokenizer) if self.chat else RAW
        self.form: Form = self._asked if written == "asked" else RAW
        """How edits are written, and how teacher-forced figures are read."""
        self.max_new_tokens = max_new_tokens
        self.language_model = HFLanguageModel(model, tokenizer)
        self._encoder_name, self._offline = encoder, offline
        self._corpus, self._cache, self.seed = corpus, cache, seed
        self._moments: dict[int, SecondMoment | Tensor] = dict(moments or {})
        self._templates = templates
        self.steps: Mapping[str, Sequence[str]] = {}
        """Prompt → the single questions it falls into, for the method that is told."""

    def asked(self, content: str) -> str:
        """The text that the model continues when ``content`` is asked."""
        return self._asked.text(content)

    def forced(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        """Teacher-forced scores of (content, answer) by the model as it is now, in the form edits are written in."""
        if self.form is RAW:
            return self.language_model.log_likelihood(spaced(pairs))
        return row_likelihood(self.model, self.rows(pairs))

    def rows(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], tuple[int, ...]]]:
        """(content, answer) as tokens of the text that asks and of the answer to it."""
        return [
            (
                self.language_model.prompt_ids(self.form.text(content)),
                self.form.answer_ids(self.tokenizer, content, answer),
            )
            for content, answer in pairs
        ]

    def say(self, contents: Sequence[str]) -> list[str]:
        """Greedy answers of the model as it is now."""
        texts = [self.asked(content) for content in contents]
        return [t.strip() for t in self.language_model.generate(texts, max_new_tokens=self.max_new_tokens)]

    def digest(self) -> str:
        """sha256 over every byte of every parameter and buffer, by name."""
        import torch

        found = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            found.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()

    @cached_property
    def encoder(self) -> Encoder:
        from scr.encoder import load_encoder

        return load_encoder(self._encoder_name, offline=self._offline)

    @cached_property
    def corpus(self) -> list[str]:
        """Texts whose keys weight editors spare."""
        if self._corpus is not None:
            return list(self._corpus)
        generator, rng = Generator(split="train"), random.Random(f"{self.seed}-corpus")
        texts = []
        for number, fact in enumerate(load_facts()):
            known = generator.known(rng, fact)
            texts.append(
                f"{known.cloze} {known.object}." if number % 2 else f"{self.asked(known.question)}{known.object}"
            )
        return texts

    @cached_property
    def templates(self) -> Sequence[Sequence[str]]:
        """Context templates, sampled from the unedited model where none were given."""
        if self._templates is not None:
            return self._templates
        return sampled_templates(self.model, self.tokenizer, seed=self.seed)

    def moments(self, layers: Sequence[int]) -> dict[int, SecondMoment | Tensor]:
        """Second moments of the unedited model's keys."""
        from eval.editors.moments import second_moments

        missing = [layer for layer in layers if layer not in self._moments]
        if missing:
            made = second_moments(dissect(self.model), self.tokenizer, self.corpus, missing, cache=self._cache)
            self._moments.update(made)
        return {layer: self._moments[layer] for layer in layers}


def load_bench(name: str | None, *, device: str | None = None, offline: bool = True, **options: Any) -> Bench:
    """A bench around a model that is loaded for it; ``options`` are ``Bench``'s."""
    from scr.language_model import load_model

    model, tokenizer = load_model(name, offline=offline, device=device)
    return Bench(model, tokenizer, offline=offline, **options)


def spaced(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """(content, answer) as a text and its continuation."""
    return [(content, f" {answer.strip()}") for content, answer in pairs]


# --- controls --------------------------------------------------------------------------------------------------


class _Listed:
    """What the controls share: a list of edits, taken back on exit."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.live: dict[str, Edit] = {}

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]:
        self.live.update({edit.edit_id: edit for edit in edits})
        return [PutResult(status="added", edit=edit) for edit in edits]

    def forget(self, edit_ids: Sequence[str]) -> None:
        for edit_id in edit_ids:
            self.live.pop(edit_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.live.clear()


class Unedited(_Listed):
    """``base``: the frozen model, whatever the edits."""

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        return [Answer(text, "base") for text in self.bench.say(prompts)]

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        return self.bench.language_model.log_likelihood(pairs)

    def forced(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        return self.bench.forced(pairs)


class OracleContext(_Listed):
    """``oracle-context``: the right fact always in front of the question; what reading alone can reach."""

    def __init__(self, bench: Bench, governing: Governing) -> None:
        super().__init__(bench)
        self.governing = governing

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        used = [self._used(prompt) for prompt in prompts]
        shown = [self._block(edits) + prompt for prompt, edits in zip(prompts, used, strict=True)]
        return [
            Answer(text, "context" if edits else "base", used=tuple(Judged(edit, 1.0) for edit in edits))
            for text, edits in zip(self.bench.say(shown), used, strict=True)
        ]

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        return self.bench.language_model.log_likelihood(self._pairs(pairs))

    def forced(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        return self.bench.forced(self._pairs(pairs))

    def shown(self, prompts: Sequence[str]) -> list[str]:
        """The questions as the model reads them."""
        return [self._block(self._used(prompt)) + prompt for prompt in prompts]

    def _pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return list(zip(self.shown([prompt for prompt, _ in pairs]), (text for _, text in pairs), strict=True))

    def _used(self, prompt: str) -> list[Edit]:
        return [self.live[edit_id] for edit_id in self.governing.get(prompt, ()) if edit_id in self.live]

    def _block(self, edits: Sequence[Edit]) -> str:
        return facts_block([edit.statement for edit in edits])


# --- retrieval -------------------------------------------------------------------------------------------------


class Retrieved:
    """``scr``, ``cosine``: the product as a user has it, its answers cut to the same length as everyone's."""

    def __init__(self, bench: Bench, edited: EditedModel) -> None:
        self.bench, self.edited = bench, edited

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]:
        return self.edited.edit(list(edits))

    def forget(self, edit_ids: Sequence[str]) -> None:
        self.edited.forget(list(edit_ids))

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        limit = self.bench.max_new_tokens
        if self.bench.chat:
            return self.edited.ask(list(prompts), max_new_tokens=limit)
        return self.edited.editor.answer(prompts, max_new_tokens=limit)

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        return self.edited.log_likelihood(pairs)

    def forced(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        prompts = list(dict.fromkeys(prompt for prompt, _ in pairs))
        read = dict(zip(prompts, self.shown(prompts), strict=True))
        return self.bench.forced([(read[prompt], text) for prompt, text in pairs])

    def shown(self, prompts: Sequence[str]) -> list[str]:
        """The questions as the model reads them."""
        tokens = self.edited.turns.special_tokens
        return [
            facts_block([judged.edit.statement for judged in decision.in_scope], tokens) + prompt
            for prompt, decision in zip(prompts, self.edited.decide(list(prompts)), strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.edited.__exit__(*exc)
        self.edited.store.close()


class Asked(Retrieved):
    """The product through ``EditedModel.ask``, also where the model has no chat template."""

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        return self.edited.ask(list(prompts), max_new_tokens=self.bench.max_new_tokens)


class Copied(Retrieved):
    """``copy``: the stored answer where the scope decision fires, the frozen model elsewhere; scope without reasoning.

    Its likelihoods are 0 for the stored answer and ``IMPOSSIBLE`` for any other text.
    """

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        decisions = self.edited.decide(prompts)
        silent = [i for i, decision in enumerate(decisions) if not decision.in_scope]
        said = dict(zip(silent, self.bench.say([prompts[i] for i in silent]), strict=True))
        return [
            Answer(said[i], "base")
            if i in said
            else Answer(decision.in_scope[0].edit.target_new, "verbatim", used=decision.in_scope[:1])
            for i, decision in enumerate(decisions)
        ]

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        return self._copied(pairs, self.bench.language_model.log_likelihood(pairs))

    def forced(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        return self._copied(pairs, self.bench.forced(pairs))

    def _copied(self, pairs: Sequence[tuple[str, str]], base: Scores) -> Scores:
        """``base``, the model's own scores, with the stored answer's and its rivals' where an edit is decided."""
        decisions = self.edited.decide([prompt for prompt, _ in pairs])
        found = []
        for (_, text), decision, (total, tokens, greedy) in zip(pairs, decisions, base, strict=True):
            if decision.in_scope:
                greedy = text.strip() == decision.in_scope[0].edit.target_new.strip()
                total = 0.0 if greedy else IMPOSSIBLE * tokens
            found.append((total, tokens, greedy))
        return found


# --- parametric ------------------------------------------------------------------------------------------------


class Written:
    """A weight editor that is asked as everyone is; how it writes is its own ``form``."""

    def __init__(self, bench: Bench, inner: Any) -> None:
        self.bench, self.inner = bench, inner
        getattr(inner, "host", inner).max_new_tokens = bench.max_new_tokens

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]:
        return list(self.inner.edit(edits))

    def forget(self, edit_ids: Sequence[str]) -> None:
        self.inner.forget(edit_ids)

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        return list(self.inner.answer([self.bench.asked(prompt) for prompt in prompts]))

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        return list(self.inner.log_likelihood(pairs))

    def forced(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        if self.bench.form is RAW:
            return list(self.inner.log_likelihood(spaced(pairs)))
        rows = self.bench.rows(pairs)
        if isinstance(self.inner, SideMemory):  # it reads where each prompt ends
            return list(self.inner.row_likelihood(rows))
        return row_likelihood(self.bench.model, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.inner.restore()


def spectra(editor: Editor) -> dict[str, dict[str, float]]:
    """Of every matrix that an editor has changed: the change's size, and the matrix before and after.

    ``norm`` and ``sigma_max`` (largest singular value) are of the change; ``condition`` is σ_max / σ_min of the matrix
    as it is now, ``condition_before`` of the unedited one. Empty for methods that change no weight.
    """
    import torch

    weights: Any = getattr(getattr(editor, "inner", None), "weights", None)
    if weights is None:
        return {}
    found = {}
    for name, delta in weights.deltas.items():
        if delta.dim() != 2:
            continue
        before, after = (torch.linalg.svdvals(w.double()) for w in (weights.original(name), weights.current(name)))
        found[name] = {
            "norm": float(delta.norm()),
            "sigma_max": float(torch.linalg.matrix_norm(delta.double(), ord=2)),
            "condition": float(after[0] / after[-1].clamp_min(1e-30)),
            "condition_before": float(before[0] / before[-1].clamp_min(1e-30)),
        }
    return found


# --- by name ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One method that can be named."""

    family: Family
    about: str
    make: Callable[[Bench, Governing], Compared] | None = None
    """None for parametric ones, which ``eval.editors.build`` makes."""


def _edited(bench: Bench, scope: str) -> EditedModel:
    from scr.edited_model import EditedModel

    return EditedModel(bench.model, bench.tokenizer, encoder=bench.encoder, scope=scope)


def _open(bench: Bench, _governing: Governing) -> Compared:
    return Unedited(bench)


def _scr(bench: Bench, _governing: Governing) -> Compared:
    return Retrieved(bench, _edited(bench, "pair"))


def _cosine(bench: Bench, _governing: Governing) -> Compared:
    return Retrieved(bench, _edited(bench, "cosine"))


def _copy(bench: Bench, _governing: Governing) -> Compared:
    return Copied(bench, _edited(bench, "pair"))


def _scr_paper(bench: Bench, _governing: Governing) -> Compared:
    return ScrPaper(bench)


def _scr_paper_k1(bench: Bench, _governing: Governing) -> Compared:
    return ScrPaper(bench, k=1)


def _ike(bench: Bench, _governing: Governing) -> Compared:
    from eval.ike import Ike

    def fits(text: str) -> bool:
        used = len(bench.language_model.prompt_ids(bench.asked(text)))
        # Room for an answer, and for a sentence whose likelihood is read.
        return used + max(bench.max_new_tokens, 48) <= bench.language_model.window

    return Ike(bench, seed=bench.seed, fits=fits)


def _mello(bench: Bench, _governing: Governing, told: bool = False) -> Compared:
    from eval.mello import MOST_TOKENS, Mello

    def fits(text: str) -> bool:
        return len(bench.language_model.prompt_ids(text)) + MOST_TOKENS <= bench.language_model.window

    return Mello(bench, steps=(lambda: bench.steps) if told else None, fits=fits)


def _mello_told(bench: Bench, governing: Governing) -> Compared:
    return _mello(bench, governing, told=True)


def _eren(bench: Bench, _governing: Governing) -> Compared:
    return Eren(bench)


def _radius(bench: Bench, _governing: Governing) -> Compared:
    return Radius(bench)


def _lightedit(bench: Bench, _governing: Governing) -> Compared:
    from eval.lightedit import LightEdit

    return LightEdit(bench, _edited(bench, "pair"))


def _serac(bench: Bench, _governing: Governing, settings: str = "") -> Compared:
    from eval.serac import Serac, SeracSettings
    from scr.edited_model import EditedModel
    from scr.scope.serac import SeracScope

    chosen = SeracSettings.read(settings)
    edited = EditedModel(
        bench.model,
        bench.tokenizer,
        encoder=bench.encoder,
        scope=SeracScope.from_pretrained(chosen.scope) if chosen.scope else "pair",
        route="counterfactual",
        counterfactual=chosen.counterfactual,
    )
    return Serac(bench, edited, soft=chosen.soft)


def _scr_auto(bench: Bench, _governing: Governing) -> Compared:
    from eval.serac import Serac
    from scr.edited_model import EditedModel

    return Serac(bench, EditedModel(bench.model, bench.tokenizer, encoder=bench.encoder, route="auto"))


def _scr_candidates(bench: Bench, _governing: Governing) -> Compared:
    from scr.edited_model import EditedModel
    from scr.prior import Prior

    prior = Prior(share=1.0, candidates=True)
    return Asked(bench, EditedModel(bench.model, bench.tokenizer, encoder=bench.encoder, prior=prior))


_PAPERS = {
    "memit": "arXiv:2210.07229",
    "rome": "arXiv:2202.05262",
    "alphaedit": "arXiv:2410.02355",
    "emmet": "arXiv:2403.14236",
    "nse": "arXiv:2410.04045",
    "come": "arXiv:2502.15826",
    "ft-l": "arXiv:2012.00363",
    "ft-m": "arXiv:2401.01286",
    "locft-bf": "arXiv:2509.22072",
    "lora": "LoRA, arXiv:2106.09685",
    "grace": "arXiv:2211.11031",
    "wise": "arXiv:2405.14768",
    "rect": "over MEMIT, arXiv:2401.04700",
    "prune": "over MEMIT, arXiv:2405.16821",
}

ENTRIES: dict[str, Entry] = {
    "base": Entry("control", "the frozen model, unedited", _open),
    "oracle-context": Entry("control", "the right fact always in front of the question", OracleContext),
    "copy": Entry("control", "the stored answer where scr's scope decision fires; no model reads it", _copy),
    "scr": Entry("retrieval", "this product: edit memory, pair classifier, frozen model", _scr),
    "cosine": Entry("retrieval", "the same memory, scope by one cosine threshold", _cosine),
    "scr-paper": Entry("retrieval", "SCR as published, five facts, no threshold (arXiv:2503.05212)", _scr_paper),
    "scr-paper-k1": Entry("retrieval", "the same with one fact, taken word for word", _scr_paper_k1),
    "ike": Entry("retrieval", "demonstrations and the nearest fact, always shown (IKE, arXiv:2305.12740)", _ike),
    "eren": Entry("retrieval", "asks whether any of five notes helps, then answers (EREN, arXiv:2403.17431)", _eren),
    "mello": Entry(
        "retrieval", "asks itself sub-questions; the nearest fact replies (MeLLo, arXiv:2305.14795)", _mello
    ),
    "mello-told": Entry("retrieval", "the same, its sub-questions given to it", _mello_told),
    "lightedit": Entry(
        "retrieval", "scr's facts, first token against the prior (LightEdit, arXiv:2604.19089)", _lightedit
    ),
    "serac": Entry(
        "retrieval", "scr's scope decision, a counterfactual model answers (SERAC, arXiv:2206.06520)", _serac
    ),
    "scr-auto": Entry("retrieval", "scr, and that model where the frozen one does not say the fact", _scr_auto),
    "scr-candidates": Entry(
        "retrieval", "scr, its answer chosen among the stored ones and the model's", _scr_candidates
    ),
    "radius": Entry("retrieval", "a radius for each edit, in text (BalancEdit, arXiv:2505.01343)", _radius),
    **{name: Entry("parametric", _PAPERS.get(name, "")) for name in ("rect", "prune", *NAMES)},
}
_JUDGED = ("copy", "scr", "lightedit", "serac", "scr-auto", "scr-candidates")
"""Methods that ask the shipped pair classifier."""
NOT_INCLUDED = {"mend": "needs a trained hypernetwork for each model", "pmet": "not implemented"}
"""Known methods that are left out, and why."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One row of a comparison: a method, perhaps with settings of one's own."""

    name: str
    settings: str = ""
    """JSON of the settings over the published ones; empty for none."""
    origin: str = ""
    """Where the settings come from."""

    @property
    def label(self) -> str:
        """What the row is called: ``memit``, or ``memit+tuned`` with settings from ``tuned.json``."""
        return f"{self.name}+{self.origin}" if self.origin else self.name

    @property
    def entry(self) -> Entry:
        return ENTRIES[self.name]


def read_spec(text: str) -> Spec:
    """``NAME``, or ``NAME:FILE`` with settings of one's own.

    FILE holds a JSON object of settings, as ``scr eval tune --save-config`` writes it; or a result of
    ``python -m eval.benchmarks.pocket_editors``, of which the method's own tuned settings are taken, and for RECT and
    PRUNE, where they have none, MEMIT's, over which they stand.

    Raises:
        ConfigError: no such method, settings for one that takes none, or an unreadable file.
    """
    name, _, file = text.strip().partition(":")
    if name in NOT_INCLUDED:
        raise ConfigError(f"{name} is not included: {NOT_INCLUDED[name]}; leave it out, or see what is: scr eval ls")
    if name not in ENTRIES:
        near = get_close_matches(name, ENTRIES, n=3)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"no method {name!r}{meant} All are named by: scr eval ls")
    if not file:
        return Spec(name)
    if ENTRIES[name].family != "parametric" and name != "serac":
        raise ConfigError(f"{name} takes no settings, only parametric methods and serac do; write {name} alone")
    from eval.editors.cli import read_settings

    found = read_settings(Path(file))
    if "rows" not in found.get("result", found):
        return Spec(name, json.dumps(found, sort_keys=True), Path(file).stem)
    settings = _tuned(found, name)
    if settings is None:
        raise ConfigError(
            f"{file} has no settings for {name}; search them with scr eval tune --method {name} --save-config FILE"
        )
    return Spec(name, json.dumps(settings, sort_keys=True), "tuned")


def with_tuned(specs: Sequence[Spec], file: Path) -> list[Spec]:
    """After each weight editor with its published settings, one with those that ``file`` has for it.

    Raises:
        ConfigError: the file is unreadable or has settings for none of them.
    """
    from eval.editors.cli import read_settings

    found = read_settings(file)
    both: list[Spec] = []
    for spec in specs:
        both.append(spec)
        settings = _tuned(found, spec.name) if spec.entry.family == "parametric" and not spec.settings else None
        if settings is not None:
            both.append(Spec(spec.name, json.dumps(settings, sort_keys=True), "tuned"))
    if len(both) == len(specs):
        raise ConfigError(f"{file} has settings for none of {', '.join(spec.label for spec in specs)}")
    return both


def _tuned(found: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """A method's settings in a result of ``eval.benchmarks.pocket_editors``."""
    rows = {row["method"]: row["settings"] for row in found.get("result", found).get("rows", ())}
    over_memit = (f"{name}-memit", "memit") if name in ("rect", "prune") else ()
    return next((rows[n] for n in (name, *over_memit) if n in rows), None)


def rests_on(spec: Spec, bench: Bench) -> dict[str, str]:
    """What a method's answers rest on besides the model and its settings: the memory's encoder, the scope's weights."""
    if spec.name not in (*_JUDGED, "cosine") and spec.entry.family != "retrieval":
        return {}
    found = {"encoder": bench.encoder.fingerprint}
    if spec.name in _JUDGED:
        from scr.scope.weights import SHIPPED

        found["scope_sha256"] = hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    return found


def make_editor(spec: Spec, bench: Bench, governing: Governing) -> Compared:
    """The method's editor around the bench's model, which must be the unedited one.

    Raises:
        ConfigError: settings that mean nothing to the method.
    """
    if spec.name == "serac":
        return _serac(bench, governing, spec.settings)
    if spec.entry.make is not None:
        return spec.entry.make(bench, governing)
    settings = json.loads(spec.settings) if spec.settings else {}
    config, unknown = configured(spec.name, bench.model, settings)
    if unknown:
        raise ConfigError(f"{spec.name} has no setting {', '.join(sorted(unknown))}")
    moments = bench.moments(layers_of(config)) if method_of(spec.name)[0].needs_moments else None
    templates = bench.templates if method_of(spec.name)[0].needs_moments else None
    inner = build_editor(
        spec.name,
        bench.model,
        bench.tokenizer,
        config,
        moments=moments,
        templates=templates,
        settings=settings,
        form=bench.form,
    )
    return Written(bench, inner)


def prepare(spec: Spec, bench: Bench) -> Sequence[Sequence[str]] | None:
    """Compute what the method's editor would ask the bench for, for the cache; its context templates, if it has any."""
    if spec.entry.family != "parametric" or not method_of(spec.name)[0].needs_moments:
        return None
    config, _ = configured(spec.name, bench.model, json.loads(spec.settings) if spec.settings else {})
    bench.moments(layers_of(config))
    return bench.templates


def settings_of(spec: Spec, model: Any) -> dict[str, Any]:
    """The configuration in force, for the report."""
    from dataclasses import asdict

    if spec.entry.family != "parametric":
        return dict(json.loads(spec.settings)) if spec.settings else {}
    settings = json.loads(spec.settings) if spec.settings else {}
    return {**asdict(configured(spec.name, model, settings)[0]), "from": spec.origin or "published"}


__all__ = [
    "ENTRIES",
    "NOT_INCLUDED",
    "Bench",
    "Compared",
    "Entry",
    "Governing",
    "Spec",
    "load_bench",
    "make_editor",
    "prepare",
    "read_spec",
    "rests_on",
    "settings_of",
    "spectra",
    "with_tuned",
]
