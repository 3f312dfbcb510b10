"""Do facts inside a question change its answer? Two hops and more, all edits of a file in one memory.

    python -m eval.benchmarks.chains --data FOLDER [--part all|odd|even] [--skip atlas] [--json]

- ``ripple`` (``rippleedits_random_1137``), no language model: right is a chain of just the edit in question, with its
  object in what is left to ask, and no edit on what is left that the file does not hold for it.
- ``mquake`` (``mquake_cf_849``), by hops. *Edits*: the facts used, in their order, are those of the row's chain.
  *Answers*, with an oracle in the language model's place: it knows what the row's own ``single_hops`` say of facts that
  are not edited, and nothing else. Hop accuracy asks for every answer on the way as well.
- ``atlas``: 1,000 edits of the built-in model's facts, answers generated; two hops as in the data set, three hops built
  here. The facts behind the first are not edited: the model has to know them.
- ``cost``: milliseconds of one more hop, and how many decisions that is, in processor time.

Precision is over questions that an edit took part in, recall over all. Rows whose edit contradicts an earlier row's are
left out with their edits and counted, and so are rows of which another row's edit changes the answer. The rules were
made on the even rows of each file; the halves of MQuAKE stand side by side, and ``--part odd`` asks the odd ones only.
Atlas has no such halves: some words of its frames ("I need", "would you say") are among those that ask for nothing.
"""

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from eval.atlas import load_atlas
from eval.atlas_chains import three_hops
from memory_store.edit import Edit
from memory_store.identity import fold
from scr.build import open_editor
from scr.editor import RetrievalEditor

PARTS = {"even": (0,), "odd": (1,), "all": (0, 1)}
RIPPLE, MQUAKE = "rippleedits_random_1137.jsonl", "mquake_cf_849.jsonl"
MOST_ROWS = {3: 40, 4: 40}
"""Rows asked for a number of hops; two hops are asked of all."""

Row = Mapping[str, Any]
Ask = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Memory:
    """All edits of a file in one memory, and the rows that can be asked of it."""

    editor: RetrievalEditor
    edits: Mapping[tuple[str, str], Edit]
    """By subject and relation."""
    rows: tuple[tuple[int, Row], ...]
    """With their numbers in the file."""
    dropped: int
    """Rows left out because an edit contradicts an earlier row's."""


def memory_of(rows: Sequence[Row]) -> Memory:
    """Put the edits of MQuAKE-like rows into one memory."""
    edits: dict[tuple[str, str], Edit] = {}
    kept: list[tuple[int, Row]] = []
    for number, row in enumerate(rows):
        wanted = {(r["subject"], r["relation_id"]): r for r in row["requested_rewrite"]}
        if any(key in edits and edits[key].target_new != r["target_new"]["str"] for key, r in wanted.items()):
            continue
        kept.append((number, row))
        for key, r in wanted.items():
            edits.setdefault(key, _edit(r))
    editor = open_editor(":memory:", offline=True)
    stored = editor.edit(list(edits.values()))
    assert all(result.status == "added" for result in stored), Counter(result.status for result in stored)
    by_key = {key: result.edit for key, result in zip(edits, stored, strict=True)}
    return Memory(editor, by_key, tuple(kept), len(rows) - len(kept))


def _edit(rewrite: Row) -> Edit:
    cloze = " ".join(rewrite["prompt"].format(rewrite["subject"]).split())
    target = rewrite["target_new"]["str"]
    return Edit(
        subject=rewrite["subject"],
        prompt=rewrite["question"] or cloze,
        target_new=target,
        statement=f"{cloze} {target}.",
        relation=rewrite["relation_id"],
    )


