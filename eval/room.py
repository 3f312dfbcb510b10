"""How many edits does a method's matrices have room for?

A linear map of input width d_in can be made to send at most d_in keys anywhere exactly; one that may change only in a
null space of rank r, at most r keys. Past that each edit takes from earlier ones.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from eval.editors.anatomy import dissect
from eval.editors.build import configured, layers_of, method_of

if TYPE_CHECKING:
    from eval.methods import Bench, Spec


def room(spec: Spec, bench: Bench) -> dict[str, dict[str, int]]:
    """By edited layer: its width ``d_in``, and ``rank`` of the null space of a method that stays in one.

    Empty for methods that write no matrix of a layer of their own.

    Raises:
        ConfigError: a layer that the model does not have.
    """
    if spec.entry.family != "parametric" or not method_of(spec.name)[0].writes_weights:
        return {}
    config = configured(spec.name, bench.model, json.loads(spec.settings) if spec.settings else {})[0]
    if not hasattr(config, "edited_layers") and getattr(config, "layer", None) is None:
        return {}
    anatomy = dissect(bench.model)
    found = {str(la): {"d_in": anatomy.projections[la].d_key} for la in anatomy.checked_layers(layers_of(config))}
    if hasattr(config, "nullspace_threshold"):
        from eval.editors.solvers import null_space_basis

        for layer, moment in bench.moments(layers_of(config)).items():
            matrix: Any = getattr(moment, "matrix", moment)
            found[str(layer)]["rank"] = int(null_space_basis(matrix, config.nullspace_threshold).shape[1])
    return found


__all__ = ["room"]
