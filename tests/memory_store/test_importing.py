"""Files of facts: what they may look like, and what becomes of an interrupted or a bad one."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from memory_store.edit import Edit
from memory_store.errors import ConfigError, StoreError
from memory_store.importing import import_file
from memory_store.store import EditStore
from memory_store.transfer import read_rows, records_to_csv, to_record

SHARED = Path(__file__).parents[3] / "shared" / "data"

COUNTERFACT = {
    "case_id": 7,
    "requested_rewrite": {
        "prompt": "{} sings in",
        "relation_id": "P1412",
        "target_new": {"str": "Latin", "id": "Q397"},
        "target_true": {"str": "Greek", "id": "Q9129"},
        "subject": "Ada Roe",
    },
    "paraphrase_prompts": ["Ada Roe always sings in"],
}
MQUAKE = {
    "case_id": 3,
    "requested_rewrite": [
        {"prompt": "{} works for", "target_new": {"str": "Acme"}, "subject": "Ada", "relation_id": "P108"},
        {"prompt": "The seat of {} is", "target_new": {"str": "Porto"}, "subject": "Acme", "relation_id": "P159"},
    ],
    "questions": ["Where is the seat of Ada's employer?"],
}
ZSRE = {"subject": "Acme", "src": "Where is Acme?", "alt": "Porto", "answers": ["Rome"], "loc": "x", "loc_ans": "y"}
KNOWEDIT = {"subject": "Acme", "prompt": "The seat of Acme is", "target_new": "Porto", "portability": {}}
WIKIBIO = {"text": "Ada Roe was a singer.", "labels": "She lived in Porto.", "concept": "ada roe"}
EASYEDIT = {"subject": "Acme", "prompt": "The seat of Acme is", "target_new": "Porto", "ground_truth": "Rome"}


def read(text, kind="auto"):
    return list(read_rows(io.BytesIO(text.encode() if isinstance(text, str) else text), kind))


def lines(*records):
    return io.BytesIO("".join(json.dumps(record) + "\n" for record in records).encode())


def numbered(count, **more):
    return [
        {"statement": f"Box {n} is red.", "subject": f"Box {n}", "prompt": f"Box {n} is", **more} for n in range(count)
    ]


def comparable(store, **more):
    return [replace(edit, recorded_at="") for edit in store.edits(**more)]


@pytest.mark.parametrize(
    ("record", "kind", "expected"),
    [
        (COUNTERFACT, "counterfact", [("Ada Roe", "Ada Roe sings in", "Latin", "P1412", "Ada Roe sings in Latin.")]),
        (
            MQUAKE,
            "mquake",
            [
                ("Ada", "Ada works for", "Acme", "P108", "Ada works for Acme."),
                ("Acme", "The seat of Acme is", "Porto", "P159", "The seat of Acme is Porto."),
            ],
        ),
        (ZSRE, "zsre", [("Acme", "Where is Acme?", "Porto", None, "Where is Acme? Porto")]),
        (KNOWEDIT, "knowedit", [("Acme", "The seat of Acme is", "Porto", None, "The seat of Acme is Porto.")]),
        (WIKIBIO, "knowedit", [("ada roe", "", "", None, "She lived in Porto.")]),
        (EASYEDIT, "easyedit", [("Acme", "The seat of Acme is", "Porto", None, "The seat of Acme is Porto.")]),
    ],
)
@pytest.mark.parametrize("shape", ["lines", "array"])
def test_a_record_of_another_project_becomes_edits_by_name_and_by_its_looks(record, kind, expected, shape):
    text = json.dumps(record) if shape == "lines" else json.dumps([record, record], indent=1)
    for asked in ("auto", kind):
        for row in read(text, asked):
            found = [(e.subject, e.prompt, e.target_new, e.relation, e.statement) for e in row.edits]
            assert found == expected and row.error == ""


def test_a_record_that_is_not_of_the_named_format_says_what_is_missing():
    (row,) = read(json.dumps(EASYEDIT), "zsre")
    assert row.error == "line 1: as a zsre record: 'src' must be text, it is missing"
    (row,) = read(json.dumps({**COUNTERFACT, "requested_rewrite": {"subject": 7}}))
    assert row.error == "line 1: as a counterfact record: 'subject' must be text, got 7"


@pytest.mark.parametrize(
    ("name", "kind", "edits"),
    [
        ("counterfact_full_1031", "counterfact", 1),
        ("counterfact_edit_10000", "easyedit", 1),
        ("zsre_eval_portability_1037", "zsre", 1),
        ("knowedit_wiki_counterfact_test_885", "knowedit", 1),
        ("knowedit_wikibio_test_306", "knowedit", 1),
        ("mquake_cf_849", "mquake", 1),
        ("qaedit_500", "easyedit", 1),
    ],
)
def test_published_rows_are_read_without_an_error(name, kind, edits):
    path = SHARED / f"{name}.jsonl"
    if not path.exists():
        pytest.skip("the published rows are not here")
    head = b"".join(path.read_bytes().splitlines(keepends=True)[:200])
    for asked in ("auto", kind):
        rows = read(head, asked)
        assert len(rows) == 200
        assert not [row.error for row in rows if row.error] and all(len(row.edits) >= edits for row in rows)


def test_a_spreadsheets_csv_is_read_bom_crlf_quotes_semicolons_and_empty_columns_included():
    text = (
        "\ufeffStatement;Subject;Target new;Aliases;Verbatim;;\r\n"
        '"Acme says ""hi"";\r\nand more.";Acme;hi;Big Acme; TRUE ;;\r\n'
        ";;;;;;\r\n"
        "Porto is big.;Porto;;;;;\r\n"
    )
    first, second = read(text)
    (edit,) = first.edits
    assert edit.statement == 'Acme says "hi";\r\nand more.' and edit.verbatim is True
    assert (edit.subject, edit.target_new, edit.aliases) == ("Acme", "hi", ("Big Acme",))
    assert (second.number, second.edits[0].statement) == (5, "Porto is big.")


def test_questions_and_answers_in_a_csv_are_facts():
    (row,) = read("question,answer\nWho runs Acme?,Ada Roe\n")
    assert row.edits[0].statement == "Who runs Acme? Ada Roe" and row.edits[0].prompt == "Who runs Acme?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("statement,subject,Statement\na,b,c\n", "line 1: the column 'statement' is there twice; keep one"),
        ("a,b\n1,2\n", "line 1: no column 'statement'"),
        ("statement,colour\na,b\n", "'colour' is no field of an edit"),
        ("", "the file is empty"),
        (b"\xef\xbb\xbf\r\n", "the file is empty"),
        ("statement\nx\n".encode("utf-16"), "the file is UTF-16 or UTF-32; save it as UTF-8"),
        (b"PK\x03\x04\x00\x00", "the file is no text"),
        ("statement\nx\n".encode("utf-32"), "the file is UTF-16 or UTF-32; save it as UTF-8"),
        ("statement,subject\rone,1\r", "lines end in carriage returns alone"),
        ("statement,subject\none,1\n".encode("utf-16-le"), "the file is no text (it holds NUL bytes)"),
        ("[\n\n1,\xff".encode("latin-1"), "line 3: byte 0xff is not UTF-8"),
    ],
)
def test_a_file_that_makes_no_sense_as_a_whole_is_one_message(text, message):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (b'"open,x\n', 'a quote is opened and not closed; write a quote inside a cell as ""'),
        (b"caf\xe9,x\n", "byte 0xe9 is not UTF-8; save the file as UTF-8 (in a spreadsheet: CSV UTF-8)"),
        (b"a,b,c\n", "3 cells, the header names 2; is a comma not in quotes?"),
        (b'"a"b,"x"\n', "not CSV"),
        (b"x" * 10_000_000 + b",y\n", "more than 1,000,000 bytes"),
        (b'"' + b"x" * 10_000_000 + b'",y\n', "more than 1,000,000 bytes"),
        (b'"' + b'say ""x"",\n' * 120_000 + b'",y\n', "more than 1,000,000 bytes"),
        (b'"' + b"x\n" * 9_000 + b'",y\n', "the statement has 18,000 characters"),
        (b'"' + b"x" * 2_000_000 + b'"y,y\n', "more than 1,000,000 bytes"),
        (b",y\n", "there is no statement"),
    ],
)
def test_a_bad_row_of_a_csv_is_told_by_number_and_costs_no_other(bad, error):
    rows = read(b"statement,subject\none,1\n" + bad + b'"two ""2""",2\n')
    assert [row.edits[0].statement for row in rows if row.edits] == ["one", 'two "2"']
    (message,) = [row.error for row in rows if row.error]
    assert message.startswith("line 3: ") and error in message and len(message) < 300


