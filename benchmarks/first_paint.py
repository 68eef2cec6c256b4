"""From starting the program to its first painted screen, in a real pseudo-terminal, beside the smallest Textual app.

Run: python -m benchmarks.first_paint [RUNS]
The two are taken in turn; medians and the pairs' ratio are what to quote. The peer is what
Textual itself costs.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pexpect

ROOT = Path(__file__).resolve().parents[1]
PEER = """
from textual.app import App
from textual.widgets import Static

class Smallest(App):
    def compose(self):
        yield Static("painted")

Smallest().run()
"""


def seconds(arguments: list[str], painted: str, home: str) -> float:
    """From spawning until the text is on the terminal."""
    environment = os.environ | {"HOME": home, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    begun = time.perf_counter()
    child = pexpect.spawn(sys.executable, arguments, env=environment, dimensions=(40, 120), timeout=60)
    child.expect_exact(painted)
    took = time.perf_counter() - begun
    child.close(force=True)
    return took


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as home:
        for _ in range(runs + 1):
            ours.append(seconds(["-m", "aios_tui", "--core", "embedded"], "Queue", home))
            peer.append(seconds(["-c", PEER], "painted", home))
    ours, peer = ours[1:], peer[1:]  # the first ones warm the disk's caches
    ratio = statistics.median(a / b for a, b in zip(ours, peer, strict=True))
    print(f"first paint, {runs} runs each: console {statistics.median(ours):.2f} s, ", end="")
    print(f"smallest Textual app {statistics.median(peer):.2f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
