"""Claims about figures, pictures and the page: rows are written by hand, so that every figure is known before."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eval import readme
from eval.cli import eval_group
from eval.pictures import GRID, Axis, Chart, Panel, Point, Value, dots, grid, log_axis, share_axis, spaced, styles
from eval.report import as_html, as_json, as_markdown, points_to_show, write_report
from eval.runner import SCHEMA
from eval.scores import Result, read_result
from eval.shapes import shapes
from memory_store.errors import ConfigError

FAMILIES = {"base": "control", "scr": "retrieval", "cosine": "retrieval", "copy": "control"}


def answered(
    case: str,
    kind: str,
    *,
    good: bool,
    point: int = 10,
    probe: int = 0,
    order: int = 0,
    used: Sequence[str] = (),
    forced: tuple[float, float, bool] | None = None,
    answer: str = "said",
) -> dict[str, Any]:
    """``good`` is right in scope, unchanged out of it; ``forced`` is (wanted, rival, greedy), each over one token."""
    outside = kind in ("neighbor", "same_subject", "unrelated")
    row: dict[str, Any] = {
        "order": order,
        "point": point,
        "case": case,
        "subject": case.upper(),
        "kind": kind,
        "probe": probe,
        "prompt": f"{kind} of {case}?",
        "accepted": ["x"],
        "governed_by": None if outside else case,
        "answer": answer,
        "base": "before",
        "route": "base",
        "used": list(used),
        "right": good,
        "unchanged": good,
    }
    if forced is not None:
        row |= {"wanted": [forced[0], 1, forced[2]], "rival": [forced[1], 1, False]}
    return row


def passed(point: int = 10, **more: Any) -> dict[str, Any]:
    return {
        "event": "point",
        "order": 0,
        "point": point,
        "edit_s": 0.02,
        "query_ms": 5.0,
        "perplexity": 3.0,
        "weights": {},
        **more,
    }


ENDS = [{"event": "verified", "before": "0", "after": "0", "same": True}, {"event": "done"}]


def written(folder: Path, methods: dict[str, list[dict[str, Any]]], **config: Any) -> Path:
    """A run's folder with these rows."""
    manifest = {
        "schema": SCHEMA,
        "config": {"protocol": "sequential-batch", "seed": 0, "orders": 1, "points": [10], **config},
        "dataset": {"name": "toy", "sha256": "d" * 64, "described": "toy: 2 of 2 rows kept", "source": "by hand"},
        "model": {"name": "pocket", "sha256": "m" * 64, "chat": True},
        "methods": {
            label: {"name": label, "family": FAMILIES.get(label, "parametric"), "about": "", "settings": {}}
            for label in methods
        },
        "command": ["scr", "eval", "run", "--out", "my folder"],
        "made_on": {
            "python": "3",
            "versions": {"torch": "2"},
            "system": "Linux",
            "cores": 2,
            "torch_threads": 2,
            "commit": "abc",
            "time": "now",
        },
    }
    (folder / "methods").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    for label, rows in methods.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "methods" / f"{label}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def scr_rows(point: int) -> list[dict[str, Any]]:
    """Two edits: reliability 1, generalization (1 + 0.5) / 2, locality 1, same subject 0."""
    return [
        answered("a", "prompt", good=True, point=point, used=["a"], forced=(-0.1, -3.0, True)),
        answered("a", "paraphrase", good=True, point=point, used=["a"], forced=(-0.1, -3.0, True)),
        answered("a", "neighbor", good=True, point=point, forced=(-0.1, -3.0, True)),
        answered("a", "same_subject", good=False, point=point, used=["a"]),
        answered("b", "prompt", good=True, point=point, used=["b"], forced=(-0.1, -3.0, True)),
        answered("b", "paraphrase", good=True, point=point, used=["b"], forced=(-4.0, -3.0, False)),
        answered("b", "paraphrase", good=False, point=point, probe=1, used=["a"], forced=(-4.0, -3.0, False)),
        answered("b", "neighbor", good=True, point=point, forced=(-4.0, -3.0, False)),
        answered("fixed-0", "unrelated", good=True, point=point),
    ]


