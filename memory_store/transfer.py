"""How do edits leave and enter as text? JSON Lines, JSON arrays and CSV, under the names that ``Edit`` has.

A bad line is reported with its number and costs no other line. JSON Lines give back every field exactly; in CSV a cell
cannot tell empty from absent.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, BinaryIO, Literal, get_args

from memory_store.corrections import Correction, CorrectionKind, Said
from memory_store.edit import DEFAULT_NAMESPACE, Edit, Status
from memory_store.errors import ConfigError, InvalidEditError
from memory_store.foreign import FORMATS, edits_of, format_of
from memory_store.validation import validated, validated_namespace, validated_query

LONGEST_LINE = 1_000_000
"""Bytes; a longer line cannot be one edit."""
LONGEST_ARRAY = 512_000_000
"""Bytes; a JSON array is read as a whole."""
KINDS = ("auto", "jsonl", "csv", *FORMATS)

_QUERIES: tuple[CorrectionKind, ...] = ("allow", "deny")
SAID = (*_QUERIES, "threshold")
"""Fields of a record beside those of its edit, as lists: the questions that people allowed and denied for it, and its
own thresholds, each as an object with a decider, a value, and the encoder it was measured with."""
CALIBRATED: CorrectionKind = "calibrate"
"""Field of a record that has no edit: the thresholds of a namespace, which it names."""
_DEFAULTS = {field.name: field.default for field in fields(Edit)}
_LISTS = ("aliases", "tags")
_CLOSED: tuple[Status, ...] = ("forgotten", "undone")
_Place = Literal["start", "plain", "quoted", "end"]
"""In a row of CSV: at the start of a cell, in a plain one, between quotes, at the row's end."""
_INSIDE = re.compile(rb'(?:[^"]+|"")*')
_MARK = b"\xef\xbb\xbf"
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Line:
    """What one line holds: an edit, or why it holds none."""

    number: int
    """The first line of a file is 1."""
    edit: Edit | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What one record of a file holds: its edits, or why it holds none."""

    number: int
    """Of the line on which it begins; the first line is 1."""
    edits: tuple[Edit, ...] = ()
    error: str = ""
    said: tuple[Said, ...] = ()
    """What was said about when they fire; where the row has no edit, about every edit of ``namespace``."""
    namespace: str = DEFAULT_NAMESPACE


# -- out ---------------------------------------------------------------------------------------------------------------


def to_lines(edits: Iterable[Edit]) -> Iterator[str]:
    """Yield one line for each edit, without its end; what has its default value is left out.

    >>> list(to_lines([Edit(statement="The capital of France is Lyon.", subject="France", edit_id="a")]))
    ['{"statement": "The capital of France is Lyon.", "subject": "France", "edit_id": "a"}']
    """
    return records_to_lines(map(to_record, edits))


def to_record(edit: Edit) -> dict[str, Any]:
    """Return the fields of an edit that say something, under their names."""
    record = {name: getattr(edit, name) for name in _DEFAULTS}
    return {name: value for name, value in record.items() if value != _default(name)}


def records_to_lines(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for record in records:
        yield json.dumps(record, ensure_ascii=False)


def records_to_csv(records: Iterable[Mapping[str, Any]], more_columns: Sequence[str] = ()) -> Iterator[str]:
    """Yield a header and then one row for each record, without their ends; lists are joined by ``; ``."""
    columns = [*_DEFAULTS, *more_columns]
    yield _csv_row(columns)
    for record in records:
        yield _csv_row([_cell(record.get(column)) for column in columns])


def _csv_row(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "true"
    if isinstance(value, str):
        return value
    joined = "; ".join(value)
    return joined if tuple(_split(joined)) == tuple(value) else json.dumps(value, ensure_ascii=False)


# -- in ----------------------------------------------------------------------------------------------------------------


def from_lines(lines: Iterable[str | bytes]) -> Iterator[Line]:
    """Yield what each line holds; empty lines are passed over, a byte order mark is ignored."""
    for number, raw in enumerate(lines, start=1):
        try:
            text = _decoded(raw).strip().removeprefix("\ufeff")
            if text:
                yield Line(number, edit_from(_record(text)))
        except InvalidEditError as error:
            yield Line(number, error=f"line {number}: {error}")


def read_rows(file: BinaryIO, kind: str = "auto") -> Iterator[Row]:
    """Yield what a file holds, row by row, whatever of JSON Lines, a JSON array or CSV it is.

    Args:
        file: at its beginning, seekable.
        kind: one of ``KINDS``; ``auto`` looks at the file, and at each record.

    Raises:
        ConfigError: the file as a whole cannot be read: another encoding, no rows, or a header that makes no sense.
    """
    if kind not in KINDS:
        raise ConfigError(f"format {kind!r} is not known; choose one of {', '.join(KINDS)}")
    head = file.read(4096)
    file.seek(0)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        what = "UTF-16 or UTF-32" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "no text (it holds NUL bytes)"
        raise ConfigError(f"the file is {what}; save it as UTF-8 (in a spreadsheet: CSV UTF-8)")
    start = head.removeprefix(_MARK).lstrip()
    if not start:
        raise ConfigError("the file is empty; wanted one fact a row")
    if b"\r" in start.rstrip() and b"\n" not in start:
        raise ConfigError("the file's lines end in carriage returns alone; save it with ordinary line ends")
    if kind == "csv" or (kind != "jsonl" and not start.startswith((b"{", b"["))):
        return _csv_rows(file, kind)
    if start.startswith(b"["):
        return _array_rows(file, kind)
    return _json_rows(file, kind)


def _json_rows(file: BinaryIO, kind: str) -> Iterator[Row]:
    for number, raw in _lines(file):
        try:
            text = _decoded(raw).strip().removeprefix("\ufeff")
            if text:
                yield _row(number, _record(text), kind)
        except InvalidEditError as error:
            yield Row(number, error=f"line {number}: {error}")


def _array_rows(file: BinaryIO, kind: str) -> Iterator[Row]:
    """Records of one JSON array; after one that is no JSON the rest cannot be told apart, which is said."""
    data = file.read(LONGEST_ARRAY + 1)
    if len(data) > LONGEST_ARRAY:
        raise ConfigError(f"a JSON array of more than {LONGEST_ARRAY:,} bytes is not read; write one object a line")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"line {line}: byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from error
    space = re.compile(r"[\s,]*")
    at, number, counted = text.index("[") + 1, 1, 0
    while True:
        match = space.match(text, at)
        at = match.end() if match else at
        number, counted = number + text.count("\n", counted, at), at
        if text[at : at + 1] == "]":
            return
        decoder, twice = _decoder()
        try:
            record, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield Row(number, error=f"line {number}: not JSON ({error}); what comes after it was not read")
            return
        try:
            yield _row(number, _once(record, twice), kind)
        except InvalidEditError as error:
            yield Row(number, error=f"line {number}: {error}")


def _csv_rows(file: BinaryIO, kind: str) -> Iterator[Row]:
    if file.read(len(_MARK)) != _MARK:
        file.seek(0)
    begin = file.tell()
    first = file.readline(LONGEST_LINE).decode(errors="replace")
    file.seek(begin)
    separator = max(",;\t", key=first.count)
    records = _csv_records(file, separator.encode())
    number, header, why = next(records, (1, "", "there is no header"))
    if why:
        raise ConfigError(f"line {number}: {why}")
    columns = [_column(name) for name in _cells(header, separator)]
    while columns and not columns[-1]:
        columns.pop()
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise ConfigError(f"line {number}: the column {twice[0]!r:.60} is there twice; keep one")
    if kind == "csv":
        kind = "auto"
    if kind == "auto" and "statement" in columns:
        _check_names(name for name in columns if name not in ("status", ""))
    elif kind == "auto" and format_of(dict.fromkeys(columns)) is None:
        raise ConfigError(
            f"line {number}: no column 'statement', nor 'prompt' and 'target_new', in the header "
            f"{header!r:.80}; name the columns in the first row"
        )
    for number, text, why in records:
        try:
            if why:
                raise InvalidEditError(why)
            cells = _cells(text, separator)
            if any(cell.strip() for cell in cells):
                yield Row(number, _edits(_csv_record(columns, cells), kind))
        except InvalidEditError as error:
            yield Row(number, error=f"line {number}: {error}")


def _csv_records(file: BinaryIO, separator: bytes) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, text, what is wrong) of each record, whose quoted cells may run over many lines.

    A quote that is never closed, or closed where no cell ends, costs its own line; reading goes on with the next.
    """
    number = 1
    while True:
        kept: list[bytes] = []
        place: _Place | None = "start"
        size = lines = second = 0
        later = False
        while place in ("start", "plain", "quoted") and (piece := _piece(file)):
            place, later = _place_after(piece, place, separator), lines > 0
            size += len(piece)
            if size <= LONGEST_LINE:  # of a record that is too long the rest is passed over
                kept.append(piece)
            if piece.endswith(b"\n"):
                lines += 1
                second = second or file.tell()
        if not size:
            return
        why = ""
        if place == "quoted" or (place is None and later):
            why = 'a quote is opened and not closed; write a quote inside a cell as ""'
            file.seek(second or file.tell())
            lines = 1
        elif size > LONGEST_LINE:
            why = f"more than {LONGEST_LINE:,} bytes; a cell that long is no fact"
        if place is None and not lines:
            while (piece := _piece(file)) and not piece.endswith(b"\n"):
                pass
        try:
            text = "" if why else b"".join(kept).decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            text, why = "", f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8 (in a spreadsheet: CSV UTF-8)"
        yield number, text, why
        number += max(1, lines)


