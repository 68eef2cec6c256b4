"""Importers: real rows of each format, what is drawn for them, and what is refused."""

from __future__ import annotations

import gzip
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.workloads.assignment import Assignment, parse_weights
from engine.workloads.format import TaskRow
from engine.workloads.importers import FORMATS, detect, open_import
from engine.workloads.reader import load
from engine.workloads.writer import save

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2224670,879,55
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-11 00:00:00.017335+00:00,2399,6
"""
MOONCAKE = """{"timestamp": 0, "input_length": 40160, "output_length": 6, "hash_ids": [0, 1, 2]}
{"timestamp": 40, "input_length": 23769, "output_length": 3, "hash_ids": [3]}
"""
BURSTGPT = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,1c4a,2.25,ChatGPT,472,18,490,Conversation log
45.5,,0,GPT-4,1087,0,1087,API log
"""
BURSTGPT_OLD = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,GPT-4,472,18,490,API log\n"
JSONL = """{"prompt": "one", "priority": 0, "ref": "first"}
{"prompt": "two, \\"quoted\\"", "agent": "story_teller", "at": 4.5, "options": {"max_tokens": 9}, "workload": "old"}
"""
TEXT = "one, two\n\n  three  \n"


def _write(folder: Path, text: str, name: str = "trace") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _rows(path: Path, format: str = "auto", **options: object) -> list[TaskRow]:
    with open_import(path, format, **options) as imported:  # type: ignore[arg-type]
        return list(imported.items)


@pytest.mark.parametrize(
    ("text", "name", "rows"),
    [
        (AZURE, "azure", [(0.0, 374, 44), (4.314579, 396, 109), (4.541877, 879, 55)]),
        (AZURE_2024, "azure", [(0.0, 2162, 5), (86400.007405, 2399, 6)]),
        (MOONCAKE, "mooncake", [(0.0, 40160, 6), (0.04, 23769, 3)]),
        (BURSTGPT, "burstgpt", [(0.0, 472, 18), (40.5, 1087, 0)]),
        (BURSTGPT_OLD, "burstgpt", [(0.0, 472, 18)]),
    ],
)
def test_traces(tmp_path: Path, text: str, name: str, rows: list[tuple[float, int, int]]) -> None:
    path = _write(tmp_path, text)
    assert detect(path) == name
    for asked in ("auto", name):
        assert [(row.at, row.input_tokens, row.output_tokens) for row in _rows(path, asked)] == rows
    with open_import(path) as imported:
        assert imported.header.origin["what"] == FORMATS[name].title
        assert "from seed 0" in str(imported.header.origin["assigned"])
        assert all(row.prompt is None and row.priority is not None for row in imported.items)


def test_burstgpt_says_its_model_and_session(tmp_path: Path) -> None:
    rows = _rows(_write(tmp_path, BURSTGPT), assignment=Assignment(clients=()))
    assert [(row.model, row.client) for row in rows] == [("ChatGPT", "session 1c4a"), ("GPT-4", None)]


def test_prompts_as_text(tmp_path: Path) -> None:
    path = _write(tmp_path, TEXT)
    assert detect(path) == "text"
    assert [(row.prompt, row.at, row.priority) for row in _rows(path)] == [("one, two", 0, None), ("three", 0, None)]
    assert [row.at for row in _rows(path, interval=2.5)] == [0, 2.5]
    assert all(row.priority is not None for row in _rows(path, assignment=Assignment()))


def test_prompts_as_jsonl(tmp_path: Path) -> None:
    path = _write(tmp_path, JSONL)
    assert detect(path) == "jsonl"
    one, two = _rows(path, interval=1.0, assignment=Assignment(seed=1, priorities=(("9", 1.0),)))
    assert (one.id, one.prompt, one.priority, one.at) == ("first", "one", 0, 0.0)
    assert (two.id, two.prompt, two.priority, two.at, two.agent) == ("t2", 'two, "quoted"', 9, 4.5, "story_teller")
    assert two.options is not None
    assert two.options.max_tokens == 9


def test_compressed_traces_and_what_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(AZURE.encode()))
    with open_import(path) as imported:
        assert save(tmp_path / "w.jsonl", imported.header, imported.items) == 3
    assert [row.id for row in load(tmp_path / "w.jsonl").tasks] == ["t1", "t2", "t3"]