def test_a_quote_that_is_not_closed_costs_its_own_row_whatever_quotes_come_later():
    text = 'statement,subject\n"one,1\ntwo,2\n"three\r\nand more",3\n5" disks are small.,"4"\n"five,5\n\n"six'
    rows = read(text)
    assert [(row.number, row.edits[0].statement) for row in rows if row.edits] == [
        (3, "two"),
        (4, "three and more"),
        (6, '5" disks are small.'),
    ]
    assert [row.number for row in rows if "opened and not closed" in row.error] == [2, 7, 9]


def test_a_name_that_is_there_twice_in_one_object_is_an_error():
    bad = '{"statement": "one", "statement": "two"}'
    for text in (f'{bad}\n{{"statement": "three"}}', f'[{bad}, {{"statement": "three"}}]'):
        first, second = read(text)
        assert first.error == "line 1: the name 'statement' is there twice; keep one" and second.edits


def test_an_array_that_breaks_off_gives_what_came_before_and_the_line():
    first, second, third = read('[\n{"statement": "one"},\n7,\n{"statement": \n')
    assert first.edits and second.error == "line 3: got 7, wanted an object"
    assert third.error.startswith("line 4: not JSON") and "what comes after it was not read" in third.error


def test_a_row_of_ten_megabytes_costs_no_other_row():
    big = '{"statement": "' + "x" * 10_000_000 + '"}'
    rows = read('{"statement": "one"}\n' + big + '\n{"statement": "three"}')
    assert [(row.number, bool(row.edits)) for row in rows] == [(1, True), (2, False), (3, True)]
    assert rows[1].error == "line 2: more than 1,000,000 bytes; is it one JSON object a line?"


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (b'{"statement": "caf\xe9"}', "byte 19 is not UTF-8; save the file as UTF-8"),
        (b'{"statement": "caf\x00"}', "not JSON (Invalid control character"),
        (b'{"statement": "caf\\u0000"}', "the statement holds the control character U+0000; remove it"),
        (b'{"statement": "caf\\ud83d"}', "the statement holds half a character"),
        (b'{"statement": "caf', "not JSON"),
        (b'{"statement": NaN}', "the statement is a float, wanted text"),
        (b"[" * 5_000, "nested too deep"),
        (b'"statement"', "wanted one JSON object a line"),
    ],
)
def test_a_bad_line_of_json_is_told_by_number_and_costs_no_other_mark_and_line_ends_included(bad, error):
    rows = read(b'\xef\xbb\xbf{"statement": "one"}\r\n' + b'{"statement": "two"}\r\n' * 200 + bad + b"\r\n\xef\xbb\xbf"
                + b'{"statement": "three"}')  # fmt: skip
    assert [rows[0].edits[0].statement, rows[-1].edits[0].statement, len(rows)] == ["one", "three", 203]
    (message,) = [row.error for row in rows if row.error]
    assert message.startswith("line 202: ") and error in message and "\n" not in message and len(message) < 300


