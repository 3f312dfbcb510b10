"""SERAC's formulas against values worked out by hand."""

import math

import pytest
import torch

from memory_store.errors import ConfigError
from scr.serac.losses import THRESHOLD, answer_loss, mixed, probability, scope_loss, serac_loss


def test_the_scope_ends_at_a_squared_distance_of_ln_2() -> None:
    edits, queries = torch.tensor([[3.0, 0.0], [3.0, 0.0]]), torch.tensor([[3.0, 0.5], [2.0, 0.0]])
    p = probability((edits - queries).square().sum(-1))
    assert p.tolist() == pytest.approx([math.exp(-0.25), math.exp(-1.0)])
    assert [x > 0.5 for x in p.tolist()] == [d < THRESHOLD for d in (0.25, 1.0)] == [True, False]
    assert float(probability(torch.tensor(0.5), scale=2.0)) == pytest.approx(math.exp(-1.0))


def test_the_answers_loss_counts_answer_tokens_alone() -> None:
    log_p = torch.tensor([[-9.0, -1.0, -2.0], [-9.0, -9.0, -6.0]])
    learn = torch.tensor([[False, True, True], [False, False, True]])
    assert float(answer_loss(log_p, learn)) == 3.0  # (1 + 2 + 6) / 3
    with pytest.raises(ConfigError, match="no answer to learn"):
        answer_loss(log_p, torch.zeros_like(learn))


def test_the_scope_loss_weighs_both_sides_alike_however_many_there_are() -> None:
    inside, outside = torch.tensor([0.5]), torch.tensor([0.75, 0.75, 0.75])
    assert float(scope_loss(inside, outside)) == pytest.approx(math.log(2) + math.log(4))
    assert float(scope_loss(inside, torch.empty(0))) == pytest.approx(math.log(2))
    assert math.isfinite(float(scope_loss(torch.tensor([0.0]), torch.tensor([1.0]))))


def test_both_losses_add_with_the_published_weights() -> None:
    assert float(serac_loss(torch.tensor(2.0), torch.tensor(3.0))) == pytest.approx(0.1 * 2 + 1.0 * 3)


def test_a_soft_mixture_adds_probabilities() -> None:
    counterfactual, base = torch.tensor([0.8, 0.2]).log(), torch.tensor([0.1, 0.9]).log()
    assert mixed(0.25, counterfactual, base).exp().tolist() == pytest.approx([0.275, 0.725])  # .2 + .075, .05 + .675
    assert mixed(1.0, counterfactual, base) is counterfactual and mixed(0.0, counterfactual, base) is base


def test_a_mixture_of_two_vocabularies_is_refused() -> None:
    with pytest.raises(ConfigError, match="knows 2 tokens and the base 3"):
        mixed(0.5, torch.zeros(2), torch.zeros(3))
    with pytest.raises(ConfigError, match="needs a probability, got 1.5"):
        mixed(1.5, torch.zeros(2), torch.zeros(2))