def memit_rows(point: int, *, good: bool) -> list[dict[str, Any]]:
    return [
        answered(case, kind, good=good, point=point, forced=(-0.1, -3.0, True), answer="memit <b>said</b>")
        for case in "ab"
        for kind in ("prompt", "paraphrase", "neighbor", "two_hop")
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    matrix = {"norm": 1.0, "sigma_max": 0.5, "condition": 40.0, "condition_before": 20.0}
    methods = {
        "base": [*(answered("a", "prompt", good=False, point=p) for p in (10, 100)), passed(10), passed(100), *ENDS],
        "scr": [*scr_rows(10), passed(10), *scr_rows(100), passed(100), *ENDS],
        "memit": [
            *memit_rows(10, good=True),
            passed(10, weights={"w": matrix}, cpu_s=30.0),
            *memit_rows(100, good=False),
            passed(
                100,
                weights={"w": {**matrix, "condition": 900.0}},
                perplexity=300.0,
                edit_s=0.5,
                edit_cpu_s=0.25,
                cpu_s=60.0,
            ),
            *ENDS,
        ],
    }
    return written(tmp_path / "run", methods)


def value(result: Result, label: str, metric: str, point: int = 10) -> float:
    figure = result.methods[label].figure(metric, point)
    assert figure is not None
    return figure.interval.value


# --- figures ---------------------------------------------------------------------------------------------------


def test_figures_are_means_over_edits_of_their_questions(folder: Path) -> None:
    result = read_result(folder)
    assert value(result, "scr", "reliability") == 1.0
    assert value(result, "scr", "generalization") == 0.75
    assert value(result, "scr", "locality") == 1.0
    assert value(result, "scr", "same-subject locality") == 0.0
    assert value(result, "scr", "ES") == 1.0
    assert value(result, "scr", "PS") == 0.5
    assert value(result, "scr", "NS") == 0.5
    assert result.methods["scr"].score(10) == pytest.approx(3 / (1 + 2 + 2))
    assert value(result, "scr", "para. accuracy") == 0.5
    assert result.methods["scr"].figure("alias", 10) is None


def test_scope_counts_direct_kinds_as_governed(folder: Path) -> None:
    scope = read_result(folder).methods["scr"].scope(10)
    # Six decisions were made, four of them right, over five governed questions; one of four free ones fired.
    assert scope is not None
    assert (scope.precision, scope.recall, scope.false_fire) == (pytest.approx(4 / 6), 0.8, 0.25)
    assert read_result(folder).methods["memit"].scope(10) is None


def test_cost_is_of_the_longest_sequence(folder: Path) -> None:
    methods = read_result(folder).methods
    assert (methods["memit"].edit_seconds, methods["scr"].edit_seconds) == (0.5, 0.02)
    assert methods["memit"].query_ms == 5.0
    assert (methods["memit"].edit_cpu_seconds, methods["scr"].edit_cpu_seconds) == (0.25, None)
    assert (methods["memit"].cpu_seconds, methods["base"].cpu_seconds) == (90.0, None)


def test_a_point_that_is_not_finished_has_no_figures(tmp_path: Path) -> None:
    half = written(tmp_path / "run", {"scr": [*scr_rows(10), passed(10), *scr_rows(100)[:3]]})
    result = read_result(half)
    assert result.points == [10]
    assert result.methods["scr"].figure("reliability", 100) is None
    assert not result.methods["scr"].finished
    assert "Not finished: scr" in as_html(result)


def test_a_likelihood_that_was_no_number_wins_nothing(tmp_path: Path) -> None:
    row = answered("a", "prompt", good=False, forced=(-0.1, -3.0, True))
    row["wanted"][0] = None
    result = read_result(written(tmp_path / "run", {"memit": [row, passed(10), *ENDS]}))
    assert value(result, "memit", "ES") == 0.0


def test_orders_are_units_of_their_own(tmp_path: Path) -> None:
    rows = [answered("a", "prompt", good=order < 2, order=order) for order in range(3)]
    result = read_result(written(tmp_path / "run", {"memit": [*rows, passed(10), *ENDS]}))
    figure = result.methods["memit"].figure("reliability", 10)
    assert figure is not None
    assert figure.orders == (1.0, 1.0, 0.0)
    assert (figure.interval.units, figure.interval.clusters) == (3, 1)
    assert figure.span == (0.0, 1.0)


def test_the_range_over_orders_is_drawn_and_told(tmp_path: Path) -> None:
    """Point 10: orders 1 and 0; point 100: both 1."""
    rows = [
        answered("a", "prompt", good=point == 100 or order == 0, order=order, point=point)
        for point in (10, 100)
        for order in range(2)
    ]
    folder = written(tmp_path / "run", {"memit": [*rows, passed(10), passed(100), *ENDS]}, orders=2)
    page = as_html(read_result(folder))
    assert "thick upright bars the range over 2 orders of the edits" in page
    assert "(orders 1.000 to 1.000)" in page and "orders 0.000 to 1.000</title>" in page  # a table, a mark's hint
    drawn = next(p for p in re.findall(r"<svg.*?</svg>", page, re.DOTALL) if "<title>reliability" in p)
    root = ElementTree.fromstring(drawn)
    bars = [e.attrib for e in root.iter("{http://www.w3.org/2000/svg}line") if e.attrib["stroke-width"] == "3"]
    assert [float(bar["y1"]) - float(bar["y2"]) for bar in bars] == pytest.approx([196, 0], abs=0.1)


def test_nothing_to_report_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape("run.json is missing")):
        read_result(tmp_path)
    with pytest.raises(ConfigError, match="no finished point"):
        read_result(written(tmp_path / "run", {"scr": scr_rows(10)}))