def _place_after(piece: bytes, place: "_Place", separator: bytes) -> "_Place | None":
    """Return where in a record one is after a piece of it; ``None`` where a quote stands that no cell can hold.

    >>> [_place_after(piece, "start", b",") for piece in (b'a,"b', b'a,"b",', b'a,5" x', b'"a"b', b'a,"b"\\n')]
    ['quoted', 'start', 'plain', None, 'end']
    """
    at = 0
    while at < len(piece):
        if place == "quoted":
            inside = _INSIDE.match(piece, at)
            at = inside.end() if inside else at
            if at == len(piece):
                return "quoted"
            follows = piece[at + 1 : at + 2]
            if follows in (b"", b"\r", b"\n"):
                return "end"
            if follows != separator:
                return None
            place, at = "start", at + 2
        elif place == "start" and piece.startswith(b'"', at):
            place, at = "quoted", at + 1
        else:
            found = piece.find(separator, at)
            if found < 0:
                return "end" if piece.endswith(b"\n") else "plain"
            place, at = "start", found + 1
    return place


def _piece(file: BinaryIO) -> bytes:
    """Return a line, or as much of it as is kept at most; two quotes that belong together stay together."""
    piece = file.readline(LONGEST_LINE)
    while piece.endswith(b'"') and (more := file.readline(1)):
        piece += more
    return piece


