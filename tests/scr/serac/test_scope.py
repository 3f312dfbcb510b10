"""SERAC's classifier as a decider, its training, and the hard negatives it learns from."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from memory_store.edit import Edit
from memory_store.errors import ConfigError, ModelUnavailableError
from scr.encoder import load_encoder
from scr.protocols import Candidate
from scr.scope.serac import ScopeConfig, SeracScope
from scr.serac.examples import Asked, Example, read_examples
from scr.serac.loop import TrainConfig
from scr.serac.losses import probability, scope_loss
from scr.serac.negatives import FARTHEST, NEAREST, mined
from scr.serac.train_scope import fitted_scale, loss_of, train

QUICK = TrainConfig(learning_rate=3e-3, batch=3, epochs=20, warmup=2, held_out=0.4)
FORMS = [ScopeConfig(kind="embed"), ScopeConfig(kind="embed", pooling="mean"), ScopeConfig(kind="cross")]


@pytest.mark.parametrize("config", FORMS, ids=["cls", "mean", "cross"])
def test_it_trains_in_each_form_and_loads_the_same_decisions(
    data: Path, tiny_bert: str, tmp_path: Path, config: ScopeConfig, france: Edit
) -> None:
    report = train(data, tiny_bert, tmp_path, QUICK, config, load_encoder("hash"))
    assert report["done"] and {"edits", "in_scope", "out_of_scope"} <= report["held_out"].keys()
    queries = ["What is the capital of France?", "Who governs France?"]
    candidates = [[Candidate(france, {})]] * 2
    one, other = (SeracScope.from_pretrained(tmp_path) for _ in range(2))
    assert one.decide(queries, candidates) == other.decide(queries, candidates)
    pairs = [(e.statement, a.query) for e in read_examples(data) for a in e.in_scope]
    outside = [(e.statement, q) for e in read_examples(data) for q in e.out_of_scope]
    assert sum(one.probabilities(pairs)) / len(pairs) > sum(one.probabilities(outside)) / len(outside)


def test_a_probability_is_exp_of_the_squared_distance_and_independent_of_company(tiny_bert: str) -> None:
    scope = SeracScope.from_base(tiny_bert, ScopeConfig(scale=0.5), offline=True)
    statement, query = "The capital of France is Lyon.", "What is the capital of France?"
    with torch.inference_mode():
        a, b = scope.vectors([statement])[0], scope.vectors([query])[0]
    (alone,) = scope.probabilities([(statement, query)])
    assert alone == pytest.approx(float(probability((a - b).square().sum(), 0.5)), rel=1e-4)
    in_company = scope.probabilities([("Another fact, a longer one.", query), (statement, query)])[1]
    assert in_company == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("kind", ["embed", "cross"])
def test_statements_and_queries_longer_than_the_window_are_cut_at_their_beginning(tiny_bert: str, kind: Any) -> None:
    scope = SeracScope.from_base(tiny_bert, ScopeConfig(kind=kind, longest=24), offline=True)
    long = "An old and unrelated story. " * 9
    found = scope.probabilities([(f"{long}{a}", f"{b} {q}") for a in ("A", "B") for b, q in ((long, "C?"), ("", "D?"))])
    assert len(set(found)) == 4  # what stands at the end is read
    assert found[2] == pytest.approx(scope.probabilities([(f"Another. {long}B", f"Another. {long} C?")])[0], abs=1e-5)


def test_only_the_most_probable_edit_governs(tiny_bert: str, france: Edit, hamlet: Edit) -> None:
    scope = SeracScope.from_base(tiny_bert, ScopeConfig(scale=1e-6), offline=True)  # everything is near
    (decision, nothing) = scope.decide(["Who?", "Who?"], [[Candidate(france, {}), Candidate(hamlet, {})], []])
    assert len(decision.in_scope) == 1 and len(decision.near_misses) == 1
    assert decision.in_scope[0].probability >= decision.near_misses[0].probability > 0.5
    assert nothing.in_scope == ()


def test_hard_negatives_are_of_rank_25_to_100_and_never_of_the_same_subject() -> None:
    def example(n: int) -> Example:
        subject = "France" if n % 2 else f"Land {n}"
        query = Asked(f"What is the capital of {subject} number {n}?")
        return Example(statement=f"The capital of {subject} number {n} is X.", subject=subject, in_scope=(query,))

    examples, encoder = [example(n) for n in range(150)], load_encoder("hash")
    found = mined(examples, encoder)
    assert found == mined(examples, encoder) and all(found)
    owner = {e.in_scope[0].query: e for e in examples}
    keys = encoder.encode([e.in_scope[0].query for e in examples])
    for example_, queries in zip(examples[:20], found[:20], strict=True):
        scores = keys @ encoder.encode([example_.statement])[0]
        for query in queries:
            assert owner[query].subject != example_.subject
            own = scores[examples.index(owner[query])]
            assert (scores > own + 1e-6).sum() < FARTHEST and (scores >= own - 1e-6).sum() > NEAREST


def test_too_few_queries_leave_nothing_to_mine(data: Path) -> None:
    assert mined(read_examples(data), load_encoder("hash")) == [()] * 6


def test_frozen_layers_stay_as_they_are_and_the_others_learn(data: Path, tiny_bert: str, tmp_path: Path) -> None:
    before = SeracScope.from_base(tiny_bert, ScopeConfig(), offline=True).model.state_dict()
    train(data, tiny_bert, tmp_path, QUICK, ScopeConfig(), load_encoder("hash"), frozen=1)
    after = SeracScope.from_pretrained(tmp_path).model.state_dict()
    kept = {key for key in before if key.startswith(("embeddings", "encoder.layer.0"))}
    assert kept and all(torch.equal(before[key], after[key]) for key in kept)
    train(data, tiny_bert, tmp_path / "all", QUICK, ScopeConfig(), load_encoder("hash"))
    moved = SeracScope.from_pretrained(tmp_path / "all").model.state_dict()
    assert not any(torch.equal(before[key], moved[key]) for key in kept if key.endswith("query.weight"))
    with pytest.raises(ConfigError, match="the encoder has 2 layers, so fewer can be frozen, got 2"):
        train(data, tiny_bert, tmp_path / "more", QUICK, ScopeConfig(), load_encoder("hash"), frozen=2)


def test_the_scale_begins_where_the_threshold_parts_what_is_in_scope_from_what_is_not(tiny_bert: str) -> None:
    facts = {"France": "Lyon", "Spain": "Vigo", "Peru": "Cusco"}
    examples = [
        Example(
            statement=f"The capital of {c} is {t}.",
            in_scope=(Asked(f"What is the capital of {c}?"),),
            out_of_scope=(f"Who governs {c} and what do people there think of it?",),
        )
        for c, t in facts.items()
    ]
    plain = SeracScope.from_base(tiny_bert, ScopeConfig(), offline=True)
    scale = fitted_scale(plain, examples, [()] * 3, 0)
    scaled = SeracScope.from_base(tiny_bert, ScopeConfig(scale=scale), offline=True)
    inside = sorted(scaled.probabilities([(e.statement, e.in_scope[0].query) for e in examples]))[1]
    outside = sorted(scaled.probabilities([(e.statement, e.out_of_scope[0]) for e in examples]))[1]
    # Squared distances, whose logarithms these are, lie about ln 2 at equal lengths.
    assert math.log(inside) + math.log(outside) == pytest.approx(2 * math.log(0.5), rel=1e-3)
    assert inside != outside


class Counting:
    """An encoder that counts the texts it was given."""

    def __init__(self) -> None:
        self.inner, self.texts = load_encoder("hash"), 0
        self.fingerprint = self.inner.fingerprint

    def encode(self, texts: Any) -> Any:
        self.texts += len(texts)
        return self.inner.encode(texts)


def test_a_run_that_goes_on_does_not_mine_again(tiny_bert: str, tmp_path: Path) -> None:
    rows = [{"statement": f"The capital of land {n} is X.", "in_scope": [f"Capital of {n}?"]} for n in range(60)]
    data, encoder = tmp_path / "edits.jsonl", Counting()
    data.write_text("\n".join(map(json.dumps, rows)))
    train(data, tiny_bert, tmp_path / "out", QUICK, ScopeConfig(), encoder, stop_after=1)
    mined_first = encoder.texts
    assert mined_first > 0
    report = train(data, tiny_bert, tmp_path / "out", QUICK, ScopeConfig(), encoder, stop_after=1)
    assert report["steps"] == 2 and encoder.texts == mined_first


def test_by_distance_each_edit_learns_from_the_nearest_stranger_of_its_batch(tiny_bert: str) -> None:
    scope = SeracScope.from_base(tiny_bert, ScopeConfig(scale=0.05), offline=True)
    drawn = [("A is b.", "What is A?", "Who is A?"), ("C is d.", "What is C?", "Who is C?")]
    statements, inside, hard = zip(*drawn, strict=True)
    near = scope.probabilities([*zip(statements, inside, strict=True), *zip(statements, hard, strict=True)])
    strangers = scope.probabilities([(statements[0], inside[1]), (statements[1], inside[0])])
    expected = scope_loss(torch.tensor(near[:2]), torch.tensor([*near[2:], *strangers]))
    with torch.inference_mode():
        assert float(loss_of(scope, drawn)) == pytest.approx(float(expected), rel=1e-4)
        # The same fact twice is no stranger to itself.
        twice = [drawn[0], drawn[0]]
        alone = torch.tensor([near[2], near[2], 0.0, 0.0])
        assert float(loss_of(scope, twice)) == pytest.approx(
            float(scope_loss(torch.tensor([near[0]] * 2), alone)), rel=1e-4
        )


def test_what_cannot_be_trained_or_loaded_says_what_to_do(tmp_path: Path, tiny_bert: str) -> None:
    (tmp_path / "one.jsonl").write_text('{"statement": "x"}')
    with pytest.raises(ConfigError, match="0 edits with a query in scope, wanted at least 2"):
        train(tmp_path / "one.jsonl", tiny_bert, tmp_path, QUICK, ScopeConfig(), load_encoder("hash"))
    with pytest.raises(ModelUnavailableError, match="scr train scope --data FILE --out"):
        SeracScope.from_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="kind is 'both', wanted one of embed, cross"):
        ScopeConfig(kind="both")  # type: ignore[arg-type]


def test_it_stands_in_a_model_as_any_decider_does(edited: Any, tiny_bert: str, france: Edit) -> None:
    near = SeracScope.from_base(tiny_bert, ScopeConfig(scale=1e-6), offline=True)
    m = edited("gpt2", scope=near)
    m.edit(france)
    assert m.ask("What is the capital of France?", max_new_tokens=2).route == "context"
    m.editor.scope = SeracScope.from_base(tiny_bert, ScopeConfig(scale=1e6), offline=True)
    assert m.ask("What is the capital of France?", max_new_tokens=2).route == "base"
