"""Who answers where an edit governs: the frozen model with the fact before its eyes, or the counterfactual model?

``context`` and ``counterfactual`` are one and the other for every edit. ``auto`` asks of each edit whether the frozen
model, given the fact, says it (``scr.verification``), and takes the counterfactual model where it does not. Where no
edit governs, or a verbatim one does, no policy has a part.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal, get_args

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.protocols import CounterfactualModel, Decision, Route

Policy = Literal["context", "counterfactual", "auto"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


class Router:
    """One policy, and the counterfactual model, loaded when an answer first needs it."""

    def __init__(
        self,
        policy: Policy = "context",
        counterfactual: "CounterfactualModel | Callable[[], CounterfactualModel] | None" = None,
        obeyed: Callable[[Edit], bool] | None = None,
    ) -> None:
        """
        Args:
            counterfactual: a model, or what loads it; None is the shipped one.
            obeyed: whether the frozen model, given the fact, says it; ``auto`` asks.

        Raises:
            ConfigError: there is no such policy.
        """
        if policy not in POLICIES:
            raise ConfigError(f"unknown route {policy!r}; choose one of {', '.join(POLICIES)}")
        self.policy: Policy = policy
        self.obeyed = obeyed
        self._given = counterfactual

    @cached_property
    def counterfactual(self) -> CounterfactualModel:
        if self._given is None:
            from scr.counterfactual import HFCounterfactual

            return HFCounterfactual.from_pretrained(offline=True)
        return self._given() if callable(self._given) else self._given

    def route(self, decision: Decision) -> Route:
        """Which way a decision's question goes; the most probable edit decides for all of them."""
        if not decision.in_scope:
            return "base"
        edit = decision.in_scope[0].edit
        if edit.verbatim:
            return "verbatim"
        if self.policy == "auto":
            return "context" if self.obeyed is None or self.obeyed(edit) else "counterfactual"
        return self.policy

    def answer(self, pairs: Sequence[tuple[Edit, str]], max_new_tokens: int) -> list[str]:
        """What the counterfactual model says; nothing is loaded for no pairs."""
        return self.counterfactual.answer(pairs, max_new_tokens=max_new_tokens) if pairs else []


__all__ = ["POLICIES", "Policy", "Router"]
