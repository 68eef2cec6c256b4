"""Several processes and one history: a single owner, readers beside it, and kills that lose nothing acknowledged."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.task import AttemptState, TaskState
from persistence import History, SqliteStore
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def child(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.persistence.child", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()
            process.communicate()


def read_lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(count)]


async def test_a_second_owner_is_told_who_has_it_and_a_killed_owner_has_no_more(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    store = SqliteStore(path)
    with child(path) as process:
        expected = rf"history \S+history\.db is in use by process {process.pid} \(console\); use --db for another"
        with pytest.raises(StoreError, match=expected):
            await store.open()
        link = tmp_path / "link.db"
        link.symlink_to(path)
        with pytest.raises(StoreError, match="is in use"):
            await SqliteStore(link).open()
    await store.open()
    with pytest.raises(StoreError, match="is in use by process"):
        await SqliteStore(path).open()  # also within one process
    await store.close()


async def test_a_reader_sees_a_whole_history_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with child(path) as process:
        seen = 0
        async with History(path) as history:
            for _ in range(20):
                acknowledged = {int(line.split()[1]) for line in read_lines(process, 8) if line.startswith("ended")}
                counts = await history.counts()
                assert counts[TaskState.DONE] >= seen
                seen = counts[TaskState.DONE]
                assert acknowledged <= {record.id for record in await history.list(limit=None, state=TaskState.DONE)}
            detail = await history.show(1)
            assert detail is not None
            assert [each.state for each in detail.attempts] == [AttemptState.DONE]
            assert await history.check() == []
            assert await history.search("result 1")


async def test_kills_in_the_middle_of_commits_lose_nothing_acknowledged_and_end_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    accepted: set[int] = set()
    ended: set[int] = set()
    dice = random.Random(1)
    for _ in range(10):
        with child(path) as process:
            lines = read_lines(process, dice.randint(1, 120))
            process.kill()
            lines += (process.stdout.read() if process.stdout else "").splitlines()
            for line in lines:
                kind, _, task = line.strip().partition(" ")
                if task.isdigit():
                    # An id that was given before must not have been acknowledged before.
                    assert int(task) not in (accepted if kind == "accepted" else ended)
                    (accepted if kind == "accepted" else ended).add(int(task))
        async with History(path) as history:
            records = {record.id: record async for record in history.export()}
            assert accepted <= records.keys()
            assert all(records[task].state is TaskState.DONE for task in ended)
            assert all(record.result == f"result {record.id}" for record in records.values() if record.result)
    assert len(ended) > 50
    store = SqliteStore(path)
    await store.open()
    found = await store.recover(max_interruptions=1_000)
    await store.close()
    async with History(path) as history:
        assert await history.check() == []
        done = {record.id async for record in history.export(state=TaskState.DONE)}
        assert {task.id for task in found.queued} == {record.id async for record in history.export()} - done
        runs = await history.runs()
        assert len(runs) == 11
        assert [run.ended_at is None for run in runs] == [False] + [True] * 10


async def test_the_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "deep"
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    shared.chmod(0o755)
    for path in (folder / "history.db", shared / "history.db"):
        store = SqliteStore(path)
        await store.open()
        await store.commit([])
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == ["history.db", "history.db-shm", "history.db-wal", "history.db.lock"]
        assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
        await store.close()
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert oct(folder.parent.stat().st_mode & 0o777) == "0o700"
    assert oct(shared.stat().st_mode & 0o777) == "0o755"  # not ours


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a thing of Unix")
async def test_a_write_that_the_system_refuses_is_made_good_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    command = [sys.executable, "-m", "tests.persistence.limited", str(path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    happened = json.loads(ran.stdout)
    assert "can't be written: the disk" in happened["refused"]
    assert happened["waited"]
    assert len(happened["reported"]) == 2
    assert happened["reported"][1] is None
    async with History(path) as history:
        assert [(record.id, record.state) for record in await history.list()] == [
            (3, TaskState.QUEUED),
            (1, TaskState.DONE),
        ]
        assert await history.check() == []
