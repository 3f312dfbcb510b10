"""How does a record of another project become edits? One function for each format, and one that tells them apart.

Facts are taken (subject, prompt, new answer, relation); what is for scoring (paraphrases, neighbours) is left behind.
A relation id, where a format has one, becomes the edit's relation, so two wordings of one relation are one fact.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from memory_store.edit import Edit
from memory_store.errors import InvalidEditError
from memory_store.validation import validated

Record = Mapping[str, Any]
Format = Literal["counterfact", "zsre", "knowedit", "mquake", "easyedit"]


def format_of(record: Record) -> Format | None:
    """Return which project's record this looks like; ``None`` where it is none of them.

    >>> format_of({"src": "Who?", "alt": "Jane"}), format_of({"statement": "Jane."})
    ('zsre', None)
    """
    if "requested_rewrite" in record:
        return "mquake" if isinstance(record["requested_rewrite"], list) else "counterfact"
    if "src" in record and "alt" in record:
        return "zsre"
    if "concept" in record and "labels" in record:
        return "knowedit"
    if "prompt" in record and ("target_new" in record or "target" in record):
        return "knowedit" if isinstance(record.get("portability"), dict) else "easyedit"
    return None


def edits_of(record: Record, kind: Format) -> list[Edit]:
    """Return the edits of one record, each fit to be stored.

    Raises:
        InvalidEditError: it is no record of this format; what is missing is named.
    """
    try:
        return [validated(edit) for edit in _READERS[kind](record)]
    except InvalidEditError as error:
        raise InvalidEditError(f"as a {kind} record: {error}") from error


def sentence(prompt: str, answer: str) -> str:
    """Return a prompt and its answer as one statement.

    >>> sentence("Who runs Acme?", "Jane Roe"), sentence("The capital of France is", "Lyon")
    ('Who runs Acme? Jane Roe', 'The capital of France is Lyon.')
    """
    text = f"{prompt} {answer}"
    return text if prompt.endswith(("?", "？")) or text.endswith((".", "!", "。")) else f"{text}."


def _counterfact(record: Record) -> list[Edit]:
    return [_rewrite(_field(record, "requested_rewrite", dict), _source("CounterFact", record))]


def _mquake(record: Record) -> list[Edit]:
    rewrites = _field(record, "requested_rewrite", list)
    if not rewrites or not all(isinstance(rewrite, dict) for rewrite in rewrites):
        raise InvalidEditError("requested_rewrite must be a list of at least one object")
    return [_rewrite(rewrite, _source("MQuAKE", record)) for rewrite in rewrites]


def _rewrite(rewrite: Record, source: str) -> Edit:
    subject = _field(rewrite, "subject", str)
    target = rewrite.get("target_new")
    answer = _field(target, "str", str) if isinstance(target, dict) else _field(rewrite, "target_new", str)
    prompt = " ".join(_field(rewrite, "prompt", str).replace("{}", subject).split())
    relation = rewrite.get("relation_id")
    return Edit(
        statement=sentence(prompt, answer),
        subject=subject,
        prompt=prompt,
        target_new=answer,
        relation=relation if isinstance(relation, str) else None,
        source=source,
    )


def _zsre(record: Record) -> list[Edit]:
    return [_asked(_field(record, "src", str), _field(record, "alt", str), record, "zsRE")]


def _knowedit(record: Record) -> list[Edit]:
    if "labels" in record:
        statement = _field(record, "labels", str)
        return [Edit(statement=statement, subject=_field(record, "concept", str), source="KnowEdit")]
    return [_asked(_field(record, "prompt", str), _answer(record), record, "KnowEdit")]


def _easyedit(record: Record) -> list[Edit]:
    return [_asked(_field(record, "prompt", str), _answer(record), record, "EasyEdit")]


def _answer(record: Record) -> Any:
    return _field(record, "target_new" if "target_new" in record else "target", str)


def _asked(prompt: str, answer: str, record: Record, source: str) -> Edit:
    subject = record.get("subject") or ""
    return Edit(
        statement=sentence(prompt, answer),
        subject=subject,
        prompt=prompt,
        target_new=answer,
        source=_source(source, record),
    )


def _source(project: str, record: Record) -> str:
    number = record.get("case_id", record.get("id"))
    return project if number is None else f"{project} case {number}"


def _field(record: Record, name: str, kind: type[Any]) -> Any:
    value = record.get(name)
    if not isinstance(value, kind) or (kind is str and not value.strip()):
        wanted = {"str": "text", "list": "a list", "dict": "an object"}[kind.__name__]
        got = "it is missing" if value is None else f"got {value!r:.40}"
        raise InvalidEditError(f"{name!r} must be {wanted}, {got}")
    return value.strip() if isinstance(value, str) else value


_READERS: dict[Format, Callable[[Record], list[Edit]]] = {
    "counterfact": _counterfact,
    "zsre": _zsre,
    "knowedit": _knowedit,
    "mquake": _mquake,
    "easyedit": _easyedit,
}
FORMATS: tuple[Format, ...] = tuple(_READERS)
