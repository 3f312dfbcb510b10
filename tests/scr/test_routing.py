"""Who answers where a fact governs: the policies, what is remembered of a model, and that nothing else moves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from memory_store.edit import Edit
from memory_store.errors import ConfigError, EditNotFoundError
from scr.edited_model import EditedModel
from scr.language_model import fingerprint_of
from scr.protocols import Decision, Judged
from scr.routing import POLICIES, Router
from scr.verification import EVENT, Verified, of_another, remember, remembered, states

IN, OUT = "What is the capital of France?", "What is the capital of Spain?"


class Targets:
    """A counterfactual model that one can be in one's head: it says the new answer, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def answer(self, pairs: Sequence[tuple[Edit, str]], *, max_new_tokens: int) -> list[str]:
        self.asked += [(edit.edit_id, query) for edit, query in pairs]
        return [edit.target_new for edit, _ in pairs]

    def log_likelihood(self, triples: Sequence[tuple[Edit, str, str]]) -> list[tuple[float, int, bool]]:
        return [(-1.0, 1, text.strip() == edit.target_new) for edit, _, text in triples]


def decided(edit: Edit, *more: Edit) -> Decision:
    return Decision(in_scope=tuple(Judged(e, 0.9) for e in (edit, *more)))


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_has_a_part_where_nothing_or_a_verbatim_fact_governs(policy: Any, france: Edit) -> None:
    router = Router(policy, Targets(), lambda edit: False)
    assert router.route(Decision()) == "base"
    assert router.route(decided(replace(france, verbatim=True))) == "verbatim"


def test_each_policy_routes_as_it_is_called(france: Edit, hamlet: Edit) -> None:
    obeyed = {"france": True, "hamlet": False}
    routes = {p: Router(p, Targets(), lambda e: obeyed[e.edit_id]).route for p in POLICIES}
    assert [route(decided(france)) for route in routes.values()] == ["context", "counterfactual", "context"]
    assert [route(decided(hamlet)) for route in routes.values()] == ["context", "counterfactual", "counterfactual"]
    assert routes["auto"](decided(hamlet, france)) == "counterfactual"  # the most probable one decides


def test_an_unknown_policy_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="unknown route 'serac'; choose one of context, counterfactual, auto"):
        Router("serac")  # type: ignore[arg-type]


def test_the_counterfactual_model_answers_and_the_answer_names_its_route(edited: Any, france: Edit) -> None:
    targets = Targets()
    m = edited("gpt2", route="counterfactual", counterfactual=targets)
    m.edit(france)
    inside, outside = m.ask([IN, OUT], max_new_tokens=4)
    assert (inside.text, inside.route, [j.edit.edit_id for j in inside.used]) == ("Lyon", "counterfactual", ["france"])
    assert outside.route == "base" and targets.asked == [("france", IN)]
    stream = m.chat([{"role": "user", "content": IN}], stream=True, max_new_tokens=4)
    assert list(stream) == ["Lyon"] and stream.answer.route == "counterfactual"


def test_generate_says_it_in_the_models_own_tokens(edited: Any, france: Edit) -> None:
    m = edited("llama", route="counterfactual", counterfactual=Targets())
    m.edit(france)
    ids = torch.tensor([m.question_ids(IN)])
    out = m.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
    assert out[0, : ids.shape[1]].tolist() == ids[0].tolist()
    assert m.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip() == "Lyon"


def _generated(m: Any, question: str) -> str:
    ids = torch.tensor([m.question_ids(question)])
    out = m.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
    assert out[0, : ids.shape[1]].tolist() == ids[0].tolist()
    return str(m.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)).strip()


ADA = Edit(
    edit_id="ada",
    subject="Ada Byron",
    prompt="Ada Byron was born in",
    target_new="Chile",
    statement="Ada Byron was born in Chile.",
)
CHILE = Edit(
    edit_id="chile",
    subject="Chile",
    prompt="The capital of Chile is",
    target_new="Lyon",
    statement="The capital of Chile is Lyon.",
)
CHAIN = "What is the capital of the country where Ada Byron was born?"
LEFT = "What is the capital of Chile?"


@pytest.mark.parametrize("arch", ["llama", "gpt2"])
def test_generate_asks_the_counterfactual_model_what_a_chain_leaves(tiny_folder: Any, arch: str) -> None:
    targets = Targets()
    options: dict[str, Any] = {"offline": True, "route": "counterfactual", "counterfactual": targets}
    with EditedModel.from_pretrained(tiny_folder(arch), **options) as m:
        m.edit([ADA, CHILE])
        assert _generated(m, CHAIN) == m.ask(CHAIN).text == "Lyon"
        assert targets.asked == [("chile", LEFT)] * 2


def test_generate_asks_the_model_what_a_chain_leaves_where_no_fact_governs_that(tiny_folder: Any) -> None:
    options: dict[str, Any] = {"offline": True, "route": "counterfactual", "counterfactual": Targets()}
    with EditedModel.from_pretrained(tiny_folder("llama"), **options) as m:
        m.edit(ADA)
        (decision,) = m.follow([CHAIN])
        assert decision.asked == LEFT and not decision.in_scope
        with m.edits_disabled():
            left, whole = _generated(m, LEFT), _generated(m, CHAIN)
        assert _generated(m, CHAIN) == left != whole


