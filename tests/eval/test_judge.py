"""Claims about the judge: its verdict is read as it is meant, nothing is asked twice, its figures stand apart."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from eval.cli import eval_group
from eval.judge import JUDGED_FILE, judge, remote, verdict_of
from eval.report import as_json
from eval.runner import SCHEMA
from eval.scores import read_result
from memory_store.errors import ConfigError


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("INCORRECT", False),
        ("CORRECT", True),
        ("Incorrect.", False),
        ("It says Paris, which is not correct. INCORRECT", False),
        ("**correct**", True),
        ("Hardly incorrect: CORRECT", True),
        ("The answer is not correct.", False),
        ("It isn't correct", False),
        ("IN CORRECT", False),
        ("Is this correct? I cannot tell.", None),
        ("", None),
        ("uncorrected", None),
    ],
)
def test_incorrect_is_not_read_as_correct(reply: str, verdict: bool | None) -> None:
    assert verdict_of(reply) is verdict


class Judge(BaseHTTPRequestHandler):
    """Says CORRECT where the answer to judge holds Lyon."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({**body, "path": self.path, "key": self.headers["Authorization"]})
        if body["model"] == "moved":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere")
            self.end_headers()
            return
        said = next(line for line in body["messages"][-1]["content"].splitlines() if line.startswith("Answer to judge"))
        content = "CORRECT" if "Lyon" in said else "INCORRECT"
        self.send_response(200 if body["model"] == "wise" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode())

    def do_GET(self) -> None:
        self.asked.append({"path": self.path, "key": self.headers["Authorization"]})
        self.send_response(404)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Judge.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def row(case: str, kind: str, answer: str, right: bool | None) -> dict[str, Any]:
    found: dict[str, Any] = {"order": 0, "point": 10, "case": case, "subject": case, "kind": kind, "probe": 0}
    found |= {"prompt": f"{kind} of {case}?", "accepted": ["Lyon"], "governed_by": None if right is None else case}
    return {**found, "answer": answer, "base": "x", "route": "base", "used": [], "right": right, "unchanged": True}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        row("a", "prompt", "It is Lyon, I think", False),  # right in other words
        row("b", "prompt", "Paris", False),
        row("c", "prompt", "", False),
        row("a", "neighbor", "Rome", None),
        {"event": "point", "order": 0, "point": 10, "edit_s": 0.1},
        {"event": "done"},
    ]
    manifest = {
        "schema": SCHEMA,
        "config": {"protocol": "sequential-batch", "seed": 0, "orders": 1, "points": [10]},
        "dataset": {"name": "toy", "sha256": "d", "described": "toy", "source": "by hand"},
        "model": {"name": "pocket", "sha256": "m", "chat": True},
        "methods": {"scr": {"name": "scr", "family": "retrieval", "about": "", "settings": {}}},
        "command": ["scr", "eval", "run"],
        "made_on": {
            "python": "3",
            "versions": {},
            "system": "L",
            "cores": 1,
            "torch_threads": 1,
            "commit": "",
            "time": "",
        },
    }
    out = tmp_path / "run"
    (out / "methods").mkdir(parents=True)
    (out / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    (out / "methods" / "scr.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return out


def test_the_command_judges_once_and_reports_apart(folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "reliability, judged" not in as_json(read_result(folder))["methods"]["scr"]["points"]["10"]["generated"]
    words = ["judge", str(folder), "--address", address, "--judge", "wise", "--json"]
    done = CliRunner().invoke(eval_group, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["judged"] == 3 and json.loads(done.stdout)["unclear"] == 0
    # The empty answer is wrong without asking; the neighbor has no right answer.
    assert len(Judge.asked) == 2 and {a["path"] for a in Judge.asked} == {"/v1/chat/completions"}
    assert {(a["temperature"], a["key"]) for a in Judge.asked} == {(0, "Bearer secret")}
    told = as_json(read_result(folder))["methods"]["scr"]["points"]["10"]["generated"]
    assert told["reliability"]["value"] == 0.0
    assert told["reliability, judged"]["value"] == pytest.approx(1 / 3)
    assert "reliability, judged" in (folder / "report.html").read_text(encoding="utf-8")
    assert "secret" not in (folder / JUDGED_FILE).read_text(encoding="utf-8")
    again = CliRunner().invoke(eval_group, words)
    assert json.loads(again.stdout)["judged"] == 0 and len(Judge.asked) == 2


def test_a_judge_that_is_not_there_or_another_one_is_told_of(folder: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="refuses: 404"):
        judge(folder, remote(address, "unknown"), name="unknown")
    with pytest.raises(ConfigError, match="no judge at http://127.0.0.1:9/v1/chat/completions"):
        judge(folder, remote("http://127.0.0.1:9/v1", "wise", seconds=2), name="wise")
    with pytest.raises(ConfigError, match="begins with http"):
        remote("localhost", "wise")
    with pytest.raises(ConfigError, match="no method 'memit'"):
        judge(folder, lambda text: "CORRECT", name="wise", methods=["memit"])
    assert judge(folder, lambda text: "who knows", name="wise") == {"judged": 3, "unclear": 2}
    with pytest.raises(ConfigError, match="is of the judge 'wise'"):
        judge(folder, lambda text: "CORRECT", name="other")


def test_the_key_follows_no_redirection(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with pytest.raises(ConfigError):
        remote(address, "moved")("Is it?")
    assert [asked["key"] for asked in Judge.asked] == ["Bearer secret", None]


def test_an_address_that_is_none_is_told_of() -> None:
    with pytest.raises(ConfigError, match="no judge at"):
        remote("http://local host:80", "wise")("Is it?")
