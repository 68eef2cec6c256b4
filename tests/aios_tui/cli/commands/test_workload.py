"""`aios-tui workload`: from a trace to a file that is replayed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from engine.workloads.reader import load
from tests.aios_tui.cli.helpers import Here

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2224670,879,55
"""
BURST = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,7,1.5,GPT-4,472,18,490,Conversation log
45,,2.0,ChatGPT,1087,230,1317,API log
"""
MOONCAKE = """{"timestamp": 0, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
{"timestamp": 3052, "input_length": 6472, "output_length": 26, "hash_ids": [46]}
"""


def imported(cli: Here, text: str, *more: str) -> list[dict[str, Any]]:
    (cli.folder / "trace").write_text(text)
    done = cli("workload", "import", "trace", "-o", "w.jsonl", "--force", *more)
    assert done.code == 0, done.err
    return [row.model_dump(exclude_none=True, exclude={"kind"}) for row in load(cli.folder / "w.jsonl").tasks]


@pytest.mark.parametrize(
    ("text", "at", "read", "written"),
    [
        (AZURE, [0, 4.314579, 4.541877], [374, 396, 879], [44, 109, 55]),
        (BURST, [0, 40], [472, 1087], [18, 230]),
        (MOONCAKE, [0, 3.052], [6955, 6472], [52, 26]),
    ],
)
def test_traces_become_workloads(cli: Here, text: str, at: list[float], read: list[int], written: list[int]) -> None:
    rows = imported(cli, text)
    assert [row["at"] for row in rows] == pytest.approx(at)
    assert [row["input_tokens"] for row in rows] == read
    assert [row["output_tokens"] for row in rows] == written
    assert all(row["priority"] in (1, 5, 8) for row in rows)
    origin = load(cli.folder / "w.jsonl").header.origin
    assert "seed 0" in str(origin["assigned"])


def test_options_of_the_command_line_override_those_of_the_workload(cli: Here) -> None:
    rows = imported(cli, "Why?\nHow?\n", "--interval", "2")
    assert [(row["prompt"], row["at"]) for row in rows] == [("Why?", 0), ("How?", 2)]
    assert all("priority" not in row and "client" not in row for row in rows)
    rows = imported(cli, "Why?\nHow?\n", "--priorities", "3", "--seed", "5")
    assert [row["priority"] for row in rows] == [3, 3]
    assert all("client" not in row for row in rows)
    rows = imported(cli, AZURE, "--priorities", "none", "--clients", "ada:1", "--agents", "chat,translate")
    assert all("priority" not in row and row["client"] == "ada" for row in rows)


def test_what_is_generated_is_the_same_for_a_seed_and_can_be_shown_and_replayed(cli: Here) -> None:
    given = ("workload", "generate", "--tasks", "200", "--rate", "0.8", "--burstiness", "3",
             "--class", "share=0.3 priority=0 service=exp:1 client=ada",
             "--class", "share=0.7 priority=9 service=const:1")  # fmt: skip
    for name, seed in (("a.jsonl", "4"), ("b.jsonl.gz", "4"), ("c.jsonl", "5")):
        assert cli(*given, "--seed", seed, "-o", name).code == 0
    a, b, c = (cli.folder / name for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl"))
    assert a.read_bytes() == gzip.decompress(b.read_bytes()) != c.read_bytes()
    shown = json.loads(cli("workload", "show", "a.jsonl", "--json").out)
    assert (shown["tasks"], shown["complete"], set(shown["priorities"])) == (200, True, {"0", "9"})
    assert shown["gap_cv"] > 1.5
    shown = cli("workload", "show", "b.jsonl.gz").out
    assert "200 tasks" in shown
    assert "█" in shown
    done = cli("replay", "b.jsonl.gz", "--virtual", "--policy", "fifo,npps", "--json")
    assert [run["done"] for run in json.loads(done.out)["runs"]] == [200, 200]


def test_synthetic_arrivals_have_the_requested_shape(cli: Here) -> None:
    imported(cli, AZURE)
    assert cli("workload", "cut", "w.jsonl", "--from", "4", "--limit", "1", "-o", "cut.jsonl").code == 0
    (row,) = load(cli.folder / "cut.jsonl").tasks
    assert row.at == pytest.approx(0.314579)
    assert row.input_tokens == 396
    assert cli("workload", "scale", "w.jsonl", "2", "-o", "quick.jsonl").code == 0
    assert load(cli.folder / "quick.jsonl").tasks[1].at == pytest.approx(4.314579 / 2)
    assert cli("workload", "merge", "w.jsonl", "quick.jsonl", "aios-five", "-o", "all.jsonl").code == 0
    assert len(load(cli.folder / "all.jsonl").tasks) == 11
    assert {row.id for row in load(cli.folder / "all.jsonl").tasks} >= {"1:t1", "2:t1", "3:t5"}


def test_samples_are_listed_and_copied(cli: Here) -> None:
    listed = cli("workload", "samples").out
    assert [line.split()[0] for line in listed.splitlines()] == ["aios-five", "azure-1000", "mooncake-200"]
    assert cli("workload", "samples", "azure-1000", "-o", "mine.jsonl").code == 0
    assert len(load(cli.folder / "mine.jsonl").tasks) == 1000
    assert cli("workload", "samples", "azure-1000", "-o", "mine.jsonl").code == 2


def test_a_workload_in_the_users_folder_is_found_by_its_name(cli: Here) -> None:
    folder = cli.folder / "data" / "aios-tui" / "workloads"
    folder.mkdir(parents=True)
    assert cli("workload", "samples", "aios-five", "-o", str(folder / "mine.jsonl")).code == 0
    assert json.loads(cli("workload", "show", "mine", "--json").out)["tasks"] == 5


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("import", "nothing", "-o", "x"), "nothing"),
        (("import", "trace", "-o", "x", "--format", "csv"), "--format 'csv'"),
        (("import", "trace", "-o", "x", "--priorities", "12:1"), "priorities"),
        (("import", "trace", "-o", "x", "--interval", "-1"), "--interval"),
        (("import", "trace", "-o", "trace"), "exists already"),
        (("import", "trace", "-o", "none/x"), "none/x"),
        (("import", "bad", "-o", "x"), "bad, line 3"),
        (("generate", "--tasks", "1", "--rate", "0", "-o", "x"), "rate above 0"),
        (("generate", "--tasks", "1", "--rate", "1", "-o", "x", "--class", "priority=10"), "priority '10'"),
        (("generate", "--tasks", "1", "--rate", "1", "-o", "x", "--class", "colour=red"), "the keys are"),
        (("generate", "--tasks", "1", "--rate", "1", "-o", "x", "--class", "service=normal:1"), "not a distribution"),
        (("generate", "--tasks", "1", "--rate", "1", "-o", "x", "--class", "share=0"), "above 0"),
        (("show", "nothing"), "no workload"),
        (("show", "trace"), "trace, line 1"),
        (("cut", "aios-five", "--from", "5", "--to", "1", "-o", "x"), "cut"),
        (("scale", "aios-five", "0", "-o", "x"), "above 0"),
        (("merge", "aios-five", "nothing", "-o", "x"), "no workload"),
    ],
)
def test_bad_requests_get_a_line_and_leave_no_file(cli: Here, given: tuple[str, ...], complaint: str) -> None:
    (cli.folder / "trace").write_text(AZURE)
    (cli.folder / "bad").write_text(AZURE.replace("396", "many"))
    refused = cli("workload", *given)
    assert refused.code == 2
    assert complaint in refused.complaint
    left = {path.name for path in cli.folder.iterdir() if path.is_file()}
    assert left == {"trace", "bad"}
