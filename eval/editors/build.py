"""Which class is meant by a method's name, and how does a settings file become its configuration?

The only file that names all editors. Settings go by the fields' own names; published configurations hold more than that
(module names, data sets), so that unknown keys are reported, not refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from eval.editors.alphaedit import AlphaEdit, AlphaEditConfig
from eval.editors.base import WeightEditor
from eval.editors.come import Come, ComeConfig
from eval.editors.emmet import Emmet, EmmetConfig
from eval.editors.errors import ConfigError
from eval.editors.fine_tune import FineTune, ft_l, ft_m, locft_bf
from eval.editors.forms import RAW, Form
from eval.editors.grace import Grace, GraceConfig
from eval.editors.lora import Lora, LoraConfig
from eval.editors.memit import Memit, MemitConfig
from eval.editors.nse import Nse, NseConfig
from eval.editors.prune import Prune
from eval.editors.rect import Rect
from eval.editors.rome import Rome, RomeConfig
from eval.editors.subjects import Templates
from eval.editors.wise import Wise, WiseConfig
from eval.editors.wrapped import WrappedEditor


@dataclass(frozen=True, slots=True)
class Method:
    """How to make one editor."""

    defaults: Callable[[Any], Any]
    """Model to the published configuration."""
    kind: Any
    needs_moments: bool = True
    writes_weights: bool = True
    """Whether there are changes for RECT and PRUNE to reshape."""
    reads_others: bool = False
    """Whether it learns from prompts that no edit governs."""
    reads_old: bool = False
    """Whether it looks at the answers before."""


METHODS: dict[str, Method] = {
    "memit": Method(MemitConfig.published, Memit),
    "rome": Method(RomeConfig.published, Rome),
    "alphaedit": Method(AlphaEditConfig.published, AlphaEdit),
    "emmet": Method(EmmetConfig.published, Emmet),
    "nse": Method(NseConfig.published, Nse),
    "come": Method(ComeConfig.published, Come, reads_old=True),
    "ft-l": Method(ft_l, FineTune, needs_moments=False),
    "ft-m": Method(ft_m, FineTune, needs_moments=False),
    "locft-bf": Method(locft_bf, FineTune, needs_moments=False),
    "lora": Method(LoraConfig.published, Lora, needs_moments=False),
    "grace": Method(GraceConfig.published, Grace, needs_moments=False, writes_weights=False),
    "wise": Method(WiseConfig.published, Wise, needs_moments=False, writes_weights=False, reads_others=True),
}
WRAPPERS: dict[str, Callable[..., WrappedEditor]] = {"rect": Rect, "prune": Prune}
NAMES = (*METHODS, *(f"{wrapper}-{name}" for wrapper in WRAPPERS for name, m in METHODS.items() if m.writes_weights))
"""What can be asked for: a method, or ``rect-`` or ``prune-`` before one."""


def method_of(name: str) -> tuple[Method, Callable[..., WrappedEditor] | None]:
    """The method, and what wraps it.

    Raises:
        ConfigError: no such method.
    """
    if name in WRAPPERS:
        name = f"{name}-memit"
    head, _, rest = name.partition("-")
    wrapper = WRAPPERS.get(head)
    method = METHODS.get(rest if wrapper else name)
    if method is None or (wrapper is not None and not method.writes_weights):
        raise ConfigError(f"no method {name!r}; there are {', '.join(METHODS)}, and rect-… and prune-… before each")
    return method, wrapper


def configured(name: str, model: Any, settings: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """The published configuration with ``settings`` in it, and the keys that mean nothing to it.

    Raises:
        ConfigError: no such method, or a value out of range or of another type.
    """
    method, wrapper = method_of(name)
    config = method.defaults(model)
    known = {field.name: field.type for field in fields(config)}
    given = dict(settings)
    if "layers" in given and "layer" in known and "layer" not in given:
        layers = given.pop("layers")
        if not isinstance(layers, list | tuple) or len(layers) != 1:
            raise ConfigError(f"{name} edits one layer, got layers {layers}")
        given["layer"] = layers[0]
    for own in ("keep", "reduce") if wrapper else ():
        given.pop(own, None)
    chosen = {key: _typed(key, value, known[key]) for key, value in given.items() if key in known}
    return replace(config, **chosen), [key for key in given if key not in known]


def _typed(key: str, value: Any, kind: Any) -> Any:
    """``value`` in the declared type of its field; whole numbers may be written as 3.0, lists are JSON's."""
    kinds = [k for k in (get_args(kind) if isinstance(kind, UnionType) else (kind,)) if k is not NoneType]
    optional = "" if kinds == [kind] else " or null"
    (only,) = kinds
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None and optional:
        return None
    if get_origin(only) is tuple:
        of = get_args(only)[0]
        if isinstance(value, list | tuple) and all(type(item) is of for item in value):
            return tuple(value)
        raise ConfigError(
            f"{key} must be a list of {'whole numbers' if of is int else 'names'}{optional}, got {value!r}"
        )
    if only is float and number:
        return float(value)
    if only is int and number and float(value).is_integer():
        return int(value)
    if only in (int, float):
        raise ConfigError(f"{key} must be a {'whole ' if only is int else ''}number{optional}, got {value!r}")
    if only is bool and type(value) is not bool:
        raise ConfigError(f"{key} must be true or false, got {value!r}")
    if only is not bool and not isinstance(value, str):
        raise ConfigError(f"{key} must be text, got {value!r}")
    return value


def build_editor(
    name: str,
    model: Any,
    tokenizer: Any,
    config: Any,
    *,
    moments: Any = None,
    templates: Templates | None = None,
    others: Sequence[str] | None = None,
    old_answers: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    form: Form = RAW,
) -> WeightEditor | WrappedEditor:
    """An editor by name.

    Args:
        config: from ``configured``.
        moments: layer → second moment, for the methods that need them.
        templates: context templates; None samples them.
        others: prompts that no edit governs, for the methods that learn from them; None samples them.
        old_answers: by edit_id, for the methods that look at them; None asks the model.
        settings: where RECT's ``keep`` and PRUNE's ``reduce`` stand.
        form: how edits are written; the default is raw text, as published.
    """
    method, wrapper = method_of(name)
    host: WeightEditor
    if method.needs_moments:
        if moments is None:
            raise ConfigError(f"{name} needs second moments of the model's keys; give texts with --corpus")
        known = {"old_answers": old_answers} if method.reads_old else {}
        host = method.kind(model, tokenizer, config, moments, templates=templates, form=form, **known)
    elif method.reads_others:
        host = method.kind(model, tokenizer, config, others=others, form=form)
    else:
        host = method.kind(model, tokenizer, config, form=form)
    if wrapper is None:
        return host
    own = "keep" if wrapper is Rect else "reduce"
    return wrapper(host, **({own: settings[own]} if settings and own in settings else {}))


def layers_of(config: Any) -> tuple[int, ...]:
    """The layers whose second moments a configuration needs."""
    return config.edited_layers if hasattr(config, "edited_layers") else (config.layer,)