def ripple(rows: Sequence[Row], part: str) -> dict[str, Any]:
    """Two hops of which the first is edited; nobody is asked for the second."""
    memory = memory_of(rows)
    asked = [row for number, row in memory.rows if number % 2 in PARTS[part]]
    decided = memory.editor.follow([row["questions"][0] for row in asked])
    counts: Counter[str] = Counter()
    for row, decision in zip(asked, decided, strict=True):
        rewrite = row["requested_rewrite"][0]
        edit = memory.edits[rewrite["subject"], rewrite["relation_id"]]
        (_, _, thing), second = row["orig"]["new_triples_labeled"][0], row["orig"]["new_triples"][1]
        further = memory.edits.get((thing, second[1]))
        hopped = [hop.judged.edit.edit_id for hop in decision.hops if hop.judged] == [edit.edit_id]
        left = set(decision.edit_ids) == ({further.edit_id} if further else set())
        counts["asked"] += 1
        counts["used"] += bool(decision.hops or decision.in_scope)
        counts["right"] += hopped and left and f" {fold(edit.target_new)} " in f" {fold(decision.asked)} "
        counts["first hop"] += hopped
        counts["as the row asks it"] += hopped and fold(decision.asked) == fold(row["new_single_hops"][1]["question"])
    return {
        "questions": counts["asked"],
        "edits": len(memory.edits),
        "rows_dropped": memory.dropped,
        "precision": counts["right"] / max(counts["used"], 1),
        "recall": counts["right"] / counts["asked"],
        "first_hop": counts["first hop"] / counts["asked"],
        "left_as_the_row_asks_it": counts["as the row asks it"] / counts["asked"],
    }


def mquake(
    rows: Sequence[Row], part: str, hops: int, most: int | None = None, memory: Memory | None = None
) -> dict[str, Any]:
    """Questions of ``hops`` hops: the edits used, and the answers with an oracle for what is not edited.

    Of all rows, also the halves: ``even`` and ``odd``.
    """
    memory = memory or memory_of(rows)
    told = {"rows_dropped": memory.dropped, "edits": len(memory.edits)}
    if part != "all":
        return told | _figures(_counted(memory, part, hops, most))
    even, odd = (_counted(memory, half, hops, most) for half in ("even", "odd"))
    return told | _figures(even + odd) | {"even": _figures(even), "odd": _figures(odd)}


def _counted(memory: Memory, part: str, hops: int, most: int | None) -> Counter[str]:
    of_length = [
        row for number, row in memory.rows if len(row["new_single_hops"]) == hops and number % 2 in PARTS[part]
    ]
    asked = [row for row in of_length if not _overridden(row, memory)][:most]
    questions = [(row, question) for row in asked for question in row["questions"]]
    alone = memory.editor.follow([question for _, question in questions])
    n = Counter(rows=len(asked), overridden=sum(_overridden(row, memory) for row in of_length))
    answered: set[int] = set()
    for (row, question), decision in zip(questions, alone, strict=True):
        wanted = [edit.edit_id for edit in _along(row, memory) if edit is not None]
        used = [hop.judged.edit.edit_id for hop in decision.hops if hop.judged] + list(decision.edit_ids[:1])
        n["asked"] += 1
        n["edits used"] += bool(used)
        n["edits right"] += used == wanted
        n["no edited subject"] += not any(
            f" {fold(e.subject)} " in f" {fold(question)} " for e in _along(row, memory) if e
        )
        oracle = _oracle(row, memory)
        memory.editor.chain_start = "model"
        (informed,) = memory.editor.follow([question], ask=oracle)
        memory.editor.chain_start = "memory"
        said = informed.in_scope[0].edit.target_new if informed.in_scope else oracle([informed.asked or question])[0]
        right = fold(said) in {fold(text) for text in (row["new_answer"], *row["new_answer_alias"])}
        on_the_way = [fold(hop["answer"]) for hop in row["new_single_hops"][:-1]]
        n["answers used"] += bool(informed.in_scope or informed.hops)
        n["answers right"] += right
        n["answers right and used"] += right and bool(informed.in_scope or informed.hops)
        n["hops right"] += right and [fold(hop.answer) for hop in informed.hops] == on_the_way
        n["first right"] += right and question == row["questions"][0]
        n["any right"] += right and id(row) not in answered
        answered |= {id(row)} if right else set()
    return n


