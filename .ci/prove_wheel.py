"""Test an installed aios-tui: `prove_wheel.py PROGRAM` runs it in a new home folder, as a user would.

Needs pexpect and pyte, which the program's own environment does not have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pyte

COLUMNS, LINES = 120, 40
PATIENCE_S = 120
"""The longest wait in seconds before a step counts as hung, sized for a machine ten times slower."""


def main() -> None:
    program = str(Path(sys.argv[1]).absolute())
    with tempfile.TemporaryDirectory() as home:
        folders = {f"XDG_{name}_HOME": f"{home}/{name.lower()}" for name in ("CONFIG", "DATA", "STATE", "CACHE")}
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("AIOS_TUI", "PYTHON", "VIRTUAL"))
        }
        env = {
            **inherited,
            **folders,
            "HOME": home,
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "OLLAMA_HOST": "127.0.0.1:9",
        }
        headless(program, home, env)
        service(program, home, env)
        console(program, home, env)
    print("the installed program works")


def headless(program: str, home: str, env: dict[str, str]) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments], check=False, cwd=home, env=env, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    assert run("--version").startswith("aios-tui ")
    agents = {json.loads(line)["name"] for line in run("agents", "--json").splitlines()}
    assert {"chat", "story_teller", "tech_support_agent", "summarise", "translate"} <= agents, agents
    task = json.loads(run("run", "--core", "scripted:", "--json", "hi"))
    assert (task["state"], task["id"]) == ("done", 1), task
    assert json.loads(run("history", "search", "hi", "--json"))["id"] == 1
    checks = {
        line["check"]: line for line in map(json.loads, run("doctor", "--core", "scripted:", "--json").splitlines())
    }
    assert checks["themes"]["detail"].split()[0] >= "4", checks["themes"]
    assert checks["database"]["state"] == "ok", checks["database"]


def service(program: str, home: str, env: dict[str, str]) -> None:
    """Run a task over the service, then stop the service."""
    serving = subprocess.Popen(
        [program, "serve", "--core", "scripted:", "--port", "0"], cwd=home, env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        assert serving.stderr is not None
        output = []
        for line in serving.stderr:
            output.append(line)
            if line.startswith("serving at"):
                break
        else:
            raise AssertionError("".join(output))
        submitted = subprocess.run(
            [program, "submit", "--wait", "--json", "hello"],
            check=True,
            cwd=home,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert json.loads(submitted.stdout)["state"] == "done", submitted.stdout
        serving.terminate()
        assert serving.wait(PATIENCE_S) == 143
    finally:
        serving.kill()
        serving.wait()


def console(program: str, home: str, env: dict[str, str]) -> None:
    """Open the console in a terminal, wait for its panes, and quit with q."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    child = pexpect.spawn(program, ["--core", "scripted:"], cwd=home, env=env, dimensions=(LINES, COLUMNS))
    try:
        wanted = ("Queue", "Activity", "Results", "scripted")
        until(child, stream, lambda: all(word in "\n".join(screen.display) for word in wanted))
        child.send("q")
        until(child, stream, lambda: not child.isalive())
    except AssertionError:
        print("\n".join(line.rstrip() for line in screen.display), file=sys.stderr)
        raise
    finally:
        child.close(force=True)
    assert child.exitstatus == 0, f"the console left with {child.exitstatus}, signal {child.signalstatus}"


def until(child: Any, stream: pyte.ByteStream, met: Callable[[], bool]) -> None:
    """Feed the screen until `met()` holds; fail after PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < end, "waited too long"
        try:
            stream.feed(child.read_nonblocking(65536, timeout=0.2))
        except pexpect.TIMEOUT:
            continue
        except pexpect.EOF:
            child.wait()
            return


if __name__ == "__main__":
    main()
