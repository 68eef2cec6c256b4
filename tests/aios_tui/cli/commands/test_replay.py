"""`aios-tui replay`, live and virtual."""

from __future__ import annotations

import asyncio
import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from aios_tui.reporting.schema import Report
from aios_tui.runtime.runtime import Runtime
from engine.errors import CoreError
from engine.store import Recovery
from engine.workloads.reader import load
from persistence import History, ReplayRow
from tests.aios_tui.cli.helpers import ENDLESS, QUICK, Here, start
from tests.waiting import PATIENCE_S

TOKENS = ((0.0, 500, 20, 8), (0.0, 100, 50, 1), (0.1, 1000, 10, 5), (5.0, 10, 100, 0))


def tokens(folder: Path) -> Path:
    """Four tasks of token counts alone: (at, input, output, priority)."""
    path = folder / "tokens.jsonl"
    rows = [
        {"kind": "task", "at": at, "input_tokens": read, "output_tokens": written, "priority": priority}
        for at, read, written, priority in TOKENS
    ]
    path.write_text("\n".join(map(json.dumps, [{"kind": "workload", "version": 1}, *rows])))
    return path


def tasks_csv(folder: Path) -> list[dict[str, str]]:
    with (folder / "tasks.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_service_times_are_tokens_over_rates_exactly(cli: Here) -> None:
    path = tokens(cli.folder)
    done = cli("replay", str(path), "--virtual", "--prefill", "250", "--decode", "40", "--report", "out")
    assert done.code == 0, done.err
    rows = tasks_csv(cli.folder / "out")
    assert [*rows[0]] == [
        "policy", "id", "priority", "client", "arrival_s", "start_s", "end_s", "waiting_s", "turnaround_s",
    ]  # fmt: skip
    clock = 0.0
    for row, (at, read, written, priority) in zip(rows, TOKENS, strict=True):
        clock = max(clock, at)
        assert (row["policy"], row["priority"]) == ("fifo", str(priority))
        assert float(row["start_s"]) == clock
        clock += read / 250 + written / 40
        assert float(row["end_s"]) == clock
        assert float(row["waiting_s"]) == float(row["start_s"]) - at


def test_a_shipped_sample_under_several_policies_gives_the_same_report_each_time(cli: Here) -> None:
    given = ("replay", "azure-1000", "--virtual", "--slots", "16", "--policy", "fifo,npps,npps:ageing=10", "--json")
    one, two = cli(*given, "--report", "one"), cli(*given, "--report", "two")
    assert one.code == two.code == 0
    assert one.out == two.out
    names = {"report.md", "report.json", "tasks.csv", "waiting-cdf.svg", "queue-length.svg", "waiting-by-priority.svg"}
    for folder in ("one", "two"):
        assert {path.name for path in (cli.folder / folder).iterdir()} == names
    for name in names:
        assert (cli.folder / "one" / name).read_bytes() == (cli.folder / "two" / name).read_bytes(), name
    report = Report.model_validate_json(one.out)
    assert one.out == (cli.folder / "one" / "report.json").read_text()
    assert [run.name for run in report.runs] == ["fifo", "npps", "npps:ageing=10"]
    fifo, npps, ageing = report.runs
    assert npps.inversions == 0 < ageing.inversions < fifo.inversions
    assert len(tasks_csv(cli.folder / "one")) == 3000
    page = (cli.folder / "one" / "report.md").read_text()
    assert all(f"({name})" in page for name in names if name.endswith(".svg"))


async def kept_runs(path: Path) -> list[ReplayRow]:
    async with History(path) as history:
        return await history.replays()


def test_runs_are_saved_unless_no_keep_is_given(cli: Here) -> None:
    path = tokens(cli.folder)
    assert cli("replay", str(path), "--virtual", "--policy", "npps,fifo").code == 0
    assert cli("replay", str(path), "--virtual", "--no-keep").code == 0
    rows = asyncio.run(kept_runs(cli.db))
    assert [(row.id, row.workload, row.policy, row.mode) for row in rows] == [
        (2, "tokens.jsonl", "fifo", "virtual"),
        (1, "tokens.jsonl", "npps", "virtual"),
    ]
    assert rows[0].metrics["n"] == 4


def test_virtual_replays_work_beside_a_program_that_has_the_history(cli: Here) -> None:
    path = tokens(cli.folder)
    owner = start(cli.folder, "run", "--core", ENDLESS, "wait")
    assert owner.stderr is not None
    while "accepted" not in owner.stderr.readline():
        pass
    done = cli("replay", str(path), "--virtual", "--json")
    assert done.code == 0
    assert Report.model_validate_json(done.out).runs[0].done == 4
    assert "not saved" in done.err


def test_without_policy_the_workloads_own_switches_count(cli: Here) -> None:
    path = cli.folder / "w.jsonl"
    lines: list[dict[str, Any]] = [
        {"kind": "workload", "version": 1},
        {"kind": "control", "at": 0, "op": "policy", "policy": "npps"},
        *({"kind": "task", "id": f"p{p}", "at": 0, "service": 1, "priority": p} for p in (5, 9, 1)),
        {"kind": "control", "at": 1.5, "op": "policy", "policy": "fifo"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    own = Report.model_validate_json(cli("replay", str(path), "--virtual", "--json").out).runs[0]
    assert (own.policy, [(each.at, each.policy) for each in own.switches]) == ("npps", [(1.5, "fifo")])
    asked = cli("replay", str(path), "--virtual", "--policy", "fifo", "--json")
    assert Report.model_validate_json(asked.out).runs[0].switches == []
    assert "2 switches of policy left out" in asked.err
    both = cli("replay", str(path), "--virtual", "--policy", "fifo", "--switches", "--json")
    assert len(Report.model_validate_json(both.out).runs[0].switches) == 2


def test_the_sample_of_five_tasks_live_under_both_policies(cli: Here) -> None:
    done = cli("replay", "aios-five", "--policy", "fifo,npps", "--core", QUICK, "--speed", "max", "--report", "out")
    assert done.code == 0, done.err
    report = Report.model_validate_json((cli.folder / "out" / "report.json").read_text())
    fifo, npps = report.runs
    assert (fifo.kind, fifo.done, npps.done, npps.inversions) == ("live", 5, 5, 0)
    rows = tasks_csv(cli.folder / "out")
    started = {
        name: [row["id"] for row in sorted(rows, key=lambda row: float(row["start_s"])) if row["policy"] == name]
        for name in ("fifo", "npps")
    }
    priority = {row["id"]: int(row["priority"]) for row in rows}
    assert started["fifo"] == [row["id"] for row in rows][:5]
    assert [priority[each] for each in started["npps"]] == sorted(priority.values())
    kept = cli("history", "list", "--json").tasks()
    assert {task["workload"] for task in kept} == {"aios-five.jsonl"}
    assert len(kept) == 10


def test_failed_tasks_are_reported_and_make_exit_code_1(cli: Here) -> None:
    done = cli("replay", "aios-five", "--core", "scripted:ttft=0,tps=0,fail=1", "--speed", "inf", "--json",
               "--config", str(no_retries(cli.folder)))  # fmt: skip
    assert done.code == 1
    assert Report.model_validate_json(done.out).runs[0].failed == 5


def no_retries(folder: Path) -> Path:
    path = folder / "config.toml"
    path.write_text("max_attempts = 1\n")
    return path


def test_ctrl_c_ends_with_what_was_measured(cli: Here) -> None:
    path = cli.folder / "w.jsonl"
    rows = [{"kind": "task", "at": 0, "prompt": "Hello", "id": "quick"}, {"kind": "task", "at": 3000, "prompt": "x"}]
    path.write_text("\n".join(map(json.dumps, [{"kind": "workload", "version": 1}, *rows])))
    process = start(
        cli.folder, "replay", str(path), "--core", QUICK, "--report", "out", "--json", "--policy", "fifo,npps"
    )
    ended(cli)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    report = Report.model_validate_json(out)
    assert report.complete is False
    assert [(run.name, run.n, run.done) for run in report.runs] == [("fifo", 1, 1)]
    assert "Incomplete" in (cli.folder / "out" / "report.md").read_text()
    assert [row["id"] for row in tasks_csv(cli.folder / "out")] == ["quick"]


def ended(cli: Here) -> None:
    """Wait until a task of the history has ended."""
    while True:
        listed = cli("history", "list", "--json")
        if listed.code == 0 and any(task["state"] == "done" for task in listed.tasks()):
            return


def test_ctrl_c_leaves_no_task_of_the_replay_in_the_queue(cli: Here) -> None:
    process = start(cli.folder, "replay", "aios-five", "--core", ENDLESS)
    while True:
        listed = cli("history", "list", "--json")
        if listed.code == 0 and any(task["state"] == "running" for task in listed.tasks()):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "tasks" in out
    assert {task["state"] for task in cli("history", "list", "--json").tasks()} == {"cancelled"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("nothing-such",), "no workload 'nothing-such'"),
        (("none/nothing.jsonl",), "no workload file"),
        ((".",), "is a folder"),
        (("aios-five", "--policy", "fifo,nosuch"), "nosuch"),
        (("aios-five", "--policy", "fifo,fifo"), "twice"),
        (("aios-five", "--virtual", "--speed", "2"), "--speed"),
        (("aios-five", "--virtual", "--core", "embedded"), "--core"),
        (("aios-five", "--prefill", "10"), "--prefill is for --virtual"),
        (("aios-five", "--calibrate"), "--calibrate is for --virtual"),
        (("aios-five", "--speed", "0"), "above 0"),
        (("aios-five", "--speed", "nan"), "above 0"),
        (("aios-five", "--virtual", "--decode", "-1"), "above 0"),
        (("aios-five", "--virtual", "--slots", "0"), "slots"),
        (("aios-five", "--virtual", "--load", "x=-1"), "0 or more"),
        (("aios-five", "--virtual", "--calibrate", "--decode", "1"), "leave out"),
        (("aios-five", "--virtual", "--report", "/proc/nowhere"), "--report"),
    ],
)
def test_bad_requests_get_a_line(cli: Here, given: tuple[str, ...], complaint: str) -> None:
    refused = cli("replay", *given)
    assert refused.code == 2
    assert complaint in refused.complaint
    assert refused.out == ""


def test_a_bad_line_is_named_and_nothing_is_run(cli: Here) -> None:
    path = tokens(cli.folder)
    path.write_text(path.read_text() + '\n{"kind": "task", "at": -1, "prompt": "x"}\n')
    for more in (["--virtual"], ["--core", QUICK]):
        refused = cli("replay", str(path), *more)
        assert refused.code == 2
        assert "tokens.jsonl, line 6" in refused.complaint


def test_calibrated_from_the_history(cli: Here) -> None:
    path = tokens(cli.folder)
    empty = cli("replay", str(path), "--virtual", "--calibrate")
    assert empty.code == 2
    assert cli("run", "--core", "scripted:ttft=0.01,tps=1000,tokens=20", "one", "two").code == 0
    done = cli("replay", str(path), "--virtual", "--calibrate", "--json")
    assert done.code == 0, done.err
    assert "calibrated from 2 attempts" in Report.model_validate_json(done.out).runs[0].note


def test_a_recorded_run_replays_to_the_same_order(cli: Here) -> None:
    lines = [{"prompt": f"task {n}", "priority": p, "client": "ada"} for n, p in enumerate((7, 2, 5, 2, 9))]
    text = "\n".join(map(json.dumps, lines)).encode()
    done = cli("run", "--core", QUICK, "--policy", "npps", "--record", "w.jsonl", "--json", "-", stdin=text)
    assert done.code == 0, done.err
    order = [task["prompt"] for task in sorted(done.tasks(), key=lambda task: task["dispatch_order"])]
    assert order == ["task 1", "task 3", "task 2", "task 0", "task 4"]
    recorded = load(cli.folder / "w.jsonl")
    assert [row.prompt for row in recorded.tasks] == [f"task {n}" for n in range(5)]
    prompts = {row.id: row.prompt for row in recorded.tasks}
    for given in (["--core", QUICK], ["--virtual"]):
        again = cli("replay", "w.jsonl", *given, "--report", "out", "--json")
        assert again.code == 0, again.err
        (run,) = Report.model_validate_json(again.out).runs
        assert (run.policy, run.switches) == ("npps", [])
        rows = sorted(tasks_csv(cli.folder / "out"), key=lambda row: float(row["start_s"]))
        assert [prompts[row["id"]] for row in rows] == order
    assert cli("run", "--core", QUICK, "--record", "w.jsonl", "again").code == 2
    assert "--record is for" in cli("--record", "x.jsonl", "history", "list").complaint


def test_a_stretch_of_history_becomes_a_workload(cli: Here) -> None:
    lines = [{"prompt": f"task {n}", "priority": p, "options": {"seed": n}} for n, p in enumerate((7, 2, 5))]
    text = "\n".join(map(json.dumps, lines)).encode()
    assert cli("run", "--core", QUICK, "--policy", "npps", "-", stdin=text).code == 0
    assert cli("history", "export", "--workload").code == 2
    assert cli("history", "export", "--workload", "--output", "w.jsonl", "--since", "1h").code == 0
    found = load(cli.folder / "w.jsonl")
    assert [(row.prompt, row.priority, row.options and row.options.seed) for row in found.tasks] == [
        ("task 0", 7, 0),
        ("task 1", 2, 1),
        ("task 2", 5, 2),
    ]
    assert all(row.output_tokens == 4 and row.model is None for row in found.tasks)
    assert "since" in str(found.header.origin["what"])
    again = cli("replay", "w.jsonl", "--virtual", "--json")
    assert [run.policy for run in Report.model_validate_json(again.out).runs] == ["npps"]
    assert cli("history", "export", "--workload", "--output", "w.jsonl").code == 2
    assert cli("history", "export", "--workload", "--output", "none.jsonl", "--until", "1d").code == 0
    assert load(cli.folder / "none.jsonl").tasks == []


def test_with_a_seed_uncounted_replies_are_drawn(cli: Here) -> None:
    def ends(*given: str) -> list[str]:
        assert cli("replay", "aios-five", "--virtual", "--report", "out", *given).code == 0
        return [row["end_s"] for row in tasks_csv(cli.folder / "out")]

    assert ends("--seed", "1") == ends("--seed", "1") != ends("--seed", "2")
    assert ends("--seed", "1") != ends()


def test_models_are_loaded_and_swapped(cli: Here) -> None:
    rows = [{"kind": "task", "at": 0, "service": 1, "model": model} for model in ("a", "b", "a")]
    (cli.folder / "w.jsonl").write_text("\n".join(map(json.dumps, [{"kind": "workload", "version": 1}, *rows])))
    done = cli("replay", "w.jsonl", "--virtual", "--load", "2", "--load", "b=5", "--json")
    (run,) = Report.model_validate_json(done.out).runs
    assert (run.swaps, run.load_s, run.makespan) == (2, 9, 12)


def test_a_replay_that_cannot_go_on_is_reported_as_far_as_it_went(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Runtime] = []

    async def start(runtime: Runtime, **given: Any) -> Recovery:
        made.append(runtime)
        if len(made) > 1:
            raise CoreError("the core is gone")
        return await genuine(runtime, **given)

    genuine = Runtime.start
    monkeypatch.setattr(Runtime, "start", start)
    done = cli("replay", "aios-five", "--core", QUICK, "--policy", "fifo,npps", "--json")
    assert done.code == 1
    assert [run.name for run in Report.model_validate_json(done.out).runs] == ["fifo"]
    assert "npps was not run: the core is gone" in done.err
    assert cli("replay", "aios-five", "--core", QUICK).code == 2


def test_an_option_after_a_comma_belongs_to_the_policy_before_it(cli: Here) -> None:
    done = cli("replay", "aios-five", "--virtual", "--policy", "npps,affinity=8,fifo", "--json")
    assert [run.name for run in Report.model_validate_json(done.out).runs] == ["npps:affinity=8", "fifo"]


def test_a_task_that_the_workload_cancels_is_no_failure(cli: Here) -> None:
    rows = [
        {"kind": "workload", "version": 1},
        {"kind": "task", "id": "t1", "at": 0, "prompt": "one"},
        {"kind": "task", "id": "t2", "at": 0, "prompt": "two"},
        {"kind": "control", "at": 0.1, "op": "cancel", "task": "t2"},
    ]
    (cli.folder / "cancelling.jsonl").write_text("\n".join(map(json.dumps, rows)))
    slow = "scripted:ttft=0.3,tps=0,tokens=4"
    live = cli("replay", "cancelling.jsonl", "--core", slow, "--slots", "1", "--json")
    assert (live.code, Report.model_validate_json(live.out).runs[0].failed) == (0, 1)
    virtual = cli("replay", "cancelling.jsonl", "--virtual", "--decode", "1", "--json")
    assert (virtual.code, Report.model_validate_json(virtual.out).runs[0].failed) == (0, 1)
