"""``scr chat``: a conversation, the model loaded once."""

import sys
from typing import TYPE_CHECKING

import click

from memory_store.errors import ScrError
from scr.cli.ask import explanation, footnote, say_as_it_comes
from scr.cli.decider import scope_option
from scr.cli.history import reverted_text
from scr.cli.opening import NO_FACTS, open_model, user
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import one_line
from scr.cli.text import checked

if TYPE_CHECKING:
    from scr.edited_model import EditedModel
    from scr.protocols import Answer

_HELP = """\
/why     which facts decided the last answer
/undo    take the last change of the memory back
/facts   the facts in memory
/new     forget the conversation so far
/help    this
/quit    leave (also Ctrl-D)"""


@click.command(
    cls=Command,
    short_help="Hold a conversation.",
    examples="""
        scr chat
        printf 'What is the capital of France?\\n/why\\n' | scr chat
    """,
)
@scope_option
@click.option("--max-new-tokens", type=click.IntRange(1, 8192), default=64, show_default=True, metavar="N")
@pass_session
def chat(session: Session, scope: str | None, max_new_tokens: int) -> None:
    """Talk with the model; inside, /why, /undo, /facts, /new, /help and /quit."""
    if session.json:
        raise click.UsageError("a conversation is not one JSON object; use: scr ask --json")
    if sys.stdin is None or sys.stdin.closed:
        raise click.UsageError("standard input is closed, so there is nobody to talk with; try: scr ask")
    model = open_model(session, near_misses=3, scope=scope)
    talk = _Talk(session, model, max_new_tokens)
    person = sys.stdin.isatty()
    if person:
        session.say(f"{model.name}; /help lists the commands, /quit leaves")
        _line_editing()
    while True:
        line = _read_line("> " if person else "")
        if line is None or line.strip() in ("/quit", "/exit", "/q"):
            return
        if line.strip():
            try:
                talk.turn(line.strip())
            except ScrError as error:
                session.warn(one_line(str(error)))


class _Talk:
    """What was said so far, and what the commands act on."""

    def __init__(self, session: Session, model: "EditedModel", max_new_tokens: int) -> None:
        self.session, self.model, self.max_new_tokens = session, model, max_new_tokens
        self.messages: list[dict[str, str]] = []
        self.last: Answer | None = None

    def turn(self, line: str) -> None:
        if not line.startswith("/"):
            self._answer(line)
        elif line == "/help":
            click.echo(_HELP)
        elif line == "/why":
            click.echo(explanation(self.last) if self.last else "nothing was asked yet")
        elif line == "/facts":
            edits = self.model.editor.store.edits(self.session.settings.namespace)
            click.echo("\n".join(f"{e.edit_id}  {one_line(e.statement)}" for e in edits) or NO_FACTS)
        elif line == "/undo":
            self._undo()
        elif line == "/new":
            self.messages.clear()
            self.last = None
        else:
            self.session.warn(f"no such command {line.split()[0]!r}; /help lists them")

    def _answer(self, question: str) -> None:
        checked(question, "the question")
        self.messages.append({"role": "user", "content": question})
        self._keep_within_window()
        try:
            self.last = say_as_it_comes(self.model, self.messages, self.max_new_tokens)
        except BaseException:
            self.messages.pop()
            raise
        self.messages.append({"role": "assistant", "content": self.last.text})
        if remark := footnote(self.last):
            self.session.say(remark)

    def _undo(self) -> None:
        store, namespace = self.model.editor.store, self.session.settings.namespace
        reverted = store.undo(1, namespace=namespace, actor=user())
        click.echo(reverted_text(store, reverted, namespace) or "nothing to undo")

    def _keep_within_window(self) -> None:
        """Drop the oldest turns where the conversation, some facts and an answer no longer fit the model."""
        tokenizer, config = self.model.tokenizer, self.model.model.config
        window = getattr(config, "max_position_embeddings", None)
        if not window or not getattr(tokenizer, "chat_template", None):
            return
        room = window - self.max_new_tokens - min(window // 4, 256)
        while len(self.messages) > 2:
            text = tokenizer.apply_chat_template(self.messages, tokenize=False, add_generation_prompt=True)
            if len(tokenizer(text, add_special_tokens=False)["input_ids"]) <= room:
                return
            del self.messages[:2]


def _read_line(prompt: str) -> str | None:
    """The next line; None at the end of input."""
    if prompt:
        try:
            return input(click.style(prompt, bold=True) if sys.stdout.isatty() else prompt)
        except EOFError:
            click.echo()
            return None
    line = sys.stdin.readline()
    return line if line else None


def _line_editing() -> None:
    """Arrow keys and history, where the platform has them."""
    try:
        import readline  # noqa: F401  # importing it is what turns it on
    except ImportError:
        pass