def _figures(n: Counter[str]) -> dict[str, Any]:
    asked, rows = max(n["asked"], 1), max(n["rows"], 1)
    return {
        "questions": n["asked"],
        "rows": n["rows"],
        "rows_overridden": n["overridden"],
        "no_edited_subject": n["no edited subject"] / asked,
        "without_oracle": {
            "precision": n["edits right"] / max(n["edits used"], 1),
            "recall": n["edits right"] / asked,
        },
        "with_oracle": {
            "precision": n["answers right and used"] / max(n["answers used"], 1),
            "recall": n["answers right"] / asked,
            "hop_accuracy": n["hops right"] / asked,
            "first_question": n["first right"] / rows,
            "any_of_its_questions": n["any right"] / rows,
        },
    }


def _along(row: Row, memory: Memory) -> list[Edit | None]:
    """The edit of each hop of a row's chain; None where it is not edited."""
    triples = zip(row["orig"]["new_triples_labeled"], row["orig"]["new_triples"], strict=True)
    return [memory.edits.get((labels[0], ids[1])) for labels, ids in triples]


def _overridden(row: Row, memory: Memory) -> bool:
    """Whether another row's edit changes a hop of this one."""
    labels = row["orig"]["new_triples_labeled"]
    return any(e is not None and e.target_new != o for e, (_, _, o) in zip(_along(row, memory), labels, strict=True))


def _oracle(row: Row, memory: Memory) -> Ask:
    """Answers from the row's single hops about facts that are not edited; where it knows nothing, nothing.

    Of several facts about the thing that a question names, the one whose question is nearest to it is told.
    """
    edited = {
        (labels[0], ids[1])
        for labels, ids in zip(row["orig"]["new_triples_labeled"], row["orig"]["new_triples"], strict=True)
    }
    edited &= memory.edits.keys()
    known: list[tuple[str, str, str]] = []
    for old in ("", "new_"):
        for labels, ids, hop in zip(
            row["orig"][f"{old}triples_labeled"], row["orig"][f"{old}triples"], row[f"{old}single_hops"], strict=True
        ):
            if not old or (labels[0], ids[1]) not in edited:
                known.append((labels[0], hop["question"], hop["answer"]))

    def ask(questions: Sequence[str]) -> list[str]:
        said = []
        for question in questions:
            about = [k for k in known if f" {fold(k[0])} " in f" {fold(question)} "]
            longest = max((len(k[0]) for k in about), default=0)
            about = [k for k in about if len(k[0]) == longest]
            if len(about) > 1:
                keys = memory.editor.encoder.encode([question, *(k[1] for k in about)])
                about = [about[int((keys[1:] @ keys[0]).argmax())]]
            said.append(about[0][2] if about else "")
        return said

    return ask


def atlas(cases: int) -> dict[str, Any]:
    """Two and three hops of the built-in data set, the first one edited; answers generated by its model."""
    from eval.benchmarks.main_job import says
    from scr.edited_model import EditedModel

    data = load_atlas(cases)
    asked = [("two", c.edit, p.prompt, p.accepted) for c in data.cases for p in c.probes if p.kind == "two_hop"]
    asked += [("three", c.edit, c.question, c.accepted) for c in three_hops([case.edit for case in data.cases])]
    with EditedModel.from_pretrained() as model:
        for start in range(0, cases, 256):
            model.edit([case.edit for case in data.cases[start : start + 256]])
        answers = model.ask([question for _, _, question, _ in asked])
        model.editor.hops = 0
        without = model.ask([question for _, _, question, _ in asked])
    found: dict[str, Any] = {"edits": cases}
    for hops in ("two", "three"):
        of = [
            (edit.edit_id, accepted, answer, plain)
            for (kind, edit, _, accepted), answer, plain in zip(asked, answers, without, strict=True)
            if kind == hops
        ]
        if not of:
            continue
        right = [any(says(answer.text, text) for text in accepted) for _, accepted, answer, _ in of]
        first = [
            bool(a.hops) and a.hops[0].judged is not None and a.hops[0].judged.edit.edit_id == i for i, _, a, _ in of
        ]
        found[f"{hops}_hop"] = {
            "questions": len(of),
            "right": statistics.fmean(right),
            "edited_hop_right": statistics.fmean(first),
            "right_and_edited_hop_right": statistics.fmean(r and f for r, f in zip(right, first, strict=True)),
            "right_without_following": statistics.fmean(
                any(says(plain.text, text) for text in accepted) for _, accepted, _, plain in of
            ),
        }
    return found