# --- lines and findings ----------------------------------------------------------------------------------------


def verdict(result: Result, beginning: str) -> str:
    """Of the one claim that begins so."""
    (found,) = [shape for shape in shapes(result) if shape.claim.startswith(beginning)]
    return found.verdict


def evidence(result: Result, beginning: str) -> str:
    (found,) = [shape for shape in shapes(result) if shape.claim.startswith(beginning)]
    return found.evidence


UNTESTED = "not testable at this size"


def test_claims_are_shown_not_shown_or_not_testable(folder: Path) -> None:
    result = read_result(folder)
    assert verdict(result, "scr is flat") == "shown"
    assert verdict(result, "Teacher forcing flatters") == "shown"
    assert verdict(result, "Within 100 edits in sequence") == "shown"  # memit: 1 at 10, 0 at 100
    assert verdict(result, "Weight editors do not reason on") == "not shown"  # two hops as good as reliability
    for claim in (
        "GRACE with its published radius",
        "PRUNE's condition",
        "At 1,000 edits",
        "MEMIT's λ",
        "On chains",
        "AlphaEdit is",
    ):
        assert verdict(result, claim) == UNTESTED, claim
    kinds = [shape.kind for shape in shapes(result)]
    assert kinds == sorted(kinds, key=["line", "target", "finding"].index) and kinds.count("line") == 4
    # Every mean stands with its interval.
    assert "memit reliability 0.000 [0.000, 0." in evidence(result, "Within 100 edits")


def rows_at(point: int, *, case: str = "a", **kinds: bool) -> list[dict[str, Any]]:
    return [answered(case, kind, good=good, point=point) for kind, good in kinds.items()]


def read(folder: Path, **methods: list[dict[str, Any]]) -> Result:
    points = {row["point"] for rows in methods.values() for row in rows if "kind" in row}
    rows = {name.replace("_", "-"): [*found, *map(passed, sorted(points)), *ENDS] for name, found in methods.items()}
    return read_result(written(folder, rows))


def test_grace_that_generalises_crosses_a_line(tmp_path: Path) -> None:
    for number, (good, wanted) in enumerate(((False, "shown"), (True, "not shown"))):
        result = read(tmp_path / str(number), grace=rows_at(10, prompt=True, paraphrase=good, neighbor=True))
        assert verdict(result, "GRACE with its published radius") == wanted
        assert verdict(result, "GRACE keeps locality") == wanted


def test_generated_above_teacher_forced_crosses_a_line(tmp_path: Path) -> None:
    for number, (greedy, wanted) in enumerate(((True, "shown"), (False, "not shown"))):
        row = answered("a", "prompt", good=True, forced=(-0.1, -3.0, greedy))
        assert verdict(read(tmp_path / str(number), memit=[row]), "Teacher forcing flatters") == wanted


def test_the_few_comparisons_that_disagree_are_not_folded_away(tmp_path: Path) -> None:
    labels = [f"m{i}" for i in range(5)]
    rows = {label: [answered("a", "prompt", good=True, forced=(-0.1, -3.0, label != "m3"))] for label in labels}
    page = as_html(read(tmp_path, **rows))
    assert "4 of 5 comparisons agree" in page
    assert "Not: m3 reliability 1.000" in page and "Not: m2" not in page


