"""Damaged and hostile files: whatever the bytes, the answer is a workload or one clear line, never another error."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.workloads.format import ControlRow, Item, TaskRow, WorkloadHeader
from engine.workloads.importers import FORMATS, open_import
from engine.workloads.reader import WorkloadReader
from engine.workloads.writer import save
from tests.profiles import examples

AZURE = b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.99,396,109\n"
MOONCAKE = b"""{"timestamp": 0, "input_length": 401, "output_length": 6}
{"timestamp": 40, "input_length": 9, "output_length": 3}
"""

MANY = 200

edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=6)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def whole(folder: Path) -> bytes:
    path = folder / "whole.jsonl"
    items: list[Item] = [
        TaskRow(id="a", prompt="x", priority=3),
        ControlRow(at=1.0, policy="npps"),
        TaskRow(at=2.0, input_tokens=5),
    ]
    save(path, WorkloadHeader(seed=1).noting(what="fuzz"), items)
    return path.read_bytes()


def _damaged(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for place, cut, inserted in changes:
        at = int(place * len(data))
        data = data[:at] + inserted + data[at + cut :]
    return data


def _one_line(error: UsageError, path: Path) -> None:
    assert str(path) in str(error)
    assert "\n" not in str(error)


@settings(max_examples=examples(MANY), deadline=None)
@given(changes=edits, compressed=st.booleans())
def test_a_damaged_workload_is_read_or_refused(
    folder: Path, whole: bytes, changes: list[tuple[float, int, bytes]], compressed: bool
) -> None:
    path = folder / "damaged.jsonl"
    path.write_bytes(_damaged(gzip.compress(whole, mtime=0) if compressed else whole, changes))
    try:
        with WorkloadReader(path) as reader:
            items = list(reader)
    except UsageError as error:
        _one_line(error, path)
    else:
        # An end record that fits proves the bytes before it, header included.
        assert not reader.complete or (len(items) == 3 and reader.header.seed == 1)


@settings(max_examples=examples(MANY), deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.builds(_damaged, st.sampled_from([AZURE, MOONCAKE]), edits),
    ),
    format=st.sampled_from(["auto", *FORMATS]),
)
@example(data=b"\x1f\x8b", format="auto")
@example(data=b"\x28\xb5\x2f\xfd", format="auto")
@example(data=b'{"timestamp": 1e400, "input_length": 1, "output_length": 1}', format="mooncake")
@example(data=b'{"timestamp": "1_0", "input_length": 1, "output_length": 1}', format="mooncake")
@example(data=b"\x00", format="azure")
@example(data=b"a\rb,c", format="auto")
@example(data=b'"', format="auto")
@example(data=AZURE + b"2023-11-16 18:15:50,1" + b"0" * 5000 + b",1\n", format="azure")
def test_anything_is_imported_or_refused(folder: Path, data: bytes, format: str) -> None:
    path = folder / "foreign"
    path.write_bytes(data)
    try:
        with open_import(path, format) as imported:
            for row in imported.items:
                assert row.at >= 0
    except UsageError as error:
        _one_line(error, path)
