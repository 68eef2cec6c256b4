"""The read side: filters, search that any input is safe for, and files that are not what they should be."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cores.port import ToolCall
from engine.errors import StoreError
from engine.events import TaskAccepted
from engine.task import TaskSpec, TaskState
from persistence import History, SqliteStore
from persistence.rows import to_record
from persistence.search import parse
from tests.persistence.helpers import accepted, attempt, attempt_ended, ended, started
from tests.profiles import examples


async def fill(store: SqliteStore) -> None:
    await store.commit(
        [
            TaskAccepted(10.0, 1, TaskSpec(prompt="The goose of Kettleby", agent="own/tale", client="a")),
            TaskAccepted(20.0, 2, TaskSpec(prompt="A gander, she said", client="b")),
            TaskAccepted(30.0, 3, TaskSpec(prompt="Ein Gänsemarkt")),
        ]
    )
    store.append(started(2))
    store.append(attempt(2))
    store.append(attempt_ended(2))
    await store.commit([ended(2, result="goose goose goose")])


async def ids(history: History, **filters: object) -> list[int]:
    return [record.id for record in await history.list(**filters)]  # type: ignore[arg-type]


async def test_lists_are_filtered_and_ordered(store: SqliteStore) -> None:
    await fill(store)
    async with History(store.path) as history:
        assert await ids(history) == [3, 2, 1]
        assert await ids(history, newest_first=False, limit=2) == [1, 2]
        assert await ids(history, limit=1, offset=1) == [2]
        for none in (0, -1, -(10**30)):
            assert await ids(history, limit=none) == []
            assert await history.search("goose", limit=none) == []
            assert await history.runs(none) == []
        assert await ids(history, state=TaskState.DONE) == [2]
        assert await ids(history, agent="tale") == await ids(history, agent="own/tale") == [1]
        assert await ids(history, client="b") == [2]
        assert await ids(history, since=20.0) == [3, 2]
        assert await ids(history, since=20.0, until=30.0) == [2]
        assert [record.id async for record in history.export()] == [1, 2, 3]
        assert [record.id async for record in history.export(client="a")] == [1]
        assert [await history.show(unknown) for unknown in (0, -1, 9, 10**30)] == [None] * 4
        assert await ids(history, agent="half \udc80 a pair", limit=10**30, offset=10**30) == []
    assert [await store.load(unknown) for unknown in (0, -1, 9, 10**30)] == [None] * 4


async def test_an_export_of_many_pages_gives_each_task_once(store: SqliteStore) -> None:
    await store.commit([accepted(task) for task in range(1, 1002)])
    async with History(store.path) as history:
        assert [record.id async for record in history.export()] == list(range(1, 1002))


async def test_search_wants_all_words_takes_the_last_as_a_beginning_and_ranks(store: SqliteStore) -> None:
    await fill(store)
    async with History(store.path) as history:

        async def found(text: str, limit: int = 9) -> list[int]:
            return [record.id for record in await history.search(text, limit)]

        assert await found("goose") == [2, 1]  # three times is better than once
        assert await found("goose", 1) == [2]
        assert await found("the KETT") == [1]
        assert await found("kett goose") == []  # only the last word may be a beginning
        assert await found("gansem") == [3]
        assert await found("gander, goo") == [2]  # one word in the prompt, one in the result
        assert await found("said zzz") == []


async def test_search_finds_words_of_scripts_without_spaces(store: SqliteStore) -> None:
    await store.commit(
        [accepted(1, "給我講一個關於鵝的故事 goose"), accepted(2, "ガチョウの話をして"), accepted(3, "거위 이야기")]
    )
    async with History(store.path) as history:
        for text, expected in (
            ("關於鵝", [1]),
            ("goo 故事", []),
            ("goose 故事", [1]),
            ("故事 goo", [1]),
            ("話", [2]),
            ("거", [3]),
        ):
            assert [record.id for record in await history.search(text)] == expected


@given(
    text=st.text(max_size=30)
    | st.sampled_from(['"', "a OR b*", "NEAR(a b)", "prompt:goose", "-", "^x", "*", 'x"*', "(", "a\x00b"])
)
@settings(max_examples=examples(150), deadline=None)
def test_any_text_is_a_safe_search(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(prompt, result)")
    search = parse(text)
    if search is not None and search.expression is not None:
        connection.execute("SELECT * FROM words WHERE words MATCH ?", (search.expression,)).fetchall()
    connection.close()


async def test_text_from_the_file_can_not_steer_a_terminal(store: SqliteStore) -> None:
    await store.commit([accepted(1)])
    await store.close()
    connection = sqlite3.connect(store.path)
    connection.execute("UPDATE tasks SET result = 'a\x1b]52;c;eA==\x07b', error = '\u202ex'")
    connection.execute("UPDATE tasks SET core = CAST(x'61ff62' AS TEXT)")
    connection.commit()
    connection.close()
    async with History(store.path) as history:
        (record,) = await history.list()
    assert (record.result, record.error, record.core) == ("a\ufffd]52;c;eA==\ufffdb", "\ufffdx", "a\ufffdb")


def test_a_damaged_row_is_shown_as_far_as_it_can_be() -> None:
    record = to_record(
        {
            "id": 7, "agent_name": b"ch\xffat", "prompt": "x", "priority": 5, "state": "dome", "result": None,
            "rounds": "many", "core": None, "model": None, "submitted_at": 1.0, "started_at": None, "ended_at": None,
            "waiting_s": None, "turnaround_s": None, "service_s": 0.0, "ttft_s": None, "tokens_in": 0, "tokens_out": 0,
            "decode_s": 0.0, "attempts": 0, "error": None, "dispatch_order": None, "client": None, "deadline": None,
            "ref": None, "workload": None, "retry_of": None, "held": 0,
            "fault_kind": None, "fault_model": None, "fault_core": None,
        }
    )  # fmt: skip
    assert (record.id, record.agent, record.state) == (7, "ch\ufffdat", TaskState.FAILED)
    assert record.error == "this record is damaged: rounds, state can't be read"


async def test_what_is_no_history_is_refused_in_one_line(tmp_path: Path) -> None:
    missing, empty, text, other = (tmp_path / name for name in ("missing.db", "empty.db", "text.db", "other.db"))
    empty.touch()
    text.write_text("not a database at all, but long enough to be taken for one\n" * 40)
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    for path, expected in (
        (missing, "^no history at "),
        (empty, r"is empty \(0 bytes\)"),
        (text, "not a history of aios-tui|not a database"),
        (other, "is not a history of aios-tui"),
        (tmp_path, "is not a file"),
    ):
        with pytest.raises(StoreError, match=expected) as raised:
            await History(path).list()
        assert "\n" not in str(raised.value)
        if path != missing:
            with pytest.raises(StoreError):
                await SqliteStore(path).open()
            assert len(await History(path).check()) == 1
    assert not missing.exists()


async def test_a_damaged_file_gives_a_line_and_no_traceback(store: SqliteStore) -> None:
    await store.commit([accepted(task, f"word{task} " * 50) for task in range(1, 200)])
    await store.close()
    data = bytearray(store.path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 24] = b"\xff" * 24
    store.path.write_bytes(data)
    history = History(store.path)
    assert await history.check()
    with pytest.raises(StoreError, match=r"^history \S+ can't be read: "):
        await history.search("word7")
    await history.close()


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_flipped_bytes_never_give_more_than_a_store_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, sound: bytes
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "history.db"
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(100, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    history = History(path)
    for ask in (history.list, history.counts, history.runs, history.acts, history.check):
        try:
            await ask()
        except StoreError as error:
            assert "\n" not in str(error)
    for task in range(1, 4):
        try:
            await history.show(task)
            await history.search("goose")
        except StoreError as error:
            assert "\n" not in str(error)
    await history.close()
    store = SqliteStore(path)
    try:
        await store.open()
        await store.recover(max_interruptions=3)
        await store.load(1)
    except StoreError as error:
        assert "\n" not in str(error)
    finally:
        with contextlib.suppress(StoreError):
            await store.close()


@pytest.fixture(scope="module")
async def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    store = SqliteStore(tmp_path_factory.mktemp("sound") / "history.db")
    await store.open()
    await fill(store)
    await store.close()
    return store.path.read_bytes()


async def test_a_history_can_be_read_with_and_without_its_write_ahead_log(store: SqliteStore) -> None:
    await fill(store)
    async with History(store.path) as history:
        assert len(await history.list()) == 3
    await store.close()
    for left in store.path.parent.glob("history.db-*"):
        left.unlink()
    async with History(store.path) as history:
        assert len(await history.list()) == 3


async def test_a_history_can_be_read_where_no_file_may_be_made_beside_it(store: SqliteStore) -> None:
    await fill(store)
    await store.close()
    for left in store.path.parent.glob("history.db-*"):
        left.unlink()
    blocked = store.path.with_name("history.db-shm")
    blocked.mkdir()  # root may write everywhere, but not this file
    async with History(store.path) as history:
        assert len(await history.list()) == 3
        assert (await history.counts())[TaskState.DONE] == 1
    blocked.rmdir()


async def test_the_search_index_is_checked(store: SqliteStore) -> None:
    await fill(store)
    await store.close()
    connection = sqlite3.connect(store.path)
    connection.execute("UPDATE tasks SET prompt = 'behind its back' WHERE id = 1")
    connection.commit()
    connection.close()
    async with History(store.path) as history:
        assert any("search index" in line for line in await history.check())


async def test_tool_calls_come_back_with_their_attempt(store: SqliteStore) -> None:
    calls = (ToolCall("look_up", {"city": "Čáslav", "days": 2}, "c1"), ToolCall("bell", {"\x1b": "a\x07b\udc80"}))
    store.append(accepted(1))
    store.append(started(1))
    store.append(attempt(1))
    await store.commit([replace(attempt_ended(1), tool_calls=calls), ended(1)])
    async with History(store.path) as history:
        detail = await history.show(1)
    assert detail is not None
    first, second = detail.attempts[0].tool_calls
    assert (first.name, first.arguments, first.id) == ("look_up", {"city": "Čáslav", "days": 2}, "c1")
    assert (second.name, second.arguments, second.id) == ("bell", {"\ufffd": "a\ufffdb\ufffd"}, "")


async def test_a_damaged_record_of_tool_calls_is_told(store: SqliteStore) -> None:
    await fill(store)
    connection = sqlite3.connect(store.path)
    with contextlib.closing(connection), connection:
        connection.execute("UPDATE attempts SET tool_calls = '[{'")
    async with History(store.path) as history:
        detail = await history.show(2)
    assert detail is not None
    assert detail.attempts[0].tool_calls == ()
    assert "tool_calls" in (detail.attempts[0].error or "")
