"""The console that serves AIOS clients too, in a real terminal: their tasks show in its queue, and obey its keys."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import httpx
import pytest

from aios_tui.runtime import discovery
from tests.e2e.terminal import Terminal
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform == "win32", reason="needs a pty")]


def test_a_clients_tasks_are_seen_and_cancelled_in_the_console(tmp_path: Path) -> None:
    db = tmp_path / "h.sqlite3"
    with Terminal("--core", "scripted:ttft=3600", "--db", str(db), "--listen", "0", home=tmp_path) as console:
        console.until("clients are served at http://127.0.0.1:")
        address = discovery.look_up(db)
        assert address is not None
        assert address.url is not None
        answers: list[httpx.Response] = []
        with httpx.Client(base_url=address.url, timeout=PATIENCE_S, headers={"x-client": "test client"}) as http:
            first = http.post("/agents/submit", json={"agent_id": "chat", "agent_config": {"task": "runs for ever"}})
            number = first.json()["execution_id"]
            http.post("/agents/submit", json={"agent_id": "chat", "agent_config": {"task": "waits its turn"}})
            poll = threading.Thread(target=lambda: answers.append(http.get(f"/agents/{number}/status?wait=60")))
            poll.start()
            console.until("waits its turn")
            assert "1 running" in console.text
            console.press("2", "x")
            poll.join(PATIENCE_S)
        assert answers[0].json()["status"] == "cancelled"
        assert "by the operator" in answers[0].text
        assert "Traceback" not in console.text
        console.press("q")
        console.until("quit now")
        console.press("q")
        assert console.ended() == 0
    assert discovery.look_up(db) is None
