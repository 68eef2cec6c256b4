"""Workload files: what is written is read back, what is damaged is refused with file, line and reason."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.task import GenerationOptions
from engine.workloads.format import MAX_LINE_BYTES, ControlRow, Defaults, Item, TaskRow, WorkloadHeader
from engine.workloads.reader import WorkloadReader, in_order, load
from engine.workloads.writer import WorkloadWriter, save

zstandard: Any = importlib.import_module("zstandard") if importlib.util.find_spec("zstandard") else None
with_zstd = pytest.mark.skipif(zstandard is None, reason="zstandard is optional, and not installed")
ZSTD_NAME = pytest.param("w.jsonl.zst", marks=with_zstd)

HEADER = '{"kind": "workload", "version": 1, "seed": 7, "defaults": {}, "origin": {"what": "by hand"}}\n'
TASK = '{"kind": "task", "id": "t1", "at": 0.0, "agent": "chat", "prompt": "hello", "priority": 3, "model": null}\n'

names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")), min_size=1, max_size=20
)
task_rows = st.builds(
    TaskRow,
    id=names,
    at=st.floats(0, 1e9),
    agent=st.none() | names,
    prompt=names,
    priority=st.none() | st.integers(0, 9),
    model=st.none() | names,
    client=st.none() | names,
    deadline=st.none() | st.floats(0.001, 1e9),
    options=st.none() | st.builds(GenerationOptions, max_tokens=st.integers(1, 9), temperature=st.floats(0, 2)),
    input_tokens=st.none() | st.integers(0, 10**6),
    output_tokens=st.none() | st.integers(0, 10**6),
    service=st.none() | st.floats(0, 1e6),
)
items_ = st.lists(
    task_rows | st.builds(ControlRow, at=st.floats(0, 1e9), policy=st.sampled_from(["fifo", "npps"])), max_size=8
)


def _write(folder: Path, text: str | bytes, name: str = "w.jsonl") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _read(path: Path) -> list[Item]:
    with WorkloadReader(path) as reader:
        return list(reader)


@pytest.mark.parametrize("name", ["w.jsonl", "w.jsonl.gz", ZSTD_NAME])
@given(items=items_)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, name: str, items: list[Item]) -> None:
    path = tmp_path_factory.mktemp("w") / name
    header = WorkloadHeader(seed=3, defaults=Defaults(priority=2, agent="chat")).noting(what="drawn", n=3)
    assert save(path, header, items) == sum(isinstance(item, TaskRow) for item in items)
    with WorkloadReader(path) as reader:
        assert (reader.header, list(reader), reader.complete) == (header, items, True)
    assert [p.name for p in path.parent.iterdir()] == [name], "nothing is left beside it"


def test_compressed_files_are_known_by_their_content(tmp_path: Path) -> None:
    plain = (HEADER + TASK).encode()
    expected = _read(_write(tmp_path, plain))
    assert _read(_write(tmp_path, gzip.compress(plain), "a.jsonl")) == expected
    if zstandard is not None:
        assert _read(_write(tmp_path, zstandard.compress(plain), "b.jsonl")) == expected


def test_zstd_without_its_package_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path, b"\x28\xb5\x2f\xfd and the rest")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(UsageError, match="needs the package zstandard"):
        _read(path)


def test_the_same_workload_is_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"]
    for path in files:
        save(path, WorkloadHeader(seed=1), [TaskRow(id="t1", prompt="x")])
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_file_by_hand_needs_no_end_and_no_ids(tmp_path: Path) -> None:
    path = _write(tmp_path, HEADER + '\n{"kind": "task", "prompt": "a"}\n{"kind": "task", "at": 2, "prompt": "b"}')
    with WorkloadReader(path) as reader:
        assert [(item.id, item.at) for item in reader if isinstance(item, TaskRow)] == [("t1", 0.0), ("t2", 2.0)]
        assert not reader.complete


REFUSED: list[tuple[str, int, str]] = [
    ("", 0, "empty"),
    ("\n\n", 0, "empty"),
    (TASK, 1, "starts with its header"),
    ("hello\n", 1, "not JSON"),
    ("[1]\n", 1, "not an object with a kind"),
    ('{"version": 1}\n', 1, "not an object with a kind"),
    (HEADER.replace("1,", "2,", 1), 1, "version 2 is unknown"),
    (HEADER.replace('"seed"', '"sede"'), 1, "sede: no such field"),
    (HEADER + HEADER, 2, "a second header"),
    (HEADER + TASK + '{"kind": "tusk", "at": 0}\n', 3, "unknown kind 'tusk'"),
    (HEADER + TASK.replace("hello", " "), 2, "a task has a prompt, input_tokens, query or service"),
    (HEADER + TASK.replace("3", "10"), 2, "priority: 10 is out of range: it has to be at most 9"),
    (HEADER + TASK.replace("0.0", "-1"), 2, "at: "),
    (HEADER + TASK.replace("0.0", "NaN"), 2, "at: "),
    (HEADER + TASK.replace("0.0", "1e300"), 2, "at: "),
    (HEADER + TASK.replace('"model"', '"modle"'), 2, "modle: no such field"),
    (HEADER + TASK[:40], 2, "not JSON"),
    (HEADER + '{"kind": "control", "at": 1, "op": "policy", "policy": "newest"}\n', 2, "unknown policy 'newest'"),
    (HEADER + '{"kind": "control", "at": 1, "op": "pause", "policy": "fifo"}\n', 2, "op 'pause' takes no policy"),
    (HEADER + '{"kind": "control", "at": 1, "op": "cancel"}\n', 2, "op 'cancel' needs task"),
    (HEADER + '{"kind": "control", "at": 1, "op": "stop"}\n', 2, "op: "),
    (HEADER + TASK.replace("hello", "x" * MAX_LINE_BYTES), 2, "longer than 1,048,576 bytes"),
    (HEADER + "\udcff\n", 2, "not JSON"),
]


@pytest.mark.parametrize(("text", "line", "expected"), REFUSED)
def test_what_is_refused_names_file_line_and_reason(tmp_path: Path, text: str, line: int, expected: str) -> None:
    path = _write(tmp_path, text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError) as caught:
        _read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}: " if line else f"{path}: ")
    assert expected in message
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))


def _drop_line(lines: list[bytes]) -> list[bytes]:
    return [*lines[:1], *lines[2:]]


def _change_line(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b'"at":0.0', b'"at":9.0'), *lines[2:]]


def _append(lines: list[bytes]) -> list[bytes]:
    return [*lines, TASK.encode()]


@pytest.mark.parametrize(
    ("damage", "line", "expected"),
    [
        (_drop_line, 3, "counts 2 tasks, but there are 1"),
        (_change_line, 4, "the checksum of the end record does not match"),
        (_append, 5, "lines after the end record"),
    ],
)
def test_a_damaged_file_is_found_out_by_its_end(
    tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]], line: int, expected: str
) -> None:
    path = tmp_path / "w.jsonl"
    save(path, WorkloadHeader(), [TaskRow(id="a", prompt="x"), TaskRow(id="b", at=1.0, prompt="y")])
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(UsageError, match=f"line {line}: .*{expected}"):
        load(path)


@pytest.mark.parametrize("name", ["w.jsonl.gz", ZSTD_NAME])
def test_a_cut_off_compressed_file_is_refused_or_known_incomplete(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save(path, WorkloadHeader(), [TaskRow(id=f"t{i}", prompt=f"{i * 7919}") for i in range(2000)])
    whole = path.read_bytes()
    for kept in (0.2, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(len(whole) * kept)])
        try:
            with WorkloadReader(path) as reader:
                list(reader)
                assert not reader.complete
        except UsageError as error:
            assert str(path) in str(error)


def test_a_file_that_is_not_there_or_a_folder_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(UsageError, match=str(path)):
            load(path)
    with pytest.raises(UsageError, match="none"):
        save(tmp_path / "none" / "w.jsonl", WorkloadHeader(), [])


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = _write(tmp_path, "old")

    def items() -> Any:
        yield TaskRow(id="t1", prompt="x")
        raise UsageError("the source is bad")

    with pytest.raises(UsageError, match="the source is bad"):
        save(path, WorkloadHeader(), items())
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["w.jsonl"]


def test_a_recording_that_was_not_finished_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    with path.open("wb") as out:
        writer = WorkloadWriter(out, WorkloadHeader())
        writer.write(TaskRow(id="t1", prompt="x"))
        writer.write(ControlRow(at=1.0, policy="NPPS:ageing=60"))
    assert _read(path) == [TaskRow(id="t1", prompt="x"), ControlRow(at=1.0, policy="npps:ageing=60")]


def test_a_line_too_long_to_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at most 1,048,576"):
        save(tmp_path / "w.jsonl", WorkloadHeader(), [TaskRow(id="t1", prompt="x" * MAX_LINE_BYTES)])
    assert list(tmp_path.iterdir()) == []


def test_load_sorts_by_time_and_keeps_ties_in_order(tmp_path: Path) -> None:
    rows = [("a", 2.0), ("b", 1.0), ("c", 2.0), ("d", 1.0)]
    path = tmp_path / "w.jsonl"
    save(path, WorkloadHeader(), [TaskRow(id=name, at=at, prompt="x") for name, at in rows])
    assert [row.id for row in load(path).tasks] == ["b", "d", "a", "c"]
    with WorkloadReader(path) as reader, pytest.raises(UsageError, match="line 3: at 1 comes after 2"):
        list(in_order(reader))


def test_control_characters_in_a_file_are_replaced(tmp_path: Path) -> None:
    row = {"kind": "task", "id": "a\x1b[2J", "prompt": "b\x1b]0;t\x07", "client": "c\u202e"}
    (item,) = _read(_write(tmp_path, HEADER + json.dumps(row)))
    assert isinstance(item, TaskRow)
    assert (item.id, item.prompt, item.client) == ("a\ufffd[2J", "b\ufffd]0;t\ufffd", "c\ufffd")


def test_a_row_becomes_the_task_it_means() -> None:
    defaults = Defaults(agent="translate", priority=0, client="ada", options=GenerationOptions(max_tokens=5, seed=1))
    row = TaskRow(id="t9", prompt="x", model="m", options=GenerationOptions(seed=2))
    spec = row.spec(defaults, "w.jsonl")
    assert (spec.agent, spec.priority, spec.client, spec.model) == ("translate", 0, "ada", "m")
    assert (spec.ref, spec.workload, spec.options) == ("t9", "w.jsonl", GenerationOptions(max_tokens=5, seed=2))
    bare = TaskRow(input_tokens=374, output_tokens=44).spec(Defaults())
    assert (bare.prompt, bare.input_tokens, bare.output_tokens, bare.priority, bare.agent) == ("", 374, 44, 5, "chat")


def test_a_long_file_is_read_without_being_held(tmp_path: Path) -> None:
    """The reader is lazy: a bad line far down does not stop what is before it from being taken."""
    path = _write(tmp_path, HEADER + TASK * 5000 + "rubbish\n")
    with WorkloadReader(path) as reader:
        taken = 0
        with pytest.raises(UsageError, match="line 5002"):
            for _ in reader:
                taken += 1
    assert taken == 5000
