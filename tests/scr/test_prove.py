"""The proof compares bits: equal where nothing fires, and it would notice if they were not."""

from typing import Any

from scr.prove import prove

IN, OUT = "What is the capital of France?", "What is the capital of Spain?"


def test_silent_prompts_are_bit_identical_and_fired_ones_are_counted_apart(edited: Any, france: Any) -> None:
    m = edited("llama")
    m.edit(france)
    proof = prove(m, [IN, OUT, "Hello"], max_new_tokens=3)
    assert (proof.prompts, proof.fired, proof.silent, proof.identical) == (3, 1, 2, True)
    assert [row.identical for row in proof.rows] == [False, True, True]


def test_a_model_that_changed_behind_the_memory_is_noticed(edited: Any) -> None:
    m = edited("llama")
    inner = m.model

    class Drifting:
        calls = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        def generate(self, *args: Any, **kwargs: Any) -> Any:
            Drifting.calls += 1
            kwargs["input_ids"] = kwargs["input_ids"].clone()
            kwargs["input_ids"][0, 0] += Drifting.calls % 2
            return inner.generate(*args, **kwargs)

    m.model = Drifting()
    assert not prove(m, [OUT], max_new_tokens=2).identical