def _cells(text: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise InvalidEditError(f"not CSV ({error})") from error


def _column(name: str) -> str:
    name = re.sub(r"[\s-]+", "_", name.strip().casefold())
    return {"question": "prompt", "answer": "target_new", "id": "edit_id"}.get(name, name)


def _csv_record(columns: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise InvalidEditError(f"{len(cells)} cells, the header names {len(columns)}; is a comma not in quotes?")
    record: dict[str, Any] = {name: cell for name, cell in zip(columns, cells, strict=False) if name and cell}
    for name in _LISTS:
        if name in record:
            record[name] = _split(record[name])
    if "verbatim" in record:
        truth = record["verbatim"].strip().casefold()
        record["verbatim"] = _TRUTH.get(truth, record["verbatim"])
    return record


def _split(cell: str) -> list[str]:
    if cell.lstrip().startswith("["):
        try:
            value = json.loads(cell)
        except ValueError as error:
            raise InvalidEditError(f"{cell!r:.60} is no JSON list; write names separated by ;") from error
        return value if isinstance(value, list) else [cell]
    return [name.strip() for name in cell.split(";") if name.strip()]


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers; of one that is too long just enough to see that it is."""
    number = 0
    while raw := file.readline(LONGEST_LINE + 2):
        number += 1
        yield number, raw
        while len(raw) == LONGEST_LINE + 2 and not raw.endswith(b"\n"):
            raw = file.readline(LONGEST_LINE + 2)


def _row(number: int, record: dict[str, Any], kind: str) -> Row:
    """Return what a JSON record holds: edits with what was said of them, or the thresholds of a namespace."""
    if CALIBRATED in record and "statement" not in record:
        unknown = sorted(record.keys() - {CALIBRATED, "namespace"})
        if unknown:
            raise InvalidEditError(f"{unknown[0]!r:.60} does not go with {CALIBRATED}; wanted a namespace beside it")
        namespace = validated_namespace(record.get("namespace", DEFAULT_NAMESPACE))
        return Row(number, said=_thresholds(record, CALIBRATED), namespace=namespace)
    if "statement" not in record:
        return Row(number, _edits(record, kind))
    said = [Said(said_kind, validated_query(query)) for said_kind in _QUERIES for query in _list(record, said_kind)]
    edits = _edits({name: value for name, value in record.items() if name not in SAID}, kind)
    return Row(number, edits, said=(*said, *_thresholds(record, "threshold")))


def _list(record: Mapping[str, Any], name: str, of: str = "questions") -> list[Any]:
    values = record.get(name) or []
    if not isinstance(values, list):
        raise InvalidEditError(f"{name} must be a list of {of}, got {values!r:.60}")
    return values


def _thresholds(record: Mapping[str, Any], name: CorrectionKind) -> tuple[Said, ...]:
    said = []
    for one in _list(record, name, "thresholds"):
        try:
            decider, value, encoder = one["decider"], one["value"], one.get("encoder")
            if not (isinstance(decider, str) and isinstance(encoder, str | None) and 0 <= value <= 1):
                raise ValueError
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            wanted = 'wanted {"decider": "pair", "value": 0.5, "encoder": "…"}, the value from 0 to 1'
            raise InvalidEditError(f"{name} holds {one!r:.80}, {wanted}") from error
        said.append(Said(name, validated_query(decider), float(value), encoder=encoder))
    return tuple(said)


def said_to_record(corrections: Iterable[Correction]) -> dict[str, list[Any]]:
    """Return the fields that give corrections back, under the names of ``SAID`` and ``CALIBRATED``."""
    record: dict[str, list[Any]] = {}
    for one in corrections:
        threshold = {"decider": one.text, "value": one.value, "encoder": one.encoder}
        record.setdefault(one.kind, []).append(one.text if one.kind in _QUERIES else threshold)
    return record


def _edits(record: Mapping[str, Any], kind: str) -> tuple[Edit, ...]:
    """Return the edits of a record; none where it tells of a version that was taken back."""
    chosen = next((name for name in FORMATS if name == kind), None)
    if chosen is None and "statement" not in record and kind != "jsonl":
        chosen = format_of(record)
    if chosen is not None:
        return tuple(edits_of(record, chosen))
    record = dict(record)
    status = record.pop("status", None)
    if status is not None and status not in get_args(Status):
        raise InvalidEditError(f"status is {status!r:.40}, wanted one of {', '.join(get_args(Status))}")
    edit = edit_from(record)
    return () if status in _CLOSED else (edit,)


def edit_from(record: Mapping[str, Any]) -> Edit:
    """Return the edit that a record under our names describes.

    Raises:
        InvalidEditError: a name is not ours, or a value is not fit to be stored.
    """
    _check_names(record)
    if "statement" not in record:
        raise InvalidEditError("there is no statement; write the fact as one sentence under 'statement'")
    values = {name: value for name, value in record.items() if value is not None}
    for name in _LISTS:
        if not isinstance(values.get(name, []), list):
            raise InvalidEditError(f"{name} must be a list, got {values[name]!r:.60}")
        values[name] = tuple(values.get(name, ()))
    if not isinstance(values.get("verbatim", False), bool):
        raise InvalidEditError(f"verbatim must be true or false, got {values['verbatim']!r:.60}")
    return validated(Edit(**values))


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if name not in _DEFAULTS:
            raise InvalidEditError(f"{name!r:.60} is no field of an edit; the fields are {', '.join(_DEFAULTS)}")


def _default(name: str) -> Any:
    return () if name in _LISTS else None if _DEFAULTS[name] is MISSING else _DEFAULTS[name]


def _decoded(raw: str | bytes) -> str:
    if len(raw) > LONGEST_LINE:
        raise InvalidEditError(f"more than {LONGEST_LINE:,} bytes; is it one JSON object a line?")
    try:
        return raw if isinstance(raw, str) else raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidEditError(f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error


def _decoder() -> tuple[json.JSONDecoder, list[str]]:
    """Return a decoder, and the list in which it notes names that one object has twice."""
    twice: list[str] = []

    def paired(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            names = [name for name, _ in pairs]
            twice.extend(name for name in record if names.count(name) > 1)
        return record

    return json.JSONDecoder(object_pairs_hook=paired), twice


def _once(record: Any, twice: list[str]) -> dict[str, Any]:
    """Return a record that is an object without a repeated name."""
    if not isinstance(record, dict):
        raise InvalidEditError(f"got {record!r:.40}, wanted an object")
    if twice:
        raise InvalidEditError(f"the name {twice[0]!r:.60} is there twice; keep one")
    return record


def _record(text: str) -> dict[str, Any]:
    try:
        decoder, twice = _decoder()
        record = decoder.decode(text)
    except ValueError as error:
        raise InvalidEditError(f"not JSON ({error}); write one object a line") from error
    except RecursionError as error:
        raise InvalidEditError("brackets nested too deep; write one flat object a line") from error
    if not isinstance(record, dict):
        raise InvalidEditError(f"got {text!r:.40}, wanted one JSON object a line")
    return _once(record, twice)