def cost(memory: Memory, rows: Iterable[Row], runs: int = 120) -> dict[str, Any]:
    """Median milliseconds of a decision and of a chain, one question at a time.

    A row's wordings are taken in turn: the last one, not timed, brings the texts of the edits that come near to hand,
    as in a memory that is asked often; the first is decided and the second followed, neither encoded before.
    """
    decide: list[tuple[float, float]] = []
    follow: list[tuple[float, float]] = []
    for row in list(rows)[:runs]:
        questions = row["questions"]
        memory.editor.follow([questions[-1]])
        started = _clocks()
        memory.editor.decide([questions[0]])
        decided = _clocks()
        (decision,) = memory.editor.follow([questions[min(1, len(questions) - 1)]])
        followed = _clocks()
        if len(decision.hops) == 1:
            decide.append((decided[0] - started[0], decided[1] - started[1]))
            follow.append((followed[0] - decided[0], followed[1] - decided[1]))
    one, two = (statistics.median(wall for wall, _ in spent) for spent in (decide, follow))
    cpu_one, cpu_two = (statistics.median(cpu for _, cpu in spent) for spent in (decide, follow))
    return {
        "decision_ms_p50": one,
        "two_hop_ms_p50": two,
        "extra_hop_ms_p50": two - one,
        "extra_hop_in_decisions": cpu_two / cpu_one - 1,
        "questions": len(follow),
    }


def _clocks() -> tuple[float, float]:
    """Milliseconds on the wall and of the processor."""
    return time.perf_counter() * 1e3, time.process_time() * 1e3


def read(path: Path) -> list[Row]:
    if not path.is_file():
        raise click.BadParameter(f"no file {path}; --data takes the folder with {RIPPLE} and {MQUAKE}")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@click.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder with the files.")
@click.option(
    "--part", type=click.Choice(sorted(PARTS)), default="all", show_default=True, help="Which rows are asked."
)
@click.option("--edits", default=1000, show_default=True, help="Edits of atlas.")
@click.option("--skip", multiple=True, type=click.Choice(["ripple", "mquake", "atlas"]), help="Leave a part out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def main(data: Path, part: str, edits: int, skip: tuple[str, ...], as_json: bool) -> None:
    """Ask questions with facts inside them, all edits of a file in one memory."""
    found: dict[str, Any] = {"part": part}
    if "ripple" not in skip:
        found["ripple"] = ripple(read(data / RIPPLE), part)
    if "mquake" not in skip:
        rows = read(data / MQUAKE)
        memory = memory_of(rows)
        for hops in (2, 3, 4):
            found[f"mquake_{hops}"] = mquake(rows, part, hops, MOST_ROWS.get(hops), memory)
        two = [row for n, row in memory.rows if len(row["new_single_hops"]) == 2 and n % 2 in PARTS[part]]
        found["cost"] = cost(memory, two)
    if "atlas" not in skip:
        found["atlas"] = atlas(edits)
    if as_json:
        click.echo(json.dumps({"schema": "scr.bench.chains/1", **found}))
        return
    for name, figures in found.items():
        if isinstance(figures, dict):
            click.echo(name)
            for what, value in _flat(figures):
                click.echo(f"  {what:<36} {value:.3f}" if isinstance(value, float) else f"  {what:<36} {value}")


def _flat(figures: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield prefix + name, value


if __name__ == "__main__":
    main()
