"""Standard streams that are closed or full, or whose reader has gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.aios_tui.cli.helpers import ENDLESS, QUICK, Here, Result, start
from tests.waiting import PATIENCE_S

FULL = Path("/dev/full")
no_full_device = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
no_shell = pytest.mark.skipif(sys.platform == "win32", reason="closes streams by the shell's redirections")


def redirected(folder: Path, how: str, *arguments: str) -> Result:
    """Run the program with its streams as a shell's redirections `how` have them."""
    words = ["sh", "-c", f'exec "$@" {how}', "sh", sys.executable, "-m", "aios_tui", *arguments]
    process = start(folder, *arguments, args=words)
    out, err = process.communicate(timeout=PATIENCE_S)
    return Result(process.returncode, out, err)


@no_full_device
def test_a_full_disk_behind_stdout_is_one_line_and_the_rest_stays_queued(tmp_path: Path) -> None:
    slow = "scripted:ttft=0,tps=40,tokens=4"
    found = redirected(tmp_path, ">/dev/full", "run", "--core", slow, "a", "b", "c")
    assert found.code == 1
    assert found.complaint == "standard output can't be written: No space left on device"
    assert "stopped: 1 done, 2 stay queued; resume with `aios-tui run --resume`" in found.err
    rest = redirected(tmp_path, "", "run", "--resume", "--core", QUICK, "--json").tasks()
    assert [task["prompt"] for task in rest] == ["b", "c"]
    listed = redirected(tmp_path, ">/dev/full", "history", "list")
    assert (listed.code, listed.complaint) == (1, "standard output can't be written: No space left on device")


@no_full_device
def test_a_full_disk_behind_stderr_changes_nothing(tmp_path: Path) -> None:
    found = redirected(tmp_path, "2>/dev/full", "run", "--core", QUICK, "a")
    assert (found.code, len(found.out.split())) == (0, 4)
    assert redirected(tmp_path, "2>/dev/full", "run").code == 2


@no_shell
@pytest.mark.parametrize("command", ["run", "submit"])
def test_reading_tasks_from_a_closed_stdin(tmp_path: Path, command: str) -> None:
    found = redirected(tmp_path, "<&-", command, "--core", QUICK, "-")
    assert (found.code, found.complaint) == (2, "standard input is closed")


@no_shell
def test_closed_streams_are_no_reason_to_fail(tmp_path: Path) -> None:
    assert redirected(tmp_path, ">&- 2>&-", "run", "--core", QUICK, "a").code == 0
    assert redirected(tmp_path, "2>&-", "run", "--core", QUICK, "--json", "b").tasks()[0]["prompt"] == "b"
    assert "needs a terminal" in redirected(tmp_path, "<&-").complaint
    tasks = redirected(tmp_path, "<&-", "history", "list", "--json").tasks()
    assert [task["state"] for task in tasks] == ["done", "done"]


def test_a_reader_that_leaves_ends_the_run_with_a_count_of_queued_tasks(tmp_path: Path) -> None:
    process = start(tmp_path, "run", "--core", "scripted:ttft=0,tps=40,tokens=4", "--json", *"abcdef")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(PATIENCE_S) == 141
    (line,) = [line for line in err.splitlines() if line.startswith("the reader of stdout has closed it: ")]
    assert line.endswith("queued; resume with `aios-tui run --resume`")


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("history", "list, search, show, export or metrics"),
        ("workload", "import, generate, show, cut, scale, merge or samples"),
    ],
)
def test_a_group_by_itself_is_a_mistake_that_lists_its_subcommands(cli: Here, group: str, names: str) -> None:
    found = cli(group)
    assert (found.code, found.out) == (2, "")
    assert f"aios-tui {group} needs a subcommand: {names}; see" in found.complaint


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody can make files")
def test_a_history_where_no_file_can_be_made(cli: Here) -> None:
    found = cli("run", "--core", QUICK, "--db", "/proc/x.db", "hi")
    assert found.code == 2
    assert found.complaint == "history /proc/x.db can't be opened: no file can be made there: /proc"


def test_a_history_in_use_is_reported_as_that(tmp_path: Path) -> None:
    owner = start(tmp_path, "run", "--core", ENDLESS, "a", stderr=subprocess.PIPE)
    assert owner.stderr is not None
    while "accepted" not in owner.stderr.readline():
        assert owner.poll() is None
    found = redirected(tmp_path, "", "run", "--core", QUICK, "b")
    assert found.code == 2
    assert f"is in use by process {owner.pid}" in found.complaint
