"""What every weight editor promises, on tiny random models."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from eval.editors.alphaedit import AlphaEdit, AlphaEditConfig
from eval.editors.come import Come, ComeConfig, without_old
from eval.editors.emmet import Emmet, EmmetConfig
from eval.editors.errors import ConfigError, NumericalError
from eval.editors.fine_tune import FineTune, FineTuneConfig, ft_l, ft_m, locft_bf
from eval.editors.grace import Grace, GraceConfig
from eval.editors.locate import LocateConfig
from eval.editors.lora import Lora, LoraConfig
from eval.editors.memit import Memit, MemitConfig
from eval.editors.nse import Nse, NseConfig, strongest_neurons
from eval.editors.prune import Prune, reduced
from eval.editors.rect import Rect, largest_relative
from eval.editors.rome import Rome, RomeConfig
from eval.editors.subjects import requests
from eval.editors.wise import Wise, WiseConfig
from memory_store.edit import Edit
from memory_store.errors import EditNotFoundError

QUICK: dict[str, Any] = {"v_lr": 0.1, "v_num_grad_steps": 3, "clamp_norm_factor": 1.0}
Make = Callable[..., Any]


def moments(model: Any) -> dict[int, torch.Tensor]:
    """A well-conditioned stand-in with directions below 1."""
    width = model.config.n_inner or 4 * model.config.n_embd if model.config.model_type in ("gpt2", "gptj") else 64
    values = torch.linspace(0.5, 2.0, width, dtype=torch.float64)
    return {layer: torch.diag(values) for layer in range(3)}


def memit(model: Any, tokenizer: Any, **options: Any) -> Memit:
    return Memit(
        model, tokenizer, MemitConfig(layers=(0, 1), mom2_update_weight=0.1, **QUICK), moments(model), **options
    )


MAKERS: dict[str, Make] = {
    "memit": memit,
    "memit-blue": lambda m, t, **o: Memit(
        m, t, MemitConfig(layers=(0, 1, 2), ends_only=True, mom2_update_weight=0.1, **QUICK), moments(m), **o
    ),
    "alphaedit": lambda m, t, **o: AlphaEdit(
        m, t, AlphaEditConfig(layers=(0, 1), nullspace_threshold=1.0, L2=0.1, **QUICK), moments(m), **o
    ),
    "emmet": lambda m, t, **o: Emmet(m, t, EmmetConfig(layers=(1,), mom2_update_weight=1.0, **QUICK), moments(m), **o),
    "rome": lambda m, t, **o: Rome(m, t, RomeConfig(layer=1, **QUICK), moments(m), **o),
    "nse": lambda m, t, **o: Nse(
        m,
        t,
        NseConfig(layers=(0, 1), mom2_update_weight=0.1, alpha=0.0, upper_bound=1e9, neuron_threshold=0.8, **QUICK),
        moments(m),
        **o,
    ),
    "come": lambda m, t, **o: Come(m, t, ComeConfig(layers=(0, 1), mom2_update_weight=0.1, **QUICK), moments(m), **o),
    "rect": lambda m, t, **o: Rect(memit(m, t, **o)),
    "prune": lambda m, t, **o: Prune(memit(m, t, **o)),
    "ft-l": lambda m, t, **o: FineTune(
        m, t, FineTuneConfig(layer=1, objective="prompt_last", norm_constraint=1e-3, num_steps=2)
    ),
    "ft-m": lambda m, t, **o: FineTune(m, t, FineTuneConfig(layer=1, objective="target_new", num_steps=2)),
    "locft-bf": lambda m, t, **o: FineTune(
        m, t, FineTuneConfig(layer=1, objective="target_new", breadth_first=True, num_steps=2, batch_size=2)
    ),
    "lora": lambda m, t, **o: lora(m, t),
    "grace": lambda m, t, **o: Grace(m, t, GraceConfig(layer=1, radius=0.1, lr=0.5, num_steps=3)),
    "wise": lambda m, t, **o: Wise(
        m, t, WiseConfig(layer=1, edit_lr=0.2, n_iter=3, alpha=0.0, beta=0.1, gamma=0.05), others=["Who wrote"]
    ),
}


def lora(model: Any, tokenizer: Any, **options: Any) -> Lora:
    pytest.importorskip("peft", reason="peft, the extra lora, is not installed")
    return Lora(model, tokenizer, LoraConfig(rank=2, num_steps=2, lr=0.05, **options))


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest, tokenizer: Any, templates: Any) -> Make:
    return lambda model: MAKERS[request.param](model, tokenizer, templates=templates)


def same(model: Any, kept: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(p, kept[name]) for name, p in model.named_parameters())


def scores(editor: Any, facts: list[Edit]) -> list[float]:
    return [score for score, _, _ in editor.log_likelihood([(fact.prompt, " " + fact.target_new) for fact in facts])]


def test_leaving_the_context_restores_every_bit(make: Make, make_model: Any, facts: list[Edit], bits: Any) -> None:
    model = make_model()
    kept = bits(model)
    with make(model) as editor:
        before = scores(editor, facts)
        results = editor.edit(facts[:2])
        assert [result.status for result in results] == ["added", "added"]
        assert scores(editor, facts[:2]) != before[:2]
        (answer,) = editor.answer(["The capital of France is"])
        assert answer.route == "base"
        editor.edit(facts[2:])
        assert [edit.edit_id for edit in editor.edits] == ["a", "b", "c"]
    assert same(model, kept)
    assert scores(editor, facts) == before
    assert not editor.edits
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_forgetting_gives_the_model_that_never_saw_the_edit(make: Make, make_model: Any, facts: list[Edit]) -> None:
    model = make_model()
    with make(model) as editor:
        editor.edit(facts[:1])
        editor.edit(facts[2:])
        wanted = scores(editor, facts)
        editor.restore()
        editor.edit(facts[:2])
        editor.edit(facts[2:])
        editor.forget(["b"])
        assert [edit.edit_id for edit in editor.edits] == ["a", "c"]
        assert scores(editor, facts) == pytest.approx(wanted, abs=1e-4)
        with pytest.raises(EditNotFoundError, match="'b'"):
            editor.forget(["b"])


def test_a_batch_that_fails_changes_nothing(make: Make, make_model: Any, facts: list[Edit], bits: Any) -> None:
    model = make_model()
    with make(model) as editor:
        editor.edit(facts[:1])
        kept, wanted = bits(model), scores(editor, facts)
        for bad, message in [
            (replace(facts[2], target_new=""), "empty target"),
            (replace(facts[2], target_new=" \n"), "empty target"),
            (replace(facts[2], prompt="", statement="x"), "no prompt"),
        ]:
            with pytest.raises(ConfigError, match=message):
                editor.edit([facts[1], bad])
            assert same(model, kept)
            assert scores(editor, facts) == wanted
            assert [edit.edit_id for edit in editor.edits] == ["a"]
        editor.edit(facts[1:])


class Forgetful:
    """A tokenizer that drops a word."""

    def __init__(self, inner: Any, word: str) -> None:
        self.inner, self.word = inner, word

    def __call__(self, text: Any, **options: Any) -> Any:
        cut = text.replace(self.word, "") if isinstance(text, str) else [t.replace(self.word, "") for t in text]
        return self.inner(cut, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_target_that_tokenises_to_nothing_is_refused(
    make: Make, make_model: Any, facts: list[Edit], bits: Any
) -> None:
    model = make_model()
    kept = bits(model)
    with make(model) as editor:
        host = getattr(editor, "host", editor)
        host.tokenizer = Forgetful(host.tokenizer, " \u200b")
        with pytest.raises(ConfigError, match="tokenises to nothing"):
            editor.edit([replace(facts[0], target_new="\u200b")])
        assert same(model, kept)
        assert not editor.edits


def test_a_loss_that_is_not_finite_is_one_error_and_changes_nothing(
    make: Make, make_model: Any, facts: list[Edit], bits: Any
) -> None:
    model = make_model()
    with make(model) as editor:
        with torch.no_grad():
            kept_norm = model.transformer.ln_f.weight.detach().clone()
            model.transformer.ln_f.weight.fill_(float("nan"))
        kept = bits(model)
        with pytest.raises(NumericalError, match="not finite"):
            editor.edit(facts[:1])
        with torch.no_grad():
            model.transformer.ln_f.weight.copy_(kept_norm)
        kept["transformer.ln_f.weight"] = kept_norm
        assert same(model, kept)
        assert not editor.edits


@pytest.mark.parametrize("name", ["memit", "alphaedit", "emmet", "rome", "nse", "come", "rect", "prune"])
def test_a_subject_that_is_not_in_its_prompt_is_refused(
    name: str, make_model: Any, tokenizer: Any, templates: Any, facts: list[Edit], bits: Any
) -> None:
    model = make_model()
    kept = bits(model)
    with MAKERS[name](model, tokenizer, templates=templates) as editor:
        for subject, message in [("Spain", "'Spain' does not stand in the prompt"), ("", "no subject")]:
            with pytest.raises(ConfigError, match=message):
                editor.edit([replace(facts[0], subject=subject)])
        assert same(model, kept)


@pytest.mark.parametrize("arch", ["gptj", "gpt_neox", "llama", "qwen2", "gemma2", "phi", "opt"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_architecture_can_be_edited(
    arch: str, dtype: torch.dtype, make: Make, make_model: Any, facts: list[Edit], bits: Any
) -> None:
    model = make_model(arch).to(dtype)
    kept = bits(model)
    with make(model) as editor:
        before = scores(editor, facts)
        editor.edit(facts)
        assert all(bool(p.isfinite().all()) for p in model.parameters())
        assert scores(editor, facts) != before
        assert same(model, kept) == isinstance(editor, Grace | Wise)
    assert same(model, kept)


def test_the_same_edit_twice_is_a_duplicate_and_another_text_a_conflict(
    make_model: Any, tokenizer: Any, templates: Any, facts: list[Edit]
) -> None:
    with memit(make_model(), tokenizer, templates=templates) as editor:
        statuses = [result.status for result in editor.edit([facts[0], facts[0], replace(facts[0], target_new="Rome")])]
        assert statuses == ["added", "duplicate", "conflict"]
        (named,) = editor.edit([replace(facts[1], edit_id="")])
        assert named.edit.edit_id
        assert editor.edits == (facts[0], named.edit)


def test_log_likelihood_is_the_edited_models(
    make_model: Any, tokenizer: Any, templates: Any, facts: list[Edit]
) -> None:
    pair = [("The capital of France is", " Berlin")]
    model = make_model()
    config = MemitConfig(layers=(0, 1), mom2_update_weight=1e-3, v_lr=0.2, v_num_grad_steps=12, clamp_norm_factor=4.0)
    with Memit(model, tokenizer, config, moments(model), templates=templates) as editor:
        before = editor.log_likelihood(pair)[0][0]
        editor.edit(facts[:1])
        assert editor.log_likelihood(pair)[0][0] > before + 0.01


def test_rome_maps_its_key_to_its_value(make_model: Any, tokenizer: Any, templates: Any, facts: list[Edit]) -> None:
    """With the averaged key everywhere: (W + v uᵀ) k* + b = v*."""
    from eval.editors.keys import KeyTape
    from eval.editors.values import optimised_values

    model = make_model()
    config = RomeConfig(layer=1, **QUICK)
    with Rome(model, tokenizer, config, moments(model), templates=templates) as editor:
        (request,) = requests(tokenizer, facts[:1], editor.templates)
        key = KeyTape(editor.anatomy, [request], editor.templates, 1).row_keys(1).mean(0)
        wanted = optimised_values(editor.anatomy, [request], 1, config, at="mlp").targets[0]
        editor.edit(facts[:1])
        projection = model.transformer.h[1].mlp.c_proj
        assert torch.allclose(key @ projection.weight + projection.bias, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (Memit, MemitConfig(layers=(0, 1, 2), ends_only=True, mom2_update_weight=0.1, **QUICK)),
        (AlphaEdit, AlphaEditConfig(layers=(2, 0, 1), ends_only=True, nullspace_threshold=1.0, L2=0.1, **QUICK)),
    ],
)
def test_the_ends_only_option_edits_the_first_and_the_last_layer(
    kind: Any, config: Any, make_model: Any, tokenizer: Any, templates: Any, facts: list[Edit]
) -> None:
    model = make_model()
    with kind(model, tokenizer, config, moments(model), templates=templates) as editor:
        editor.edit(facts)
        assert sorted(editor.weights.deltas) == [f"transformer.h.{layer}.mlp.c_proj.weight" for layer in (0, 2)]
    assert replace(config, ends_only=False).edited_layers == (0, 1, 2)


def test_nse_solves_for_the_chosen_neurons_only(make_model: Any, tokenizer: Any, templates: Any) -> None:
    """U[:, S] = R K_Sᵀ (λ C[S, S] + K_S K_Sᵀ)⁻¹, nothing elsewhere."""
    model = make_model()
    config = NseConfig(layers=(1,), mom2_update_weight=0.3, neuron_threshold=0.7, alpha=0.0, upper_bound=1e9, **QUICK)
    editor = Nse(model, tokenizer, config, moments(model), templates=templates)
    generator = torch.Generator().manual_seed(3)
    keys, residuals = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (128, 32))
    update = editor.solve(1, keys, residuals)
    chosen = strongest_neurons(keys, 0.7)
    own = keys[chosen]
    system = 0.3 * moments(model)[1][chosen][:, chosen] + own @ own.T
    assert torch.allclose(update[:, chosen], residuals @ torch.linalg.solve(system, own).T)
    assert int((update.abs().sum(0) != 0).sum()) == len(chosen) < 128


def test_prune_tells_the_singular_values_that_explain_it(
    make_model: Any, tokenizer: Any, templates: Any, facts: list[Edit]
) -> None:
    model = make_model()
    config = MemitConfig(layers=(1,), mom2_update_weight=1e-4, v_lr=0.5, v_num_grad_steps=6, clamp_norm_factor=4.0)
    with Prune(Memit(model, tokenizer, config, moments(model), templates=templates)) as editor:
        editor.edit(facts)
        (told,) = editor.singular_values().values()
        (whole,), (held,) = editor.full_deltas.values(), editor.weights.deltas.values()
        weight = editor.weights.original("transformer.h.1.mlp.c_proj.weight")
        for name, matrix in [("weight", weight), ("change", whole), ("pruned", held)]:
            assert told[name] == pytest.approx(float(torch.linalg.svdvals(matrix.detach())[0]), rel=1e-4)
    assert not editor.singular_values()


@pytest.mark.parametrize("reduce", ["log", "log2", "log1_5", "log1_2", "linear"])
def test_prune_leaves_small_singular_values_alone_and_bounds_the_rest(reduce: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    weight, change = torch.randn(20, 8, generator=generator), torch.randn(20, 8, generator=generator)
    border = float(torch.linalg.matrix_norm(weight, ord=2))
    small = change * (0.9 * border / torch.linalg.matrix_norm(change, ord=2))
    assert torch.equal(reduced(small, weight, reduce), small)
    large = small * 3
    before, after = torch.linalg.svdvals(large), torch.linalg.svdvals(reduced(large, weight, reduce))
    below = before < border
    assert 0 < int(below.sum()) < 8
    assert torch.allclose(after[below], before[below], atol=1e-4)
    assert bool((after[~below] <= before[~below] + 1e-4).all())
    assert bool((after[~below] >= border - 1e-4).all())


def test_rect_keeps_exactly_the_asked_share() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, change = torch.randn(20, 10, generator=generator), torch.randn(20, 10, generator=generator)
    for keep in (0.05, 0.2, 0.4, 1.0):
        kept = largest_relative(change, weight, keep)
        assert int((kept != 0).sum()) == round(200 * keep)
        stays = kept != 0
        assert torch.equal(kept[stays], change[stays])
    ratio = (change / weight).abs()
    stays = largest_relative(change, weight, 0.4) != 0
    assert float(ratio[stays].min()) >= float(ratio[~stays].max())


def test_the_strongest_neurons_stay_within_their_share() -> None:
    keys = torch.tensor([[1.0, 1.0], [4.0, -4.0], [0.5, 0.0], [1.5, 0.0]])  # sums 2, 8, 0.5, 1.5
    assert strongest_neurons(keys, 0.9).tolist() == [1, 0]
    assert strongest_neurons(keys, 0.1).tolist() == [1]
    assert sorted(strongest_neurons(keys, 1.0).tolist()) == [0, 1, 2, 3]


def test_come_takes_out_what_only_the_old_answer_wants() -> None:
    initial, new, old = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    # c = (1, 1)/√2, so π = (1, 1) and z = (1, 0) − 0.5·(0, 2) + (1, 1); the border, the smaller entry, is touched too.
    assert torch.allclose(without_old(initial, new, old, 0.5, 0.5), torch.tensor([[2.0, 0.0]]), atol=1e-6)
    assert torch.allclose(without_old(initial, new, torch.zeros(1, 2), 0.5, 0.5), new)


def test_fine_tuning_stays_within_its_bound(make_model: Any, tokenizer: Any, facts: list[Edit]) -> None:
    config = FineTuneConfig(layer=1, objective="target_new", norm_constraint=1e-3, lr=1e-2, num_steps=3)
    with FineTune(make_model(), tokenizer, config) as editor:
        editor.edit(facts)
        for change in editor.weights.deltas.values():
            assert 5e-4 < float(change.abs().max()) <= 1e-3 + 1e-7


def test_breadth_first_sees_all_edits_at_once(make_model: Any, tokenizer: Any, facts: list[Edit], bits: Any) -> None:
    config = FineTuneConfig(layer=1, objective="target_new", breadth_first=True, num_steps=3, batch_size=2)
    model = make_model()
    with FineTune(model, tokenizer, config) as editor:
        editor.edit(facts)
        wanted = bits(model)
        editor.restore()
        editor.edit(facts[:1])
        editor.edit(facts[1:])
        assert same(model, wanted)


@pytest.mark.parametrize("arch", ["gpt2", "gptj", "llama", "qwen2", "mistral"])
def test_published_settings_fit_the_model(arch: str, make_model: Any) -> None:
    model = make_model(arch)
    for kind in (MemitConfig, AlphaEditConfig, EmmetConfig, NseConfig, ComeConfig):
        config: LocateConfig = kind.published(model)  # type: ignore[attr-defined]
        assert set(config.layers) <= {0, 1, 2}
    assert RomeConfig.published(model).layer in (0, 1, 2)
    for tune in (ft_l, ft_m, locft_bf):
        assert 0 <= tune(model).layer <= 2


@pytest.mark.parametrize(
    ("make_config", "message"),
    [
        (lambda: MemitConfig(layers=(1,), mom2_update_weight=0.0), "mom2_update_weight"),
        (lambda: AlphaEditConfig(layers=(1,), L2=0.0), "L2"),
        (lambda: NseConfig(layers=(1,), max_iterations=1), "never writes"),
        (lambda: ComeConfig(layers=(1,), p=1.0), "p must"),
        (lambda: EmmetConfig(layers=(1,), emmet_lambda=-1.0), "emmet_lambda"),
        (lambda: FineTuneConfig(layer=1, objective="both"), "objective"),  # type: ignore[arg-type]
    ],
)
def test_configurations_out_of_range_are_refused(make_config: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config()


@pytest.mark.parametrize(
    "make_editor",
    [
        lambda m, t, o: Memit(m, t, MemitConfig(layers=(7,)), moments(m), **o),
        lambda m, t, o: AlphaEdit(m, t, AlphaEditConfig(layers=(7,)), moments(m), **o),
        lambda m, t, o: Emmet(m, t, EmmetConfig(layers=(7,)), moments(m), **o),
        lambda m, t, o: Nse(m, t, NseConfig(layers=(7,)), moments(m), **o),
        lambda m, t, o: Come(m, t, ComeConfig(layers=(7,)), moments(m), **o),
        lambda m, t, o: Rome(m, t, RomeConfig(layer=7), moments(m), **o),
        lambda m, t, _: FineTune(m, t, FineTuneConfig(layer=7, objective="target_new")),
        lambda m, t, _: lora(m, t, layers=(7,)),
        lambda m, t, _: Grace(m, t, GraceConfig(layer=7)),
        lambda m, t, _: Wise(m, t, WiseConfig(layer=7), others=["x"]),
    ],
)
def test_layers_out_of_range_are_refused(make_editor: Make, make_model: Any, tokenizer: Any, templates: Any) -> None:
    with pytest.raises(ConfigError, match=r"layers \[7\] are out of range: the model has layers 0 to 2"):
        make_editor(make_model(), tokenizer, {"templates": templates})


SOLVING: list[tuple[Any, Any]] = [
    (Memit, MemitConfig(layers=(1,))),
    (Emmet, EmmetConfig(layers=(1,))),
    (Come, ComeConfig(layers=(1,))),
    (Nse, NseConfig(layers=(1,), alpha=0.0, upper_bound=1e9, **QUICK)),
    (Rome, RomeConfig(layer=1)),
]


@pytest.mark.parametrize(("kind", "config"), SOLVING)
def test_a_singular_solve_is_one_error_and_changes_nothing(
    kind: Any, config: Any, make_model: Any, tokenizer: Any, templates: Any, facts: list[Edit], bits: Any
) -> None:
    model = make_model()
    kept = bits(model)
    with pytest.raises(NumericalError, match="singular"):
        kind(model, tokenizer, config, {1: torch.zeros(128, 128)}, templates=templates).edit(facts[:1])
    assert same(model, kept)


@pytest.mark.parametrize(("kind", "config"), [*SOLVING, (AlphaEdit, AlphaEditConfig(layers=(1,)))])
def test_moments_that_are_missing_or_of_another_model_are_refused(
    kind: Any, config: Any, make_model: Any, tokenizer: Any, templates: Any
) -> None:
    from eval.editors.anatomy import dissect
    from eval.editors.moments import second_moments

    model, other = make_model(), make_model()
    with torch.no_grad():
        other.transformer.h[0].mlp.c_proj.weight.mul_(1.5)
    theirs = second_moments(dissect(other), tokenizer, ["The capital of France is Paris."], [1])
    for given, message in [({}, "no second moment"), (theirs, "compute it for this model")]:
        with pytest.raises(ConfigError, match=message):
            kind(model, tokenizer, config, given, templates=templates)


@pytest.mark.parametrize(("kind", "config"), [*SOLVING, (AlphaEdit, AlphaEditConfig(layers=(1,)))])
def test_moments_that_are_not_finite_are_refused(
    kind: Any, config: Any, make_model: Any, tokenizer: Any, templates: Any, facts: list[Edit]
) -> None:
    with pytest.raises(NumericalError, match="not finite"):
        kind(make_model(), tokenizer, config, {1: torch.full((128, 128), float("nan"))}, templates=templates).edit(
            facts
        )