def test_pruned_matrices_stay_near_the_unedited_ones_and_at_most_memits(tmp_path: Path) -> None:
    def rows(condition: float) -> list[dict[str, Any]]:
        told = {"w": {"norm": 1.0, "sigma_max": 1.0, "condition": condition, "condition_before": 10.0}}
        return [answered("a", "prompt", good=True), passed(10, weights=told), *ENDS]

    cases = ((50.0, 80.0, "shown"), (90.0, 80.0, "not shown"), (150.0, 900.0, "not shown"))
    for number, (ours, theirs, wanted) in enumerate(cases):
        result = read_result(written(tmp_path / str(number), {"memit": rows(theirs), "prune": rows(ours)}))
        assert verdict(result, "PRUNE's condition") == wanted
    assert "prune 150 at 10, unedited 10, memit 900" in evidence(result, "PRUNE's condition")


def test_a_scope_decision_has_to_save_tens_of_points(tmp_path: Path) -> None:
    def asked(good: bool) -> list[dict[str, Any]]:
        return [row for case in "abcdefgh" for row in rows_at(10, case=case, same_subject=good, neighbor=good)]

    assert verdict(read(tmp_path / "0", scr=asked(True), ike=asked(False)), "Without a scope decision") == "shown"
    assert verdict(read(tmp_path / "1", scr=asked(True), ike=asked(True)), "Without a scope decision") == "not shown"


def test_context_is_to_win_on_consequences_and_not_on_locality(tmp_path: Path) -> None:
    def asked(consequences: bool, local: bool) -> list[dict[str, Any]]:
        kinds = {"alias": consequences, "reversed": consequences, "two_hop": consequences, "neighbor": local}
        return [row for case in "abcdefgh" for row in rows_at(10, case=case, **kinds)]

    claim = "Facts in context (IKE)"
    assert verdict(read(tmp_path / "0", ike=asked(True, False), ft_m=asked(False, True)), claim) == "shown"
    assert verdict(read(tmp_path / "1", ike=asked(True, True), ft_m=asked(False, False)), claim) == "not shown"


def test_where_scr_does_not_beat_fine_tuning_it_is_said(tmp_path: Path) -> None:
    def asked(general: bool, local: bool) -> list[dict[str, Any]]:
        return [row for case in "abcdefgh" for row in rows_at(10, case=case, paraphrase=general, neighbor=local)]

    result = read(tmp_path, scr=asked(True, False), locft_bf=asked(False, True))
    assert verdict(result, "Fine-tuning done well") == "not shown"
    told = evidence(result, "Fine-tuning done well")
    assert told.endswith("scr does not beat it on locality, seconds an edit")
    assert verdict(result, "LocFT-BF is above 0.98") == UNTESTED


def test_three_values_of_lambda_are_put_in_order(tmp_path: Path) -> None:
    def rows(new: float, neighbor: float) -> list[dict[str, Any]]:
        return [
            answered("a", "prompt", good=True, forced=(new, -1.0, True)),
            answered("a", "neighbor", good=True, forced=(neighbor, -1.0, True)),
            passed(10),
            *ENDS,
        ]

    folder = written(tmp_path / "run", {"l1": rows(-0.1, -3.0), "l2": rows(-0.1, -0.1), "l3": rows(-3.0, -0.1)})
    manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for label, weight in (("l1", 10.0), ("l2", 100.0), ("l3", 1000.0)):
        manifest["methods"][label] |= {"name": "memit", "settings": {"mom2_update_weight": weight}}
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert verdict(read_result(folder), "MEMIT's λ") == "shown"
    manifest["methods"]["l1"]["settings"]["mom2_update_weight"] = 5000.0
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert verdict(read_result(folder), "MEMIT's λ") == "not shown"


def test_targets_are_for_a_thousand_edits(tmp_path: Path) -> None:
    few = read(tmp_path / "few", scr=rows_at(100, prompt=True, paraphrase=True, neighbor=True, same_subject=True))
    assert verdict(few, "scr at 1,000 edits: reliability") == UNTESTED
    many = read(tmp_path / "many", scr=rows_at(1000, prompt=True, paraphrase=False, neighbor=True, same_subject=True))
    assert verdict(many, "scr at 1,000 edits: reliability") == "shown"
    assert verdict(many, "scr at 1,000 edits: generalization") == "not shown"
    assert verdict(many, "scr at 1,000 edits: same-subject locality") == "shown"


