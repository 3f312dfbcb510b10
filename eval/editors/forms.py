"""In which form is an edit written? As raw text, as published, or as an exchange of the chat template.

A model that is asked through its chat template reads ``<user>PROMPT<assistant>``; after that text a weight editor as
published has written nothing, for it writes after the bare prompt. ``Chat`` writes the edit where it will be asked: the
prompt is a user turn, context templates stand in front of the user's words inside that turn, and the new answer begins
where the assistant's words begin and ends as the assistant's turn ends, so that greedy decoding can stop.
"""

from collections.abc import Sequence
from typing import Any

from eval.editors.errors import ConfigError

_WORDS, _REPLY = "⁂words⁂", "⁂reply⁂"


class Form:
    """Raw text: the prompt, a space, the answer. Base of ``Chat``."""

    name = "raw"
    ends = False
    """Whether an answer is written with the token that ends it, whatever a method's own settings say."""

    def text(self, content: str) -> str:
        """What the model continues when ``content`` is asked."""
        return content

    def placed(self, content: str) -> tuple[str, int]:
        """``text(content)``, and where the content begins in it, or would, had no spaces before it been trimmed.

        Raises:
            ConfigError: the content does not stand there word for word.
        """
        return content, 0

    def answer_ids(self, tokenizer: Any, content: str, answer: str) -> tuple[int, ...]:
        """Tokens of ``answer`` as they follow ``content``, without an end.

        Raises:
            ConfigError: the answer is empty, or tokenises to nothing.
        """
        return target_ids(tokenizer, content, answer)

    def end_ids(self, tokenizer: Any) -> tuple[int, ...]:
        """The token that ends an answer; empty where there is none."""
        end = getattr(tokenizer, "eos_token_id", None)
        return () if end is None else (int(end),)


RAW = Form()
"""As published."""


class Chat(Form):
    """One user turn of a tokenizer's chat template, and the assistant's answer to it."""

    name = "chat"
    ends = True

    def __init__(self, tokenizer: Any) -> None:
        """
        Raises:
            ConfigError: the tokenizer has no chat template, or one that leaves the user's words out.
        """
        if not getattr(tokenizer, "chat_template", None):
            raise ConfigError("the tokenizer has no chat template; ask and write with bare prompts")
        self._tokenizer = tokenizer
        # Where reading a text puts the token in front that begins one, the template must not put it there as well.
        start = tokenizer.bos_token
        adds = start is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
        self._begins = start if adds else ""
        opened = self.text(_WORDS)
        self._start = opened.find(_WORDS)
        if self._start < 0:
            raise ConfigError("the chat template leaves out what the user says")
        # What stands before and after the assistant's words, from an exchange that is already over.
        whole = self._rendered([_user(_WORDS), {"role": "assistant", "content": _REPLY}], prompt=False)
        before, _, after = whole.partition(_REPLY)
        lead = before.removeprefix(opened) if before.startswith(opened) else ""
        self._lead = lead if not lead.strip() else ""  # a template may open a reply with thoughts; nobody answers so
        self._after = after

    def text(self, content: str) -> str:
        return self._rendered([_user(content)], prompt=True)

    def placed(self, content: str) -> tuple[str, int]:
        text, words = self.text(content), content.strip()
        if text.startswith(content, self._start):
            return text, self._start
        if not text.startswith(words, self._start):
            raise ConfigError(
                f"the chat template changes the words {content!r}, so the subject cannot be found in them"
            )
        return text, self._start - content.index(words)  # a template that trims

    def answer_ids(self, tokenizer: Any, content: str, answer: str) -> tuple[int, ...]:
        if not answer.strip():
            raise ConfigError(f"the edit of {content!r} has an empty target")
        return following_ids(tokenizer, self.text(content), self._lead + answer.strip())

    def end_ids(self, tokenizer: Any) -> tuple[int, ...]:
        """The template's own token after an assistant's turn, else the tokenizer's end."""
        special = set(getattr(tokenizer, "all_special_ids", ()))
        ids = tokenizer(self._after, add_special_tokens=False)["input_ids"] if self._after else []
        return next(((int(token),) for token in ids if token in special), super().end_ids(tokenizer))

    def _rendered(self, messages: Sequence[dict[str, str]], *, prompt: bool) -> str:
        found = self._tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=prompt)
        return str(found).removeprefix(self._begins)


def form_of(tokenizer: Any, *, bare: bool = False) -> Form:
    """``Chat`` where the tokenizer has a template, else raw text; ``bare`` is raw text in any case."""
    return Chat(tokenizer) if not bare and getattr(tokenizer, "chat_template", None) else RAW


def _user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def target_ids(tokenizer: Any, prompt: str, target: str) -> tuple[int, ...]:
    """Tokens of ``target`` as they follow the raw text ``prompt``, a space between them.

    Raises:
        ConfigError: the target is empty, or tokenises to nothing.
    """
    if not target.strip():
        raise ConfigError(f"the edit of {prompt!r} has an empty target")
    spaced = target if target.startswith(" ") or prompt.endswith((" ", "\n")) else " " + target
    return following_ids(tokenizer, prompt, spaced)


def following_ids(tokenizer: Any, text: str, continuation: str) -> tuple[int, ...]:
    """Tokens of ``continuation`` as they follow ``text``.

    Raises:
        ConfigError: there are none.
    """
    head = tokenizer(text)["input_ids"]
    whole = tokenizer(text + continuation)["input_ids"]
    end = getattr(tokenizer, "eos_token_id", None)
    if len(whole) > len(head) and whole[-1] == end and head[-1:] == [end]:
        head, whole = head[:-1], whole[:-1]  # a tokenizer that closes every text
    # Where the boundary itself merges, the continuation alone has to do.
    same = whole[: len(head)] == head
    ids = whole[len(head) :] if same else tokenizer(continuation, add_special_tokens=False)["input_ids"]
    unknown = getattr(tokenizer, "unk_token_id", None)
    if not ids or all(token == unknown for token in ids):
        raise ConfigError(f"the target {continuation!r} tokenises to nothing")
    return tuple(ids)


__all__ = ["RAW", "Chat", "Form", "following_ids", "form_of", "target_ids"]