def test_in_an_array_a_row_of_ten_megabytes_costs_no_other_row():
    big = b'{"statement": "' + b"x" * 10_000_000 + b'"}'
    rows = read(b'\xef\xbb\xbf[{"statement": "one"},\r\n' + big + b',\r\n{"statement": "three"}]')
    assert [bool(row.edits) for row in rows] == [True, False, True]
    assert rows[1].error == "line 2: the statement has 10,000,000 characters, at most 8,000 fit; shorten or split it"


def test_bad_rows_are_reported_and_the_rest_is_stored(store):
    done = import_file(store, lines(*numbered(3), {"nothing": 1}, *numbered(5)), skip_errors=True)
    assert (done.rows, len(done.errors), dict(done.counts)) == (9, 1, {"added": 5, "duplicate": 3})
    assert done.errors[0].startswith("line 4: ") and len(store) == 5


def test_asked_to_stop_nothing_after_the_first_bad_row_is_stored(store):
    done = import_file(store, lines(*numbered(3), {"nothing": 1}, *numbered(5)))
    assert done.stopped and len(store) == 3 == done.committed
    again = import_file(store, lines(*numbered(3), {"nothing": 1}, *numbered(5)), skip_errors=True)
    assert again.resumed_after == 3 and len(store) == 5


def test_a_batch_is_256_rows_and_one_transaction(store):
    import_file(store, lines(*numbered(600)))
    puts = [event.batch for event in store.log() if event.kind == "put"]
    assert [puts.count(batch) for batch in (1, 2, 3)] == [256, 256, 88]
    assert store.verify().ok and len(store.undo()[0].closed) == 88


