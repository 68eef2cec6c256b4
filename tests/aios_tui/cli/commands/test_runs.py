"""`aios-tui runs`: saved replays are listed, shown unchanged, compared and deleted."""

from __future__ import annotations

import json
import sqlite3

from tests.aios_tui.cli.helpers import Here

VIRTUAL = ("replay", "aios-five", "--virtual", "--prefill", "10", "--decode", "10")


def test_runs_are_listed_shown_as_they_were_and_deleted(cli: Here) -> None:
    made = cli(*VIRTUAL, "--policy", "fifo,npps", "--json", "--report", "made")
    listed = [json.loads(line) for line in cli("runs", "list", "--json").out.splitlines()]
    assert [(row["id"], row["policy"], row["tasks"]) for row in listed] == [(2, "npps", 5), (1, "fifo", 5)]
    assert "aios-five.jsonl" in cli("runs", "list").out
    shown = cli("runs", "show", "1", "2", "--json", "--report", "again")
    assert json.loads(shown.out)["runs"] == json.loads(made.out)["runs"]
    one, two = (cli.folder / name for name in ("made", "again"))
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    assert (one / "tasks.csv").read_bytes() == (two / "tasks.csv").read_bytes()
    assert (one / "waiting-cdf.svg").read_bytes() == (two / "waiting-cdf.svg").read_bytes()
    assert "inversions" in cli("runs", "show", "2").out
    assert cli("runs", "delete", "1").code == 0
    assert cli("runs", "show", "1").code == 1
    assert cli("runs", "delete", "1", "2").code == 1
    assert cli("runs", "list", "--json").out == ""


def test_the_name_alone_lists_as_the_replay_says(cli: Here) -> None:
    made = cli(*VIRTUAL, "--policy", "fifo,npps")
    assert "2 runs saved, id 1, 2; see `aios-tui runs`" in made.err
    bare = cli("runs")
    assert (bare.code, bare.out, bare.err) == (0, cli("runs", "list").out, "")
    assert len(bare.out.splitlines()) == 3
    other = cli("runs", "--db", str(cli.folder / "other.sqlite3"))
    assert (other.code, other.out) == (2, ""), "of another history, which is not there"
    assert "other.sqlite3" in other.complaint


def test_two_runs_of_one_policy_get_different_names(cli: Here) -> None:
    cli(*VIRTUAL)
    cli(*VIRTUAL, "--slots", "2")
    shown = json.loads(cli("runs", "show", "1", "2", "--json").out)
    assert [run["name"] for run in shown["runs"]] == ["fifo", "fifo (2)"]
    assert cli("runs", "show", "1", "1").code == 2


def test_a_damaged_run_is_a_line(cli: Here) -> None:
    cli(*VIRTUAL)
    connection = sqlite3.connect(cli.db)
    connection.execute("UPDATE replays SET columns = substr(columns, 1, 60), metrics = '[]'")
    connection.commit()
    connection.close()
    assert cli("runs", "list").code == 0
    refused = cli("runs", "show", "1")
    assert refused.code == 2
    assert "run 1: this kept run is damaged" in refused.complaint
