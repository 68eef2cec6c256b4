"""The commands that act on a running service, against a real one in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from aios_tui.runtime import discovery
from tests.aios_tui.cli.helpers import ENDLESS, QUICK, Here, call, start
from tests.waiting import PATIENCE_S


def serve(folder: Path, core: str, *more: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a service on a free port and return once it serves."""
    process = start(folder, "serve", "--core", core, "--port", "0", *more, env=env)
    assert process.stderr is not None
    printed = []
    for line in process.stderr:
        printed.append(line)
        if line.startswith("serving at"):
            return process
    raise AssertionError("".join(printed))


@pytest.fixture
def service(cli: Here) -> Iterator[subprocess.Popen[str]]:
    """A service whose tasks never end."""
    process = serve(cli.folder, ENDLESS, "--policy", "npps")
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)


def test_one_queue_is_shared_by_all_commands(cli: Here, service: subprocess.Popen[str]) -> None:
    first = cli("submit", "one", "--client", "cron")
    assert (first.code, first.out) == (0, "1\n")
    assert cli("submit", "two", "three", "--json").tasks()[1]["prompt"] == "three"
    assert cli("priority", "3", "0").out == "task 3 has priority 0\n"
    listed = cli("ps", "--json").tasks()
    assert [(each["id"], each["state"]) for each in listed] == [(1, "running"), (3, "queued"), (2, "queued")]
    assert listed[0]["client"] == "cron"
    shown = cli("ps").out
    assert "running, policy npps, 2 queued, 1 running" in shown
    assert "place 1" in shown
    assert cli("hold", "3", "2", "--json").tasks()[1]["held"] is True
    assert "held" in cli("ps").out
    assert cli("release", "3", "2").out == "task 3 released\ntask 2 released\n"
    refused = cli("hold", "1")
    assert (refused.code, refused.err) == (
        1,
        "aios-tui: task 1 has started; only a queued task can be held or released\n",
    )
    assert cli("cancel", "3", "--reason", "no more").out == "task 3 cancelled\n"
    assert json.loads(cli("pause", "--json").out)["state"] == "paused"
    assert cli("resume").out.startswith("running, policy npps")
    assert cli("policy").out == "npps\n"
    assert cli("policy", "npps:ageing=60").out == "npps:ageing=60\n"
    ended = cli("ps", "--ended", "5", "--json").tasks()[-1]
    assert (ended["id"], ended["state"], ended["error"]) == (3, "cancelled", "no more")


def test_a_mistake_is_one_line(cli: Here, service: subprocess.Popen[str]) -> None:
    assert cli("policy", "nosuch").complaint.startswith("unknown policy 'nosuch'")
    assert cli("submit", "x", "--agent", "stry_teller").complaint.endswith("did you mean story_teller?")
    assert cli("submit", "x", "--model", "gpt").complaint.startswith("unknown model 'gpt'")
    assert cli("submit", "x", "--priority", "12").complaint.startswith("option --priority: 12 is out of range")
    assert cli("priority", "77", "1").complaint == "there is no task 77"
    assert cli("priority", "77", "1").code == 1, "as of cancel"
    refused = cli("cancel", "77")
    assert (refused.code, refused.err) == (1, "aios-tui: there is no task 77\n")
    second = cli("serve", "--port", "0")
    assert second.code == 2
    assert "another" in second.complaint


def test_a_task_that_does_not_exist_has_one_exit_code_everywhere(cli: Here, service: subprocess.Popen[str]) -> None:
    for arguments in (
        ["cancel", "99"],
        ["hold", "99"],
        ["release", "99"],
        ["priority", "99", "5"],
        ["watch", "--task", "99"],
        ["history", "show", "99"],
    ):
        refused = cli(*arguments)
        assert (arguments[0], refused.code, refused.complaint) == (arguments[0], 1, "there is no task 99")
    for arguments in (["runs", "show", "99"], ["models", "show", "x", "--core", "ollama@127.0.0.1:9"]):
        assert cli(*arguments).code == 1