@pytest.mark.parametrize(
    ("text", "format", "line", "expected"),
    [
        ("", "auto", 0, "empty"),
        ('{"kind": "workload", "version": 1}\n', "auto", 0, "a workload already"),
        (TEXT, "azure", 1, "no column 'TIMESTAMP'"),
        (AZURE + "2023-11-16 18:15:52,1\n", "auto", 5, "2 columns, where the header has 3"),
        (AZURE + "yesterday,1,2\n", "auto", 5, "TIMESTAMP 'yesterday'"),
        (AZURE + "2023-13-16 18:15:52,1,2\n", "auto", 5, "TIMESTAMP '2023-13"),
        (AZURE + "2023-11-16 18:15:52,-1,2\n", "auto", 5, "ContextTokens '-1'"),
        (AZURE + "2023-11-16 18:15:52,1,2.5\n", "auto", 5, "GeneratedTokens '2.5'"),
        (AZURE + "2023-11-15 18:15:52,1,2\n", "auto", 5, "earlier than the first row"),
        (AZURE + "2023-11-16 18:15:52,99999999999,2\n", "auto", 5, "input_tokens: "),
        (AZURE + '2023-11-16 18:15:52,"1,2\n', "auto", 5, "not CSV"),
        (MOONCAKE + '{"timestamp": 50, "input_length": 1}\n', "auto", 3, "no field output_length"),
        (MOONCAKE + '{"timestamp": NaN, "input_length": 1, "output_length": 1}\n', "auto", 3, "timestamp 'nan'"),
        (MOONCAKE + '{"timestamp": true, "input_length": 1, "output_length": 1}\n', "auto", 3, "is not a number"),
        (MOONCAKE + "[]\n", "auto", 3, "not a JSON object"),
        (MOONCAKE + '{"a":' * 100_000 + "\n", "auto", 3, "not JSON"),
        (BURSTGPT + "x,,,m,1,2,3,l\n", "auto", 4, "Timestamp 'x'"),
        (JSONL + '{"prompt": ""}\n', "auto", 3, "a task has a prompt"),
        (JSONL + '{"prompt": "x", "prioritee": 1}\n', "auto", 3, "prioritee: no such field"),
        (JSONL + '{"prompt": "x", "priority": 11}\n', "auto", 3, "priority: "),
        (TEXT, "xml", -1, "unknown format 'xml'"),
    ],
)
def test_what_is_refused_names_file_line_and_reason(
    tmp_path: Path, text: str, format: str, line: int, expected: str
) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        _rows(path, format)
    message = str(caught.value)
    assert expected in message
    assert message.startswith(f"{path}, line {line}: " if line > 0 else f"{path}: " if line == 0 else "unknown")
    assert len(message) < 400 + len(str(path))


def test_a_refused_import_leaves_no_file(tmp_path: Path) -> None:
    path = _write(tmp_path, AZURE + "yesterday,1,2\n")
    with pytest.raises(UsageError), open_import(path) as imported:
        save(tmp_path / "w.jsonl", imported.header, imported.items)
    assert [p.name for p in tmp_path.iterdir()] == ["trace"]


def test_what_is_drawn_follows_the_weights_and_the_seed() -> None:
    n = 20_000
    drawn = [tuple(fields.values()) for fields in islice(Assignment(seed=4).draws(), n)]
    assert drawn == [tuple(fields.values()) for fields in islice(Assignment(seed=4).draws(), n)]
    assert drawn != [tuple(fields.values()) for fields in islice(Assignment(seed=5).draws(), n)]
    for place, weights in enumerate((Assignment().priorities, Assignment().agents, Assignment().clients)):
        counts = Counter(str(fields[place]) for fields in drawn)
        assert {name: counts[name] / n for name, _ in weights} == pytest.approx(dict(weights), abs=0.015)


def test_other_weights_for_one_field_leave_the_others_alone() -> None:
    one = islice(Assignment(seed=4).draws(), 500)
    other = islice(Assignment(seed=4, priorities=(("3", 1.0),), agents=()).draws(), 500)
    assert [fields["client"] for fields in one] == [fields["client"] for fields in other]


def test_weights_as_text() -> None:
    assert parse_weights("1:0.2, 5:3,8", "priorities") == (("1", 0.2), ("5", 3.0), ("8", 1.0))
    assert parse_weights("a/b:2", "agents") == (("a/b", 2.0),)
    for bad in ("", "1:x", "1:-1", "1:0", "1:inf", "1,1", ":2"):
        with pytest.raises(UsageError, match="NAME:WEIGHT"):
            parse_weights(bad, "agents")
    with pytest.raises(UsageError, match="0 … 9"):
        parse_weights("10:1", "priorities")