def test_of_two_rows_about_one_thing_the_later_holds_and_the_earlier_is_history(store, capital):
    rows = [to_record(capital("France", city)) for city in ("Lyon", "Nice", "Metz", "Lyon")]
    done = import_file(store, lines(*rows))
    assert [e.target_new for e in store.edits()] == ["Lyon"] and done.counts["conflict"] == 0
    assert len(store.edits(include_closed=True)) == 4
    assert import_file(store, lines(*rows)).resumed_after == 4 and len(store.edits(include_closed=True)) == 4


def test_a_dry_run_counts_and_stores_nothing(store):
    done = import_file(store, lines(*numbered(300)), dry_run=True)
    assert done.counts["added"] == 300 and len(store) == 0 and store.log() == []


def test_after_an_undo_the_same_file_is_imported_again(store):
    import_file(store, lines(*numbered(4)))
    store.undo()
    done = import_file(store, lines(*numbered(4)))
    assert done.resumed_after == 0 and len(store) == 4


def test_another_namespace_or_format_is_another_import(store):
    import_file(store, lines(*numbered(4)))
    assert import_file(store, lines(*numbered(4)), namespace="team").counts["added"] == 4
    assert len(store.edits("team")) == 4


def test_each_batch_is_encoded_once(store, keys_of):
    sizes = []

    def encode(edits):
        sizes.append(len(edits))
        return {"statement": keys_of([edit.statement for edit in edits])}

    import_file(store, lines(*numbered(300)), encode=encode)
    assert sizes == [256, 44]
    assert store.nearest(keys_of(["Box 299 is red."]), 1)[0][0].score == pytest.approx(1)


def test_a_disk_that_fills_up_loses_no_committed_row_and_the_import_goes_on(tmp_path):
    with EditStore.open(tmp_path / "s.scr") as store:
        pages = store._db.value("PRAGMA page_count")
        store._db.execute(f"PRAGMA max_page_count = {pages + 200}")
        with pytest.raises(StoreError, match="disk .* is full"):
            import_file(store, lines(*numbered(2000)))
        kept = len(store)
        assert kept and kept % 256 == 0 and store.verify().ok
        store._db.execute("PRAGMA max_page_count = 1000000")
        assert import_file(store, lines(*numbered(2000))).resumed_after == kept
        assert len(store) == 2000


