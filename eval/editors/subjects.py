"""Which tokens of a prompt are read and written? Edits become token rows here, once for every editor.

The subject's last token is found by character offsets, so any tokenizer that reports them will do. Where a subject
stands several times in its prompt, the first occurrence that is a word of its own counts, as in the published code.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eval.editors.errors import ConfigError
from eval.editors.forms import RAW, Form
from memory_store.edit import Edit

Templates = Sequence[Sequence[str]]
"""Groups of context templates, each text with one ``{}`` for the prompt; every group counts alike in a key."""

KL_PROMPT = "{} is a"
"""The sentence on which an edit should leave the next-token distribution alone."""


@dataclass(frozen=True, slots=True)
class Row:
    """One sentence of an edit as tokens."""

    ids: tuple[int, ...]
    subject_last: int
    """Index in ``ids`` of the subject's last token."""

    @property
    def prefix(self) -> tuple[int, ...]:
        """What stands before the subject's last token."""
        return self.ids[: self.subject_last]

    @property
    def cut(self) -> tuple[int, ...]:
        """The sentence up to the subject's last token."""
        return self.ids[: self.subject_last + 1]


@dataclass(frozen=True, slots=True)
class Request:
    """An edit as tokens, all a value optimisation needs."""

    edit: Edit
    prompts: tuple[Row, ...]
    """The prompt in every context template, without the target; the first one is the plain prompt."""
    target: tuple[int, ...]
    """Token ids of the new answer, at least one."""
    kl: Row

    @property
    def rows(self) -> tuple[Row, ...]:
        """The prompts with the target except its last token, which nothing reads."""
        return tuple(Row(row.ids + self.target[:-1], row.subject_last) for row in self.prompts)


def subject_span(prompt: str, subject: str) -> tuple[int, int]:
    """Characters of ``subject`` in ``prompt``: the first occurrence that is a word of its own, else the first at all.

    >>> subject_span("Artists like Art like art", "Art")
    (13, 16)

    Raises:
        ConfigError: the subject is empty or not in the prompt.
    """
    wanted = subject.strip()
    if not wanted:
        raise ConfigError("the edit has no subject; weight editors write at the subject's last token, so give one")
    start = next((m.start() for m in re.finditer(rf"(?<!\w){re.escape(wanted)}(?!\w)", prompt)), prompt.find(wanted))
    if start < 0:
        raise ConfigError(f"the subject {wanted!r} does not stand in the prompt {prompt!r}")
    return start, start + len(wanted)


def last_token_of(tokenizer: Any, text: str, span: tuple[int, int]) -> Row:
    """Tokens of ``text`` and the last one that overlaps the characters ``span``.

    Raises:
        ConfigError: the tokenizer reports no offsets.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigError(f"{type(tokenizer).__name__} reports no character offsets; load the fast tokenizer")
    encoded = tokenizer(text, return_offsets_mapping=True)
    inside = [
        index
        for index, (start, end) in enumerate(encoded["offset_mapping"])
        if start < end and start < span[1] and end > span[0]
    ]
    if not inside:
        raise ConfigError(f"{text[span[0] : span[1]]!r} tokenises to nothing in {text!r}")
    return Row(tuple(encoded["input_ids"]), inside[-1])


def subject_row(tokenizer: Any, edit: Edit, template: str = "{}", form: Form = RAW) -> Row:
    """The edit's prompt in a context template, as ``form`` asks it, and the subject's last token in it."""
    start, end = subject_span(edit.prompt, edit.subject)
    before, _, after = template.partition("{}")
    text, at = form.placed(before + edit.prompt + after)
    at += len(before)
    return last_token_of(tokenizer, text, (at + start, at + end))


def requests(tokenizer: Any, edits: Sequence[Edit], templates: Templates, form: Form = RAW) -> list[Request]:
    """Tokenise edits as ``form`` writes them; the order is kept.

    Raises:
        ConfigError: a subject that is not in its prompt, an empty target, a target without tokens, no plain template.
    """
    flat = flat_templates(templates)
    made = []
    for edit in edits:
        if not edit.prompt.strip():
            raise ConfigError(
                f"the edit {edit.statement!r} has no prompt; weight editors need subject, prompt and target_new"
            )
        subject = edit.subject.strip()
        target = form.answer_ids(tokenizer, edit.prompt, edit.target_new)
        kl, at = form.placed(KL_PROMPT.format(subject))
        made.append(
            Request(
                edit=edit,
                prompts=tuple(subject_row(tokenizer, edit, template, form) for template in flat),
                target=(*target, *form.end_ids(tokenizer)) if form.ends else target,
                kl=last_token_of(tokenizer, kl, (at, at + len(subject))),
            )
        )
    return made


def flat_templates(templates: Templates) -> list[str]:
    """All templates in group order.

    Raises:
        ConfigError: the first is not the bare ``{}``, or one holds no single ``{}``.
    """
    flat = [template for group in templates for template in group]
    if not flat or flat[0] != "{}":
        raise ConfigError('the first context template must be the bare prompt, "{}"')
    wrong = [template for template in flat if template.count("{}") != 1]
    if wrong:
        raise ConfigError(f"context template {wrong[0]!r} needs exactly one {{}}")
    return flat


def template_weights(templates: Templates) -> list[float]:
    """Weight of each template in a key: groups count alike, so do the templates within one; they sum to 1.

    >>> template_weights([["{}"], ["a {}", "b {}"]])
    [0.5, 0.25, 0.25]
    """
    groups = [group for group in templates if group]
    return [1.0 / (len(groups) * len(group)) for group in groups for _ in group]