def with_settings(folder: Path, origin: dict[str, str]) -> Result:
    """The run with where each method's settings come from."""
    manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for label, source in origin.items():
        manifest["methods"][label] |= {"name": label.partition("+")[0], "settings": {"from": source}}
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    return read_result(folder)


def test_a_tuned_grace_crosses_no_line(tmp_path: Path) -> None:
    rows = {label: [*rows_at(10, paraphrase=True), passed(), *ENDS] for label in ("grace", "grace+tuned")}
    claim = "GRACE with its published radius"
    tuned = written(tmp_path / "0", {"grace+tuned": rows["grace+tuned"]})
    assert verdict(with_settings(tuned, {"grace+tuned": "tuned"}), claim) == UNTESTED
    both = with_settings(written(tmp_path / "1", rows), {"grace": "published", "grace+tuned": "tuned"})
    assert verdict(both, claim) == "not shown"
    assert "grace+tuned" not in evidence(both, claim)


def test_rome_ruins_and_memit_keeps(tmp_path: Path) -> None:
    def rows(perplexity: float) -> list[dict[str, Any]]:
        return [answered("a", "prompt", good=True, point=100), passed(100, perplexity=perplexity), *ENDS]

    claim = "ROME ruins the model"
    for number, (rome, wanted) in enumerate(((500.0, "shown"), (5.0, "not shown"))):
        methods = {"base": rows(3.0), "rome": rows(rome), "memit": rows(4.0)}
        assert verdict(read_result(written(tmp_path / str(number), methods)), claim) == wanted
    assert verdict(read_result(written(tmp_path / "2", {"base": rows(3.0), "memit": rows(4.0)})), claim) == UNTESTED


def test_paired_differences_with_holm_reach_page_and_json(folder: Path) -> None:
    result = read_result(folder)
    against = as_json(result)["scr_minus"]["generalization"]["memit"]
    assert (against["value"], against["edits"], against["point"]) == (0.75, 2, 100)
    assert 0 < against["p_holm"] <= 1 and against["low"] <= 0.75 <= against["high"]
    page = as_html(result)
    assert "generalization: scr minus each method, paired" in page and "p (Holm)" in page and "+0.750" in page


def test_page_and_table_name_every_claim(folder: Path) -> None:
    result = read_result(folder)
    text = as_markdown(result)
    outline = Outline()
    outline.feed(as_html(result))
    words = "".join(outline.text)
    for shape in shapes(result):
        assert f"| {shape.kind} | {shape.claim} | {shape.verdict} |" in text
        assert shape.claim in words
        assert all(piece in words for _, piece in shape.pieces) if shape.pieces else shape.evidence in words


