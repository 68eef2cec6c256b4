"""`aios-tui bench`, and virtual time with the rates that it measured."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from aios_tui.reporting import bench_results
from aios_tui.reporting.bench_results import BenchResult
from aios_tui.reporting.schema import Report
from tests.aios_tui.cli.helpers import QUICK, Here, start
from tests.engine.cores.helpers import InThread
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.waiting import PATIENCE_S


def kept(folder: Path) -> list[BenchResult]:
    return bench_results.read(folder / "data" / "aios-tui" / "bench.json")


def test_a_core_is_measured_and_the_result_kept(cli: Here) -> None:
    done = cli("bench", "scripted:ttft=0.001,tps=0,tokens=8,model=m", "--runs", "2", "--json")
    assert done.code == 0, done.err
    found = BenchResult.model_validate_json(done.out)
    assert [level.streams for level in found.levels] == [1, 2, 4]
    assert {level.runs for level in found.levels} == {2}
    assert {level.tokens_out for level in found.levels} == {8.0}
    assert all(level.ttft_s.low >= 0.001 for level in found.levels)
    assert (found.core, found.model, found.load_s) == ("scripted", "m", None)
    assert kept(cli.folder) == [found]
    assert ((cli.folder / "data" / "aios-tui" / "bench.json").stat().st_mode & 0o777) == 0o600


def test_ollama_is_loaded_cold_and_asked_for_more_until_it_shows_a_limit(cli: Here) -> None:
    fake = FakeOllama("red:1b", loaded=["red:1b"])
    with InThread(fake):
        config = cli.folder / "config.toml"
        config.write_text(f'[cores.den]\nkind = "ollama"\nurl = "http://{fake.host}"\n')
        done = cli("bench", "den", "--config", str(config), "--runs", "1")
    assert done.code == 0, done.err
    (found,) = kept(cli.folder)
    assert (found.core, found.kind, found.model) == ("den", "ollama", "red:1b")
    assert found.load_s is not None and "loaded in" in done.err
    streams = [level.streams for level in found.levels]
    assert streams[:3] == [1, 2, 4]
    top = found.levels[-1]
    # It goes on doubling exactly while all of a level were written at once.
    assert all(level.at_once >= level.streams for level in found.levels[2:-1])
    assert top.at_once < top.streams or top.streams == 16
    chats = [request for request in fake.requests if request.path == "/api/chat"]
    assert len(chats) == 1 + sum(streams), "one to warm up, and no more"
    assert ("slots = " in done.out) == (top.at_once < top.streams)


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    core = "scripted:ttft=0,tps=0,tokens=4,stall=0,model=m"
    process = start(tmp_path, "bench", core, "--streams", "1,2", "--runs", "1000")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("2 streams, run 3 of"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "interrupted" in err
    (found,) = kept(tmp_path)
    assert [level.streams for level in found.levels] == [1, 2]
    assert found.levels[0].runs == 1000 and 3 <= found.levels[1].runs < 1000


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("nope",), "unknown core 'nope'"),
        (("ollama@127.0.0.1:9",), "127.0.0.1:9"),
        (("scripted:,ollama@x",), "which core? There are scripted, ollama"),
        ((QUICK, "--core", "embedded"), "name the core once"),
        ((QUICK, "--streams", "1,x"), "numbers of streams"),
        ((QUICK, "--streams", "0"), "numbers of streams"),
        ((QUICK, "--model", "other"), "other"),
        (("scripted:fail=1",), "this prompt fails"),
        (("scripted:tokens=1",), "too short"),
    ],
)
def test_where_nothing_is_measured_one_line_says_why(cli: Here, given: tuple[str, ...], complaint: str) -> None:
    refused = cli("bench", *given)
    assert refused.code == 2
    assert complaint in refused.complaint
    assert refused.out == ""
    assert kept(cli.folder) == []


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "tokens.jsonl"
    head = {"kind": "workload", "version": 1}
    path.write_text("\n".join(json.dumps(row) for row in (head, *rows)))
    return path


def test_virtual_time_uses_the_measured_rates(cli: Here) -> None:
    assert cli("bench", "scripted:ttft=0.01,tps=200,tokens=8,model=m", "--runs", "2").code == 0
    (bench,) = kept(cli.folder)
    one, two = bench.level(1), bench.level(2)
    path = written(
        cli.folder, [{"kind": "task", "id": "t", "at": 0, "agent": "chat", "input_tokens": 300, "output_tokens": 70}]
    )
    for slots, level in (("1", one), ("2", two)):
        done = cli("replay", str(path), "--virtual", "--calibrate", "bench:scripted", "--slots", slots, "--json")
        assert done.code == 0, done.err
        (run,) = Report.model_validate_json(done.out).runs
        service = 300 / level.prompt_tps.median + 70 / level.stream_tps.median
        assert run.makespan == pytest.approx(service, rel=1e-9)
        assert f"calibrated from bench: m on scripted, measured at {level.streams} at a time" in run.note


def test_calibration_by_a_core_that_was_never_measured(cli: Here) -> None:
    path = written(cli.folder, [{"kind": "task", "id": "t", "at": 0, "input_tokens": 1, "output_tokens": 1}])
    refused = cli("replay", str(path), "--virtual", "--calibrate", "bench")
    assert (refused.code, "there is no benchmark yet" in refused.complaint) == (2, True)
    refused = cli("replay", "--virtual", "--calibrate", str(path))
    assert refused.code == 2 and "WORKLOAD comes before it" in refused.complaint