SAID = [
    {"statement": "Box 1 is red.", "allow": ["Is box 1 red?"], "threshold": [{"decider": "pair", "value": 0.75}]},
    {"calibrate": [{"decider": "pair", "value": 0.5, "encoder": "toy"}]},
]


def test_what_is_said_of_facts_and_of_a_namespace_comes_in_with_them(store, keys_of):
    def encode(edits):
        return {"statement": keys_of([edit.statement for edit in edits])}

    done = import_file(store, lines(*SAID), encode=encode)
    assert not done.errors and done.counts["added"] == 1
    said = [(c.kind, c.text, c.value, c.encoder) for c in store.corrections()]
    assert said == [
        ("allow", "Is box 1 red?", None, None),
        ("threshold", "pair", 0.75, "toy"),
        ("calibrate", "pair", 0.5, "toy"),
    ]
    import_file(store, lines(*SAID), encode=encode, namespace="elsewhere")
    assert len(store.corrections("elsewhere")) == 3 and store.verify().ok


def test_an_interrupted_import_with_corrections_goes_on_where_it_was(store):
    rows = [{**row, "deny": [f"Is box {n} blue?"]} for n, row in enumerate(numbered(600))]

    class Cut(Exception):
        pass

    def cut(done, at):
        if done.committed == 512:
            raise Cut

    with pytest.raises(Cut):
        import_file(store, lines(*rows), progress=cut)
    with pytest.raises(Cut):  # killed between the facts of a batch and what is said of them
        import_file(store, lines(*rows), write=lambda edits, **more: [store.put(edits, **more), cut(_Done, 0)])
    assert len(store) == 600 and len(store.corrections()) == 512
    store.record("apply", {})  # somebody asked in between
    done = import_file(store, lines(*rows))
    assert (done.resumed_after, done.counts["duplicate"], done.rows) == (512, 88, 88)
    assert len(store) == 600 == len(store.corrections()) and store.verify().ok


class _Done:
    committed = 512


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"statement": "A.", "threshold": {"pair": 0.5}}, "line 1: threshold must be a list of thresholds"),
        (
            {"statement": "A.", "threshold": [{"decider": "pair"}]},
            "line 1: threshold holds {'decider': 'pair'}, wanted",
        ),
        ({"calibrate": [{"decider": "pair", "value": 1.5}]}, "the value from 0 to 1"),
        ({"calibrate": [{"decider": "pair", "value": True, "encoder": 5}]}, "line 1: calibrate holds"),
        ({"calibrate": [], "subject": "A"}, "line 1: 'subject' does not go with calibrate"),
        ({"calibrate": [], "namespace": "*"}, "line 1: namespace '*' is not a name"),
    ],
)
def test_a_threshold_that_is_none_is_told_by_its_line(store, row, error):
    (said,) = import_file(store, lines(row), skip_errors=True).errors
    assert error in said and len(store) == 0 and store.corrections() == []


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_exported_store_reads_back_equal(store, put, capital, clock, form):
    put(
        store,
        capital("France", "Lyon", edit_id="a", aliases=("a; b", "c"), tags=("x", "y")),
        capital("Spain", "Vigo", valid_until="2030-01-01", source='line "1"\u00e9', relation="capital"),
        Edit(statement="Say:\r\n  thirty, days.", verbatim=True, subject="refund", namespace="default"),
    )
    clock.tick()
    put(store, capital("France", "Nice", edit_id="b"), capital("Peru", "Cusco", valid_from="2040-01-01"))
    records = [to_record(v.edit) for v in store.versions() if v.status in ("live", "scheduled")]
    text = "\n".join(records_to_csv(records) if form == "csv" else map(json.dumps, records))
    with EditStore.open(":memory:", clock=clock) as other:
        done = import_file(other, io.BytesIO(text.encode()))
        assert not done.errors and comparable(other) == comparable(store)
        assert comparable(other, as_of="2050") == comparable(store, as_of="2050")
