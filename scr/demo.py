"""The main job in one minute: ``python -m scr.demo``. Every answer is the built-in model's own, nothing is scripted."""

import sys
import tempfile
from pathlib import Path

import click

from memory_store.errors import ScrError
from scr.build import build_model
from scr.config import Settings
from scr.protocols import Answer

FACT = "The capital of France is Lyon."
QUESTION = "What is the capital of France?"
PARAPHRASE = "Which city is France's capital?"
NEIGHBOUR = "What is the capital of Germany?"
SAME_SUBJECT = "What is the currency of France?"


def main() -> int:
    """Run the demonstration; 0 when the memory did what it promises."""
    click.secho("scr: correct what a language model knows, without touching its weights.\n", bold=True)
    click.echo("loading the built-in pocket model and the encoder …", err=True)
    with tempfile.TemporaryDirectory() as folder:
        model = build_model(Settings.resolve(store=Path(folder) / "demo.scr", environ={}), near_misses=3)
        questions = (QUESTION, PARAPHRASE, NEIGHBOUR, SAME_SUBJECT)
        before = dict(zip(questions, model.ask(list(questions)), strict=True))
        click.secho("1. What the frozen model says", bold=True)
        for question in questions:
            _show(question, before[question])

        click.secho("\n2. A fact is added", bold=True)
        result = model.edit(FACT)
        click.echo(f"   scr add {FACT!r}")
        edit = result.edit
        click.echo(f"   {result.status}: subject {edit.subject!r}, prompt {edit.prompt!r}, answer {edit.target_new!r}")

        click.secho("\n3. The same questions again", bold=True)
        after = dict(zip(questions, model.ask(list(questions)), strict=True))
        checks = {
            QUESTION: ("corrected", edit.target_new in after[QUESTION].text),
            PARAPHRASE: ("a paraphrase, corrected", edit.target_new in after[PARAPHRASE].text),
            NEIGHBOUR: ("another subject, unchanged", after[NEIGHBOUR].text == before[NEIGHBOUR].text),
            SAME_SUBJECT: ("same subject, unchanged", after[SAME_SUBJECT].text == before[SAME_SUBJECT].text),
        }
        for question in questions:
            _show(question, after[question], *checks[question])

        click.secho("\n4. Why", bold=True)
        for question in questions:
            judged = after[question].used or after[question].near_misses
            for one in judged[:1]:
                verdict = "governs" if after[question].used else "does not govern"
                click.echo(f"   {one.edit.statement!r} {verdict} {question!r}: probability {one.probability:.2f}")
        model.store.undo()
        undone = model.ask(QUESTION)
        click.secho("\n5. Undone", bold=True)
        _show(QUESTION, undone, "as before", undone.text == before[QUESTION].text)
        model.store.close()
    failed = [what for what, right in checks.values() if not right]
    if failed:
        click.secho(f"\nnot as promised: {', '.join(failed)}", fg="red", err=True)
        return 1
    click.echo('\nNext:  .venv/bin/scr add "Our refund window is 30 days."   then   .venv/bin/scr "How long is …?"')
    return 0


def _show(question: str, answer: Answer, note: str = "", right: bool = True) -> None:
    mark = "" if not note else click.style(f"   {'✓' if right else '✗'} {note}", fg="green" if right else "red")
    click.echo(f"   {question:<34} {click.style(answer.text, bold=True):<24} [{answer.route}]{mark}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ScrError as error:
        click.echo(f"scr: {error}", err=True)
        sys.exit(error.exit_code)
