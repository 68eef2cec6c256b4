"""Draws the README's screenshot: the console itself, on the embedded model, with tasks really run.

Run: python -m tests.aios_tui.console.screenshot FILE.svg [THEME]
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from aios_tui.config.settings import Settings
from aios_tui.console.app import ConsoleApp
from aios_tui.runtime.runtime import Runtime
from engine.task import TaskSpec
from tests.aios_tui.console.memory_runs import MemoryRuns

FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts that a viewer would fetch from the network; the picture does with the viewer's own."""

FIRST = (
    TaskSpec(prompt="Why is the sky blue?", priority=3),
    TaskSpec(prompt="The harbour committee met on Tuesday and agreed to paint the pier.", agent="summarise"),
    TaskSpec(prompt="Guten Morgen, liebe Gans!", agent="translate", priority=4),
    TaskSpec(prompt="Hello", model="qwen3:8b", priority=7),
)
THEN = (
    TaskSpec(prompt="Tell me a funny story", agent="story_teller", priority=2),
    TaskSpec(prompt="For what reason is my monitor not working?", agent="tech_support_agent", priority=0),
    TaskSpec(prompt="For what reason is my graphics card not working?", agent="tech_support_agent", priority=4),
    TaskSpec(prompt="Summarise the minutes of the harbour committee", agent="summarise", client="nightly"),
    TaskSpec(prompt="日本の首都はどこですか。", priority=6),
    TaskSpec(prompt="What is the difference between a mutex and a semaphore?", priority=7, client="bob"),
    TaskSpec(prompt="Tell me a story.", agent="story_teller", priority=9, client="nightly"),
)


async def draw(file: Path, theme: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(
            db=folder / "history.sqlite3",
            core="auto",
            policy="npps",
            theme=theme,
            agents_folder=folder,
            themes_folder=folder,
        )
        runtime = Runtime(settings)
        await runtime.open()
        app = ConsoleApp(runtime, runs=MemoryRuns())
        try:
            async with app.run_test(size=(120, 36)) as pilot:
                while not app.live:
                    await pilot.pause(0.1)
                for task in await runtime.kernel.submit_many(FIRST):
                    await runtime.kernel.wait(task)
                await runtime.kernel.submit_many(THEN)
                while not any(slot.tokens > 60 for slot in app.view.slots.values()):
                    await pilot.pause(0.1)
                await pilot.press("down")
                await pilot.pause(0.5)
                drawn = app.export_screenshot(title="aios-tui")
                file.write_text(FONT_FACE.sub("", drawn).replace("Fira Code", "monospace"))
        finally:
            await runtime.close()


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
