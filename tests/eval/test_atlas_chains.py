"""Chains over Atlas' edits: what their facts are, and what a run says about them."""

from pathlib import Path

from click.testing import CliRunner

from eval.atlas import load_atlas
from eval.atlas_chains import load_atlas_chains, three_hops
from eval.cli import eval_group
from eval.runner import Plan, RunConfig
from eval.scores import read_result
from scr.pocket.facts import load_facts

FACTS = {(f.subject, f.object) for f in load_facts()}


def test_three_hops_go_through_facts_that_are_not_edited() -> None:
    edits = [case.edit for case in load_atlas(200).cases]
    found = three_hops(edits)
    edited = {edit.subject for edit in edits}
    assert found and all(chain.edit.subject in chain.question for chain in found)
    for chain in found:
        second, third = chain.further
        assert (second.subject, third.subject) == (chain.edit.target_new, second.object)
        assert not {second.subject, third.subject} & edited
        assert chain.question.count(" of ") >= 2


def test_every_chain_tells_its_steps_and_asks_its_further_facts() -> None:
    dataset = load_atlas_chains()
    kinds = [probe.kind for case in dataset.cases for probe in case.probes]
    assert kinds.count("two_hop") > 400 and kinds.count("multi_hop") > 30
    for case in dataset.cases:
        chains = [probe for probe in case.probes if probe.kind in ("two_hop", "multi_hop")]
        hops = [probe for probe in case.probes if probe.kind == "hop"]
        assert chains and all(case.edit.subject in chain.steps[0] for chain in chains)
        assert all("{}" in step for chain in chains for step in chain.steps[1:])
        for chain in chains:
            assert any(hop.accepted == chain.accepted for hop in hops)
        for hop in hops:
            assert any(subject in hop.prompt and answer == hop.accepted[0] for subject, answer in FACTS)


def test_the_one_that_is_told_sees_an_edit_for_its_own_hop_only() -> None:
    dataset = load_atlas_chains()
    plan = Plan(dataset, RunConfig(points=(20,)))
    for case in dataset.cases[:20]:
        for probe in case.probes:
            governing = plan.governing[probe.prompt]
            assert (case.edit.edit_id in governing) == (probe.kind != "hop")
            assert plan.steps.get(probe.prompt, ()) == probe.steps


def test_a_run_reports_chains_and_their_hops(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["run", "--dataset", "atlas-chains", "--methods", "copy,scr", "--edits", "12", "--out", str(out)]
    result = CliRunner().invoke(eval_group, [*words, "--fixed", "0", "--json"])
    assert result.exit_code == 0, result.output
    found = read_result(out)
    assert found.manifest["dataset"]["name"] == "atlas-chains"
    methods = found.methods
    two = {label: method.figure("two hops", 12) for label, method in methods.items()}
    whole = {label: method.figure("two hops by their hops", 12) for label, method in methods.items()}
    assert two["scr"] is not None and two["scr"].interval.value >= 0.75
    assert two["copy"] is not None and two["copy"].interval.value <= 0.25
    assert whole["scr"] is not None and 0.6 <= whole["scr"].interval.value <= two["scr"].interval.value
    assert whole["copy"] is not None and whole["copy"].interval.value <= 0.25
    hops = methods["scr"].figure("hops", 12)
    assert hops is not None and hops.interval.value >= 0.8
