"""What fills a memory beside the edits that are asked about? Facts about things that are not, as many as wanted.

Every one has a subject of its own, made of syllables and a number, a relation of the built-in facts in an evaluation
wording, and an object of that relation; nothing that is asked is about one of them. A memory that scales answers with
them as it answered without.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from memory_store.edit import Edit
from memory_store.errors import ConfigError

_STARTS = ("Bran", "Cor", "Dol", "Fen", "Gal", "Hest", "Jor", "Kel", "Lum", "Mar", "Nor", "Pell", "Quor", "Ras", "Sel")
_MIDDLES = ("ad", "en", "if", "ol", "um", "ar", "ett", "ick", "ond", "usk")
_ENDS = ("a", "berg", "dale", "ek", "ford", "ia", "mere", "o", "stad", "wick")


def ballast(count: int, *, seed: int = 0) -> Iterator[Edit]:
    """``count`` edits, the same for a seed; fewer are the beginning of more.

    Raises:
        ConfigError: ``count`` is negative.
    """
    if count < 0:
        raise ConfigError(f"ballast is a number of edits, 0 or more, got {count}")
    from eval.atlas import filled
    from scr.pocket.facts import load_facts
    from scr.pocket.wordings import wordings

    by_relation: dict[str, list[str]] = {}
    for fact in load_facts():
        by_relation.setdefault(fact.relation, []).append(fact.object)
    relations = [r for r in sorted(by_relation) if wordings(r, "statement", "evaluation")]
    rng = random.Random(f"{seed}-ballast")
    for number in range(count):
        name = rng.choice(_STARTS) + rng.choice(_MIDDLES) + rng.choice(_ENDS)
        subject, relation = f"{name} {number + 1}", rng.choice(relations)
        prompt = filled(rng.choice(wordings(relation, "statement", "evaluation")), subject)
        target = rng.choice(by_relation[relation])
        yield Edit(
            edit_id=f"ballast-{number:06d}",
            subject=subject,
            relation=relation,
            prompt=prompt,
            target_new=target,
            statement=f"{prompt} {target}.",
        )


__all__ = ["ballast"]