@pytest.mark.parametrize("policy", ["counterfactual", "auto"])
def test_out_of_scope_no_bit_differs_from_the_model_alone(edited: Any, france: Edit, policy: Any) -> None:
    m = edited("llama", route=policy, counterfactual=Targets())
    m.edit(france)
    ids = torch.tensor([m.question_ids(OUT)])
    options = {"max_new_tokens": 4, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
    ours = m.generate(ids, attention_mask=torch.ones_like(ids), **options)
    theirs = m.model.generate(ids, attention_mask=torch.ones_like(ids), **options)
    assert torch.equal(ours.sequences, theirs.sequences)
    assert all(torch.equal(a, b) for a, b in zip(ours.logits, theirs.logits, strict=True))


def test_scores_come_from_the_route_that_answers(edited: Any, france: Edit) -> None:
    m = edited("gpt2", route="counterfactual", counterfactual=Targets())
    m.edit(france)
    pairs = [(IN, " Lyon"), (OUT, " Madrid")]
    assert m.log_likelihood(pairs) == [(-1.0, 1, True), m.language_model.log_likelihood(pairs)[1]]


def test_auto_asks_the_model_where_nothing_is_remembered_and_leaves_no_trace(edited: Any, france: Edit) -> None:
    m = edited("gpt2", route="auto", counterfactual=Targets())
    m.edit(france)
    before = m.store.head()
    assert m.ask(IN, max_new_tokens=4).route == "counterfactual"  # a random model does not say Lyon
    assert m.store.head() == before


def test_what_was_verified_is_remembered_for_this_model_only(edited: Any, france: Edit, hamlet: Edit) -> None:
    m = edited("gpt2")
    m.edit([france, hamlet])
    (one,) = m.verify("france")
    assert (one.known, one.obeyed) == (False, False) and one.shown == m.said(
        [france.prompt], [decided(france)], max_new_tokens=32
    )[0]
    assert [event.edit_id for event in m.store.log(kind=EVENT)] == ["france"]
    fingerprint = m.language_model.fingerprint
    assert remembered(m.store, france, fingerprint) is False
    assert remembered(m.store, france, "another") is None and remembered(m.store, hamlet, fingerprint) is None
    assert len(m.verify()) == 2 and remembered(m.store, hamlet, fingerprint) is False


def test_the_model_before_is_the_one_asked_before(edited: Any, france: Edit) -> None:
    m = edited("gpt2")
    m.edit(france)
    for model, obeyed in (("a", True), ("b", False), ("a", True), ("a", True)):
        remember(m.store, [Verified(france, False, obeyed, "", "")], model)
    assert of_another(m.store, france, "c") == {"known": False, "obeyed": True}
    assert len(list(m.store.log(kind=EVENT))) == 3  # what did not change since is not said again


def test_what_is_remembered_decides_over_what_would_be_asked(edited: Any, france: Edit) -> None:
    m = edited("gpt2", route="auto", counterfactual=Targets())
    m.edit(france)
    m.store.record(EVENT, {"model": m.language_model.fingerprint, "obeyed": True}, edit_id="france")
    assert m.ask(IN, max_new_tokens=4).route == "context"


def test_a_purge_takes_what_was_verified_along(edited: Any, france: Edit) -> None:
    m = edited("gpt2")
    m.edit(france)
    m.verify()
    m.store.purge(["france"])
    assert [event.payload for event in m.store.log(kind=EVENT)] == [None] and m.store.verify().ok


def test_verifying_an_unknown_edit_says_so(edited: Any) -> None:
    with pytest.raises(EditNotFoundError, match="no live edit 'nobody'"):
        edited("gpt2").verify("nobody")


def test_free_and_verbatim_facts_are_not_asked_about(edited: Any, france: Edit) -> None:
    m = edited("gpt2", route="auto", counterfactual=Targets())
    m.edit([Edit(statement="The office closes on Fridays."), replace(france, verbatim=True)])
    assert m.verify() == [] and m.store.log(kind=EVENT) == []


def test_a_fingerprint_changes_with_any_training_step_and_with_the_template(edited: Any) -> None:
    model = edited("gpt2").model
    before = fingerprint_of(model)
    assert before == fingerprint_of(model) != fingerprint_of(model, "another template")
    with torch.no_grad():
        model.transformer.h[1].mlp.c_fc.weight.add_(1e-3)
    try:
        assert fingerprint_of(model) != before
    finally:
        with torch.no_grad():
            model.transformer.h[1].mlp.c_fc.weight.sub_(1e-3)


def test_an_answer_states_its_target_in_whole_words_only() -> None:
    assert states("It is the Île-de-France, I think.", "ile de france")
    assert not states("Parisian", "Paris") and not states("", "Paris") and not states("Paris", "")
    assert states("Paris is it", "Paris", begins=True) and not states("It is Paris", "Paris", begins=True)


def test_save_and_load_keep_the_route(edited: Any, tiny_folder: Any, tmp_path: Any) -> None:
    from scr.edited_model import EditedModel

    m = edited("llama", scope="cosine", route="auto", counterfactual=str(tiny_folder("gpt2")))
    m.save_pretrained(tmp_path / "saved")
    again = EditedModel.from_pretrained(tmp_path / "saved", encoder=m.editor.encoder)
    assert again.route == "auto"
    assert again.editor.router.counterfactual.model.config.model_type == "gpt2"
    again.store.close()
    own = edited("llama", scope="cosine", route="auto", counterfactual=Targets())
    with pytest.raises(ConfigError, match="counterfactual model is an object of yours"):
        own.save_pretrained(tmp_path / "own")