# --- the page --------------------------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Whether tags close, and what the page would fetch."""

    VOID = frozenset({"meta", "br", "circle", "line", "rect", "polygon"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [v or "" for k, v in attrs if k in ("src", "href", "srcset") or "url(" in (v or "")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_and_fetches_nothing(folder: Path) -> None:
    write_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(page)
    assert outline.open == [] and outline.fetched == []
    assert "<script" not in page
    words = " ".join(outline.text)
    for told in ("scr eval run --out 'my folder'", "m" * 64, "d" * 64, "0.750 [", "toy: 2 of 2 rows kept", "abc"):
        assert told in words, told
    assert "no figure here is one of a production-size model" in words
    assert "memit at 100 edits (perplexity 300, unedited 3)" in words  # a hundred times the base's


def test_what_models_say_is_shown_as_text(folder: Path) -> None:
    page = as_html(read_result(folder))
    assert "memit &lt;b&gt;said&lt;/b&gt;" in page and "<b>said" not in page


def test_every_picture_is_well_formed_and_named(folder: Path) -> None:
    drawn = re.findall(r"<svg.*?</svg>", as_html(read_result(folder)), re.DOTALL)
    assert len(drawn) >= 8
    for picture in drawn:
        root = ElementTree.fromstring(picture)
        title = root.find("{http://www.w3.org/2000/svg}title")
        assert title is not None and title.text
        inside(root)
        words = " ".join(t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text"))
        assert "scr" in words or "memit" in words


def inside(root: ElementTree.Element) -> None:
    """No mark and no text starts outside the picture, and no text runs over its right edge."""
    wide, high = float(root.attrib["width"]), float(root.attrib["height"])
    for element in root.iter():
        for name, limit in (("x", wide), ("cx", wide), ("x1", wide), ("x2", wide), ("y", high), ("cy", high)):
            if name in element.attrib:
                assert -1 <= float(element.attrib[name]) <= limit + 1, element.attrib
        if element.tag.endswith("text") and element.attrib.get("text-anchor") == "start":
            size = float(element.attrib["font-size"])
            assert float(element.attrib["x"]) + 0.5 * size * len(element.text or "") <= wide + 4, element.text


def test_markdown_holds_the_headline_and_the_command(folder: Path) -> None:
    text = as_markdown(read_result(folder))
    assert "| **100 edits** | reliability | generalization | locality | same-subject locality |" in text
    row = next(line for line in text.splitlines() if line.startswith("| scr |"))
    assert row.split(" | ")[2].startswith("0.750 [")
    assert "`scr eval run --out 'my folder'`" in text


def test_a_full_memory_and_missing_edits_are_told_of(tmp_path: Path) -> None:
    rows = [{**answered(case, "prompt", good=case == "a"), "governed_by": None, "right": None} for case in "ab"]
    folder = written(tmp_path / "run", {"scr": [*rows, passed(10), *ENDS]}, ballast=10000, withheld=True)
    result = read_result(folder)
    text = as_markdown(result)
    assert "| **10 edits among 10,000 about other things** | silence |" in text and "| scr | 0.500 [" in text
    page = as_html(result)
    assert "Generated answers, 10 edits among 10,000 about other things" in page and "what is wanted is silence" in page


def test_generated_and_teacher_forced_figures_stand_apart(folder: Path) -> None:
    told = as_json(read_result(folder))["methods"]["scr"]["points"]["10"]
    assert set(told["generated"]) == {"reliability", "generalization", "locality", "same-subject locality"}
    assert set(told["teacher_forced"]) == {"ES", "PS", "NS", "accuracy", "para. accuracy", "S"}
    assert told["generated"]["generalization"]["value"] == 0.75
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(
    ("chat", "written_in", "told"),
    [
        (True, "chat", "write each edit inside it"),
        (True, "raw", "what they wrote is not what they are asked"),
        (True, None, "what they wrote is not what they are asked"),  # a run from before edits had a form
        (False, "raw", "Questions are bare prompts"),
    ],
)
def test_page_and_table_say_in_which_form_edits_were_written(
    chat: bool, written_in: str | None, told: str, folder: Path
) -> None:
    manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    manifest["model"] |= {"chat": chat} | ({"written": written_in} if written_in else {})
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    result = read_result(folder)
    assert told in as_html(result) and told in as_markdown(result)


def test_a_method_that_stopped_earlier_shows_as_not_measured(tmp_path: Path) -> None:
    early = [*memit_rows(10, good=True), passed(10), *ENDS]
    late = [*scr_rows(10), passed(10), *scr_rows(100), passed(100), *ENDS]
    result = read_result(written(tmp_path / "run", {"scr": late, "memit": early}))
    assert points_to_show(result) == [10, 100]
    assert "not measured" in as_html(result)


def test_the_command_reports_again_and_lists(folder: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(eval_group, ["report", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["methods"]["scr"]["points"]["10"]["generated"]["reliability"]["value"] == 1.0
    shown = runner.invoke(eval_group, ["ls", str(folder)])
    assert shown.exit_code == 0, shown.output
    assert re.search(r"memit +10, 100 +16 +finished", shown.stdout)
    listed = runner.invoke(eval_group, ["ls", "--json"])
    told = json.loads(listed.stdout)
    assert {"scr", "memit", "prune"} <= set(told["methods"]) and "atlas" in told["datasets"]
    assert set(told["not_included"]) == {"mend", "pmet"}


def test_the_headline_is_kept_for_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(good: bool) -> list[dict[str, Any]]:
        found = [row for p in (1, 1000) for row in rows_at(p, prompt=good, paraphrase=good, neighbor=True)]
        return [*found, passed(1), passed(1000, edit_cpu_s=0.125), *ENDS]

    methods = {"base": rows(False), "scr": rows(True), "memit": rows(False), "memit+tuned": rows(True)}
    methods["ft-m"] = rows(True)[:-1]
    folder = written(tmp_path / "run", methods)
    with_settings(folder, {"memit": "published", "memit+tuned": "tuned"})
    kept = tmp_path / "kept"
    done = CliRunner().invoke(eval_group, ["report", str(folder), "--keep", str(kept)])
    assert done.exit_code == 0, done.output
    root = ElementTree.parse(kept / "headline.svg").getroot()
    inside(root)
    words = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"scr", "memit", "reliability", "generalization", "locality"} <= set(words) and "base" not in words
    stored = json.loads((kept / "headline.json").read_text(encoding="utf-8"))
    memit = next(row for row in stored["result"]["rows"] if row["method"] == "memit+tuned")
    assert memit["points"]["1000"]["reliability"][0] == 1.0
    monkeypatch.setattr("eval.readme.RESULTS", kept)
    block = readme.headline()
    assert "](eval/results/headline.svg)" in block and "scr eval run --out my folder" in block
    row = next(line for line in block.splitlines() if line.startswith("| memit+tuned |"))
    assert row.split(" | ")[1] == "1,000" and row.split(" | ")[2].startswith("1.00 [") and row.endswith("| 0.125 |")
    assert "scr at 1,000 edits: reliability at least 0.95, generated: shown" in block
    assert "Not finished: ft-m." in block
    monkeypatch.setattr("eval.readme.RESULTS", tmp_path)
    assert readme.headline() == ""


# --- drawing ---------------------------------------------------------------------------------------------------


def test_an_axis_places_values_between_its_ends() -> None:
    assert share_axis("s").at(0.25, 100, 200) == 125
    assert Axis("n", 1, 100, (1, 10, 100), log=True).at(10, 0, 100) == pytest.approx(50)
    assert share_axis("s").at(7, 100, 200) == 200
    assert log_axis("ms", [3.0, 40.0]).ticks == (1.0, 10.0, 100.0)
    with pytest.raises(ConfigError):
        log_axis("ms", [0.0])


def test_names_never_cover_each_other() -> None:
    for places in ([50.0] * 14, [0.0, 1.0, 2.0, 99.0], [10.0, 90.0], [100.0, 100.0, 0.0]):
        found = spaced(places, 15, 0, 300)
        ordered = sorted(found)
        assert all(b - a >= 15 - 1e-9 for a, b in zip(ordered, ordered[1:], strict=False))
        assert [i for _, i in sorted(zip(places, range(len(places)), strict=True))] == [
            i for _, i in sorted(zip(found, range(len(found)), strict=True))
        ]


def test_fourteen_methods_are_told_apart_by_colour_or_marker() -> None:
    labels = ["scr", "base", "copy", "cosine", "oracle-context", *(f"m{i}" for i in range(9))]
    look = styles(labels)
    assert len({(s.colour, s.marker) for s in look.values()}) == 14
    assert len({s.colour for s in look.values()}) == 14


def test_a_picture_of_nothing_is_refused() -> None:
    for draw in (
        lambda: grid("t", [Chart("c", share_axis("x"), share_axis("y"), {"a": []})], styles(["a"])),
        lambda: dots("t", [], [Panel("p", share_axis("x"), {})], {}),
    ):
        with pytest.raises(ConfigError, match="nothing to draw"):
            draw()


def test_an_interval_is_drawn_from_its_low_to_its_high_end() -> None:
    picture = dots("t", [("a", "g")], [Panel("p", share_axis("x"), {"a": Value(0.5, 0.25, 0.75)})], styles(["a"]))
    root = ElementTree.fromstring(picture)
    lines = [e.attrib for e in root.iter("{http://www.w3.org/2000/svg}line") if e.attrib["stroke-width"] == "2"]
    (bar,) = lines
    mark = next(e.attrib for e in root.iter("{http://www.w3.org/2000/svg}polygon"))
    centre = sum(float(pair.split(",")[0]) for pair in mark["points"].split()) / len(mark["points"].split())
    assert (float(bar["x1"]) + float(bar["x2"])) / 2 == pytest.approx(centre, abs=0.2)
    assert float(bar["x2"]) - float(bar["x1"]) == pytest.approx(115, abs=0.2)  # half of the widest panel, 230


def test_a_line_carries_its_intervals_as_a_band_and_its_name() -> None:
    points = [Point(0.0, Value(0.5, 0.25, 0.75)), Point(1.0, Value(1.0, 0.5, 1.0))]
    look = styles(["a+tuned"])
    picture = grid("t", [Chart("c", share_axis("x"), share_axis("y"), {"a": points})], look)
    root = ElementTree.fromstring(picture)
    (band,) = [e for e in root.iter("{http://www.w3.org/2000/svg}polygon") if "fill-opacity" in e.attrib]
    corners = [tuple(map(float, pair.split(","))) for pair in band.attrib["points"].split()]
    # High ends there, low ends back: the axis is 196 px high from 66 down.
    assert [y for _, y in corners] == pytest.approx([66 + 49, 66, 66 + 98, 66 + 147], abs=0.1)
    assert corners[1][0] - corners[0][0] == pytest.approx(212, abs=0.1)
    assert "a" in [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert look["a"] == look["a+tuned"]


def test_where_many_lines_meet_only_the_products_interval_is_an_area() -> None:
    points = [Point(0.0, Value(0.5, 0.25, 0.75)), Point(1.0, Value(1.0, 0.5, 1.0))]
    labels = ["scr", "a", "b", "c", "d", "e"]
    chart = Chart("c", share_axis("x"), share_axis("y"), {label: points for label in labels})
    root = ElementTree.fromstring(grid("t", [chart], styles(labels)))
    shapes_drawn = list(root.iter("{http://www.w3.org/2000/svg}polygon"))
    assert sum("fill-opacity" in e.attrib for e in shapes_drawn) == 1
    thin = [e for e in root.iter("{http://www.w3.org/2000/svg}line") if e.attrib["stroke-width"] == "0.7"]
    assert sum(e.attrib["x1"] == e.attrib["x2"] and e.attrib["stroke"] != GRID for e in thin) == 2 * 5


def test_an_alarm_is_drawn_where_it_lies_on_the_axis() -> None:
    points = {"a": [Point(1.0, Value(3.0)), Point(10.0, Value(500.0))]}
    x = log_axis("edits", [1, 10], ticks=[1, 10])
    for alarm, drawn in ((30.0, True), (1e6, False), (None, False)):
        chart = Chart("c", x, log_axis("perplexity", [3.0, 500.0], alarm=alarm), points)
        assert ("alarm" in grid("t", [chart], styles(["a"]))) == drawn


def test_ticks_of_a_long_axis_do_not_meet() -> None:
    axis = log_axis("s", [1.3e-6, 3.0])
    assert len(axis.ticks) <= 7 and axis.ticks[0] == pytest.approx(1e-6)


def test_a_dark_screen_gets_its_own_colours(folder: Path) -> None:
    page = as_html(read_result(folder))
    assert page.count("prefers-color-scheme:dark") > page.count("<svg")  # the page's own, and each picture's
    assert '[fill="#ffffff"]{fill:#17191c}' in page


def test_the_page_opens_in_a_browser(folder: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here; apt-get install chromium brings one")
    write_report(folder)
    shot = tmp_path / "page.png"
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,2400", f"--screenshot={shot}"]
    subprocess.run([browser, *words, (folder / "report.html").as_uri()], check=True, capture_output=True, timeout=120)
    assert shot.stat().st_size > 20_000


@pytest.mark.parametrize(
    ("others", "wanted"), [({"base": False, "memit": False}, "shown"), ({"base": False, "mello": True}, "not shown")]
)
def test_taking_a_question_apart_is_compared_with_asking_it_whole(
    tmp_path: Path, others: dict[str, bool], wanted: str
) -> None:
    def asked(good: bool) -> list[dict[str, Any]]:
        return [row for case in "abcdefgh" for row in rows_at(10, case=case, two_hop=good, multi_hop=good)]

    claim = "A question that is taken apart"
    rows = {name: asked(good) for name, good in others.items()}
    assert verdict(read(tmp_path / "0", scr=asked(True), **rows), claim) == wanted
    assert verdict(read(tmp_path / "1", **rows), claim) == "not testable at this size"


def test_a_chain_counts_by_its_hops_where_every_one_of_them_is_right(tmp_path: Path) -> None:
    rows = [
        *rows_at(10, case="a", prompt=True, hop=True, two_hop=True),
        *rows_at(10, case="b", prompt=True, hop=False, two_hop=True),
        *rows_at(10, case="c", prompt=False, hop=True, two_hop=True),
        *rows_at(10, case="d", prompt=True, two_hop=True),
    ]
    (method,) = read(tmp_path, scr=rows).methods.values()
    figures = {name: method.figure(name, 10) for name in ("two hops", "two hops by their hops", "hops")}
    shares = {name: (round(f.interval.value, 3), f.interval.units) for name, f in figures.items() if f is not None}
    assert shares == {"two hops": (1.0, 4), "two hops by their hops": (0.333, 3), "hops": (0.667, 3)}