def test_a_service_that_does_not_answer_is_no_refusal(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_TUI_SERVICE", "http://127.0.0.1:9")
    for arguments in (["cancel", "1", "2"], ["priority", "1", "5"], ["ps"]):
        refused = cli(*arguments)
        assert refused.code == 2
        assert "does not answer" in refused.complaint


def test_each_command_reports_that_no_service_runs(cli: Here) -> None:
    for arguments in (
        ["ps"],
        ["submit", "x"],
        ["cancel", "1"],
        ["priority", "1", "2"],
        ["hold", "1"],
        ["release", "1"],
        ["policy"],
        ["pause"],
        ["resume"],
        ["watch"],
    ):
        refused = cli(*arguments)
        assert refused.code == 2
        assert refused.complaint.startswith("no console or service runs on the history")


def test_the_file_of_a_dead_service_is_ignored(cli: Here) -> None:
    cli.db.parent.mkdir(parents=True)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    announced = discovery.Announcement(pid=dead.pid, url="http://127.0.0.1:9")
    discovery.announcement_file(cli.db).write_text(announced.model_dump_json())
    assert cli("ps").complaint.startswith("no console or service runs")
    discovery.announcement_file(cli.db).write_text("{")
    assert cli("ps").complaint.startswith("no console or service runs")


def test_submit_waits_for_results_and_reports_failures(cli: Here) -> None:
    process = serve(cli.folder, QUICK)
    waited = cli("submit", "--wait", "--json", "a", "b")
    assert waited.code == 0
    assert [each["state"] for each in waited.tasks()] == ["done", "done"]
    assert cli("submit", "--wait", "a").out == f"{waited.tasks()[0]['result']}\n"
    many = cli("submit", "-", stdin=b'{"prompt": "p", "priority": 0, "ref": "r1"}\n{"prompt": "q"}\n')
    assert many.out == "4\n5\n"
    process.terminate()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    failing = serve(cli.folder, "scripted:fail=1,ttft=0")
    waited = cli("submit", "--wait", "a")
    assert (waited.code, waited.out) == (1, "")
    assert "failed" in waited.err
    failing.terminate()


def test_watch_follows_until_the_service_stops(cli: Here) -> None:
    process = serve(cli.folder, QUICK)
    watching = start(cli.folder, "watch", "--json", "--past")
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["event"] == "kernel_state_changed"
    assert cli("submit", "--wait", "hello").code == 0
    process.terminate()
    out, err = watching.communicate(timeout=PATIENCE_S)
    kinds = [json.loads(line)["event"] for line in out.splitlines()]
    wanted = ["task_accepted", "task_started", "attempt_started", "attempt_ended", "task_ended"]
    assert [kind for kind in kinds if kind in wanted] == wanted
    assert watching.returncode == 0
    assert "the service has stopped" in err


def test_tasks_of_a_stopped_service_resume_at_the_next_start(cli: Here) -> None:
    first = serve(cli.folder, ENDLESS)
    cli("submit", "left over")
    first.terminate()
    assert first.communicate(timeout=PATIENCE_S)[1].endswith("1 running go back to the queue\n")
    assert first.returncode == 143
    assert not discovery.announcement_file(cli.db).exists()
    assert not discovery.socket_path(cli.db).exists()
    second = serve(cli.folder, QUICK)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(discovery.socket_path(cli.db)))) as http:
        record = http.get("http://localhost/v1/tasks/1", params={"wait": 20}).json()
    assert (record["state"], record["prompt"]) == ("done", "left over")
    second.terminate()


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
def test_only_its_owner_can_reach_the_socket(cli: Here, service: subprocess.Popen[str]) -> None:
    path = discovery.socket_path(cli.db)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert discovery.announcement_file(cli.db).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
def test_a_folder_that_others_can_enter_is_not_used(cli: Here) -> None:
    with tempfile.TemporaryDirectory(prefix="aios-") as runtime:  # short: a socket's path has about 100 characters
        (Path(runtime) / "aios-tui").mkdir()
        (Path(runtime) / "aios-tui").chmod(0o755)
        refused = call(cli.folder, "serve", "--core", QUICK, "--port", "0", env={"XDG_RUNTIME_DIR": runtime})
    assert refused.code == 2
    assert "not a folder for you alone" in refused.complaint


def test_a_service_elsewhere_is_reached_with_its_token(
    cli: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "a-long-enough-secret"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {"AIOS_TUI_TOKEN": secret, "AIOS_TUI_DB": str(elsewhere / "h.sqlite3")}
    process = serve(elsewhere, QUICK, env=env)
    announced = discovery.look_up(elsewhere / "h.sqlite3")
    assert announced is not None
    assert announced.url is not None
    monkeypatch.setenv("AIOS_TUI_SERVICE", announced.url)
    assert "needs its token" in cli("ps").complaint
    monkeypatch.setenv("AIOS_TUI_TOKEN", secret)
    assert cli("submit", "--wait", "x").code == 0
    process.terminate()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--host", "0.0.0.0"], "needs a token"),
        (["--host", "nowhere.invalid"], "needs a token"),
        (["--alias", "x"], "NAME=MODEL"),
        (["--port", "70000"], "--port"),
    ],
)
def test_invalid_service_options_are_refused_in_one_line(cli: Here, arguments: list[str], complaint: str) -> None:
    refused = cli("serve", "--core", QUICK, *arguments)
    assert refused.code == 2
    assert complaint in refused.complaint


def test_a_port_in_use_is_one_line(cli: Here, service: subprocess.Popen[str]) -> None:
    announced = discovery.look_up(cli.db)
    assert announced is not None
    port = (announced.url or "").rpartition(":")[2]
    for arguments in (["serve", "--port", port], ["serve", "--port", port, "--db", str(cli.folder / "other.sqlite3")]):
        refused = cli(*arguments)
        assert refused.code == 2
        assert refused.complaint == f"port {port} on 127.0.0.1 is in use by another program; --port takes another"
