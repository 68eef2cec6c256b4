"""The real program in a real terminal, from the first screen to the exit code, and back again."""

from __future__ import annotations

import re
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal, counts

pytestmark = pytest.mark.e2e

SCRIPTED = "scripted:tokens=40,tps=60"
ENDLESS = "scripted:tokens=100000,tps=100"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def history(home: Path) -> Path:
    return home / ".local" / "share" / "aios-tui" / "history.sqlite3"


def leave(terminal: Terminal) -> None:
    terminal.press("q")
    assert terminal.ended() == 0


def submit(terminal: Terminal, line: str) -> None:
    """Type one task into the quick line, as a person does."""
    terminal.press("i")
    terminal.until("enter", "the quick line's own footer")
    terminal.press(line)
    terminal.until(line[-20:])
    terminal.press("enter")
    terminal.until("is queued", "the notice that the task was accepted")
    terminal.press("escape")
    terminal.until("n new", "the footer of the main screen")


@pytest.mark.embedded
def test_a_session_on_the_embedded_model(home: Path) -> None:
    """Submit by keyboard, see tokens, switch the policy meanwhile, read a result, quit, come back: all still there."""
    with Terminal(home=home) as terminal:
        screen = terminal.until("no Ollama at 127.0.0.1:9", "the reason for this core in the header")
        assert "FIFO" in screen
        assert "smollm2:135m" in screen
        submit(terminal, "@story_teller !2 Tell me a funny story")
        terminal.until(
            lambda text: re.search(r"round [123]/3.*\d tok/s", text) is not None,
            "tokens of a round, and how many a second",
        )
        terminal.press("p")  # so that what waits is still there when it is looked at
        terminal.until("FIFO · paused")
        submit(terminal, "!7 Name a colour.")
        submit(terminal, "!1 Say hello.")
        terminal.until(lambda text: 0 < text.find("Name a colour") < text.find("Say hello"), "the first one first")
        terminal.press("s")
        terminal.until("NPPS · paused")
        terminal.until(
            lambda text: 0 < text.find("Say hello") < text.find("Name a colour"), "the more urgent one first"
        )
        terminal.press("p")
        terminal.until("1 done", "the end of the most urgent one, between two rounds of the story")
        terminal.until(lambda text: re.search(r"story_teller  round [123]/3", text) is not None, "the story again")
        terminal.press("2", "x")
        terminal.until("2 done", "the ends of the two that were left")
        terminal.press("3", "g", "enter")
        terminal.until(lambda text: "Name a colour" in text and "turnaround" in text.lower(), "the task's screen")
        terminal.press("escape")
        terminal.until(lambda text: "3 Results" in text and "turnaround" not in text.lower(), "the main screen again")
        leave(terminal)
    assert counts(home, history(home)) == {"done": 2, "cancelled": 1}

    with Terminal(home=home) as terminal:
        screen = terminal.until(lambda text: "2 done" in text and "smollm2:135m" in text, "the same tasks again")
        assert "story_teller" in screen
        leave(terminal)


def test_stop_and_requeue_then_finish_at_the_next_start(home: Path) -> None:
    with Terminal("--core", ENDLESS, home=home) as terminal:
        terminal.until("scripted")
        submit(terminal, "a long one")
        terminal.until("1 running")
        terminal.press("q")
        terminal.until("queue", "the question what to do with what runs")
        terminal.press("q")
        assert terminal.ended() == 0
    assert counts(home, history(home)) == {"queued": 1}
    with Terminal("--core", "scripted:", home=home) as terminal:
        terminal.until("1 done")
        leave(terminal)
    assert counts(home, history(home)) == {"done": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(home: Path, number: signal.Signals) -> None:
    with Terminal("--core", ENDLESS, home=home) as terminal:
        terminal.until("scripted")
        submit(terminal, "something to run")
        terminal.until("1 running")
        terminal.child.kill(number)
        terminal.ended()
        for restored in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1003l"):
            assert terminal.raw.rindex(restored) > terminal.raw.rindex(b"\x1b[?1049h"), restored
    assert sum(counts(home, history(home)).values()) == 1


def test_closing_the_terminal_ends_the_program_in_order(home: Path) -> None:
    """As when its window is closed: nobody reads what it draws, and every write to the terminal fails."""
    with Terminal("--core", ENDLESS, home=home) as terminal:
        terminal.until("scripted")
        submit(terminal, "something to run")
        terminal.until("1 running")
        terminal.hang_up()
        assert terminal.gone(), "the program goes on without its terminal"
    assert counts(home, history(home)) == {"queued": 1}


def test_text_that_would_steer_the_terminal_does_not_reach_it(home: Path) -> None:
    with Terminal("--core", SCRIPTED, home=home) as terminal:
        terminal.until("scripted")
        submit(terminal, "\u202e evil \u009b31m, [/foo] [bold] markup")
        terminal.until("1 done")
        leave(terminal)
    for byte in ("\u202e", "\u009b"):
        assert byte.encode() not in terminal.raw


def test_it_survives_every_size(home: Path) -> None:
    with Terminal("--core", SCRIPTED, home=home, columns=80, rows=24) as terminal:
        terminal.until("scripted")
        submit(terminal, "first of all")
        for columns, rows in [(40, 10), (20, 5), (200, 60), (1, 1), (80, 24), (110, 35)]:
            terminal.resize(columns, rows)
        terminal.until("1 done")
        leave(terminal)


def results_reach(columns: int, screen: str) -> bool:
    """True if the frame of the results, which is as wide as the console, has this width."""
    return any("3 Results" in line and len(line) == columns for line in screen.splitlines())


def test_of_quick_changes_of_size_the_last_one_counts(home: Path) -> None:
    """As when a window is dragged: the signals come faster than they are dealt with."""
    with Terminal("--core", SCRIPTED, home=home, columns=80, rows=24) as terminal:
        terminal.until("scripted")
        for last in range(90, 120, 3):
            for columns in (40, 60, 130, last):
                terminal.resize(columns, 30)
            terminal.until(partial(results_reach, last), f"results in {last} columns")
        leave(terminal)


def test_a_second_console_on_the_same_history_is_one_line(home: Path) -> None:
    with Terminal("--core", SCRIPTED, home=home) as first:
        first.until("scripted")
        with Terminal("--core", SCRIPTED, home=home) as second:
            code = second.ended()
            assert code == 2
            assert "in use by process" in second.text
            assert "Traceback" not in second.text
        leave(first)


def test_a_paste_with_an_escape_sequence_in_it_submits_nothing(home: Path) -> None:
    with Terminal("--core", SCRIPTED, home=home) as terminal:
        terminal.until("scripted")
        terminal.press("i")
        terminal.until("enter", "the quick line's own footer")
        terminal.press("\x1b[200~line1\rline2\r@chat #x\ttab \x1b[31mred\r\x1b[201~", "!")
        terminal.until("› line1 line2 @chat #x tab \ufffd[31mred!", "all of it in one line, and the key behind it")
        terminal.press("enter")
        terminal.until("1 done")
        terminal.press("escape")
        terminal.until("n new", "the footer of the main screen")
        leave(terminal)
    assert counts(home, history(home)) == {"done": 1}
