"""`aios-tui run`: input, output and exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.aios_tui.cli.helpers import QUICK, Here, call

FIELDS = [  # the contract of issue and docs, spelt out here again on purpose
    *("id", "agent", "agent_name", "prompt", "priority", "state", "result", "rounds", "core", "model"),
    *("submitted_at", "started_at", "ended_at", "waiting_s", "turnaround_s", "ttft_s", "tokens_in", "tokens_out"),
    *("error", "dispatch_order"),
]


def test_one_task_prints_its_bare_result(cli: Here) -> None:
    found = cli("run", "--core", QUICK, "Tell me a story")
    assert found.code == 0
    assert len(found.out.split()) == 4, "the scripted core's four words and nothing else"
    assert "1 accepted" in found.err
    assert "1 done" in found.err


def test_several_tasks_get_a_heading_each(cli: Here) -> None:
    found = cli("run", "--core", QUICK, "--agent", "story_teller", "one", "two")
    assert found.code == 0
    headings = [line for line in found.out.splitlines() if line.startswith("#")]
    assert [heading.split(" · ")[:4] for heading in headings] == [
        ["#1", "story_teller", "done", "3 rounds"],
        ["#2", "story_teller", "done", "3 rounds"],
    ]


def test_json_contract(cli: Here) -> None:
    found = cli("run", "--core", QUICK, "--agent", "story_teller", "--priority", "2", "--json", "Grüße 你好")
    assert found.code == 0
    (line,) = found.out.splitlines()
    assert "Grüße 你好" in line
    task = json.loads(line)
    assert list(task)[: len(FIELDS)] == FIELDS
    assert task | {"submitted_at": 0} == task | {"submitted_at": 0} | {
        "id": 1,
        "agent": "story_teller",
        "agent_name": "story_teller",
        "priority": 2,
        "state": "done",
        "rounds": 3,
        "core": "scripted",
        "model": "scripted",
        "tokens_out": 12,
        "error": None,
        "dispatch_order": 1,
    }
    assert task["submitted_at"] <= task["started_at"] <= task["ended_at"]
    assert task["waiting_s"] == pytest.approx(task["started_at"] - task["submitted_at"])
    assert task["turnaround_s"] == pytest.approx(task["ended_at"] - task["submitted_at"])
    assert task["ttft_s"] > 0
    assert task["tokens_in"] > 0
    assert len(task["result"].split()) == 4


def test_a_failed_task_is_reported_and_makes_exit_code_1(cli: Here) -> None:
    found = cli("run", "--core", "scripted:fail=1", "a", "b")
    assert found.code == 1
    assert found.err.count("scripted: this prompt fails") == 2
    assert "2 failed" in found.err
    (task,) = cli("run", "--core", "scripted:fail=1", "--json", "a").tasks()
    assert task["state"] == "failed"
    assert task["result"] is None
    assert "this prompt fails" in task["error"]


def test_plain_lines_from_stdin(cli: Here) -> None:
    found = cli("run", "--core", QUICK, "--json", "-", stdin=b"first\n\n  second, with {braces}  \r\nthird")
    assert [task["prompt"] for task in found.tasks()] == ["first", "second, with {braces}", "third"]
    assert found.code == 0


def test_jsonl_from_stdin_with_options_as_defaults(cli: Here) -> None:
    lines = [
        {"prompt": "a"},
        {"prompt": "b", "priority": 0, "agent": "story_teller", "client": "cron", "ref": "job-7"},
        {"prompt": "c", "options": {"temperature": 0.5}},
    ]
    data = "\n" + "\n".join(json.dumps(line) for line in lines)
    found = cli("run", "--core", QUICK, "--json", "--priority", "7", "--max-tokens", "2", "-", stdin=data.encode())
    tasks = {task["prompt"]: task for task in found.tasks()}
    assert [tasks[prompt]["priority"] for prompt in "abc"] == [7, 0, 7]
    assert [tasks[prompt]["tokens_out"] for prompt in "abc"] == [2, 6, 2]
    assert tasks["b"]["client"] == "cron"
    assert tasks["b"]["ref"] == "job-7"


@pytest.mark.parametrize(
    ("data", "where", "why"),
    [
        (b'{"prompt": "a"}\nnot json\n', "line 2", "not JSON"),
        (b'{"prompt": "a"}\n[1]\n', "line 2", "not a JSON object"),
        (b'\n\n{"prompt": "a", "priority": 10}', "line 3", "priority"),
        (b'{"prompt": "a", "urgency": 1}', "line 1", "urgency: no such field"),
        (b'{"prompt": "a", "prio": 1}', "line 1", "prio: no such field; did you mean priority?"),
        (b'{"prompt": "a", "options": {"temp": 1}}', "line 1", "no such field; did you mean temperature?"),
        (b'{"prompt": "  "}', "line 1", "the prompt is empty"),
        (b'{"prompt": "a"}\n{"prompt": 1}', "line 2", "prompt"),
        (b'{"prompt": "a"}\n{"priority": 1' + b"0" * 5000 + b"}", "line 2", "not JSON"),
        (b"fine\n\xff\xfe\n", "line 2", "not UTF-8"),
        (b"x" * (4 * 1024 * 1024 + 1), "line 1", "longer than 4 MiB"),
        (b"\n \n", "<stdin>", "no task"),
    ],
    ids=[
        "no-json",
        "no-object",
        "range",
        "field",
        "typo",
        "option",
        "empty",
        "type",
        "digits",
        "utf-8",
        "long",
        "nothing",
    ],
)
def test_a_bad_line_is_named_and_nothing_is_submitted(cli: Here, data: bytes, where: str, why: str) -> None:
    found = cli("run", "--core", QUICK, "-", stdin=data)
    assert found.code == 2
    assert found.out == ""
    assert found.complaint.startswith("<stdin>")
    assert where in found.complaint
    assert why in found.complaint
    assert not cli.db.exists()


@pytest.mark.parametrize("line", ['{"prompt": "b", "agent": "nobody"}', '{"prompt": "b", "model": "nothing"}'])
def test_a_line_with_an_agent_or_model_that_is_none_is_named(cli: Here, line: str) -> None:
    found = cli("run", "--core", QUICK, "-", stdin=b'{"prompt": "a"}\n\n' + line.encode())
    assert (found.code, found.out) == (2, "")
    assert found.complaint.startswith("<stdin>, line 3: unknown ")


def test_an_option_is_named_where_it_is_at_fault_and_the_line_where_that_is(cli: Here) -> None:
    by_option = cli("run", "--core", QUICK, "--max-tokens", "0", "-", stdin=b'{"prompt": "a"}')
    assert by_option.complaint.startswith("option --max-tokens: 0 is out of range")
    by_line = cli("run", "--core", QUICK, "--priority", "3", "-", stdin=b'{"prompt": "a", "priority": 11}')
    assert by_line.complaint.startswith("<stdin>, line 1: priority: 11 is out of range")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], ["no PROMPT"]),
        (["run", "-", "hi"], ["- stands alone"]),
        (["run", "--resume", "hi"], ["--resume", "PROMPT"]),
        (["run", "--resume", "--agent", "chat"], ["--resume", "--agent"]),
        (["run", "--agent", "story_teler", "hi"], ["story_teler", "did you mean story_teller"]),
        (["run", "--policy", "nps", "hi"], ["--policy", "nps", "npps"]),
        (["run", "--core", "scriptd", "hi"], ["--core", "scriptd", "scripted"]),
        (["run", "--core", "scripted:tokns=1", "hi"], ["--core", "tokns", "tokens"]),
        (["run", "--model", "scriptd", "hi"], ["scriptd", "did you mean scripted"]),
        (["run", "--priority", "12", "hi"], ["option --priority: 12 is out of range", "at most 9"]),
        (["run", "--priority", "high", "hi"], ["--priority", "high"]),
        (["run", "--slots", "0", "hi"], ["--slots"]),
        (["run", "--max-tokens", "0", "hi"], ["option --max-tokens: 0 is out of range"]),
        (["run", "--theme", "nosuch", "hi"], ["unknown theme 'nosuch'", "aios-dark"]),
        (["run", ""], ["the prompt is empty"]),
        (["run", "--jsn", "hi"], ["--jsn", "--json"]),
        (["rum", "hi"], ["rum", "did you mean run"]),
        (["--config", "nowhere.toml", "run", "hi"], ["nowhere.toml", "No such file"]),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(cli: Here, arguments: list[str], words: list[str]) -> None:
    at = 1 if arguments[0] == "run" else 0
    core = ["--core", QUICK] if "--core" not in arguments and at else []
    found = cli(*arguments[:at], *core, *arguments[at:])
    assert found.code == 2
    assert found.out == ""
    for word in words:
        assert word in found.complaint


def test_options_may_stand_before_the_command_and_after(cli: Here, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite3"
    before = cli("--core", QUICK, "--db", str(other), "run", "--json", "hi")
    after = cli("run", "--json", "hi", "--core", QUICK, "--db", str(other))
    both = cli("--core", "embedded", "--db", str(other), "run", "--json", "hi", "--core", QUICK)
    assert [found.tasks()[0]["id"] for found in (before, after, both)] == [1, 2, 3]
    assert not cli.db.exists()


def test_priorities_count_under_npps_because_all_are_accepted_before_the_first_is_dispatched(cli: Here) -> None:
    priorities = [5, 9, 0, 3, 0]
    data = "\n".join(json.dumps({"prompt": f"p{n}", "priority": p}) for n, p in enumerate(priorities))
    found = cli("run", "--core", QUICK, "--policy", "npps", "--json", "-", stdin=data.encode())
    tasks = found.tasks()
    assert [task["dispatch_order"] for task in tasks] == [1, 2, 3, 4, 5]
    assert [task["prompt"] for task in tasks] == ["p2", "p4", "p3", "p0", "p1"]
    last_accepted = max(task["submitted_at"] for task in tasks)
    assert all(task["started_at"] >= last_accepted for task in tasks)


def test_steering_characters_do_not_reach_the_output(cli: Here) -> None:
    found = cli("run", "--core", QUICK, "--json", "a\x1b]0;title\x07b\u202ec")
    assert found.tasks()[0]["prompt"] == "a\ufffd]0;title\ufffdb\ufffdc"
    assert "\x1b" not in found.out + found.err


def test_output_is_utf_8_in_any_locale(tmp_path: Path) -> None:
    found = call(tmp_path, "run", "--core", QUICK, "--json", "你好", env={"LC_ALL": "C", "PYTHONUTF8": "0"})
    assert found.code == 0
    assert found.tasks()[0]["prompt"] == "你好"


def test_an_invalid_agent_file_is_reported_and_the_rest_runs(cli: Here, tmp_path: Path) -> None:
    folder = tmp_path / "config" / "aios-tui" / "agents"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text('name = "mine"\ndescription = "d"\n[[round]]\nprompt = "{prompt}!"\n')
    (folder / "broken.toml").write_text("name = ")
    found = cli("run", "--core", QUICK, "--agent", "mine", "--json", "hi")
    assert found.code == 0
    assert found.tasks()[0]["agent"] == "mine"
    assert "broken.toml" in found.err
