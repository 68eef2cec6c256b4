"""The composition root: builds history, agents, cores, kernel and exporters for one run of the program.

The console and every headless command use it, so that all of them open, start and close in the same order. Nothing else
constructs a kernel or a store. `ServedRuntime` (served.py) adds the HTTP service.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

from aios_tui import __version__
from aios_tui.config.settings import Settings
from aios_tui.runtime.exporters import Exports
from aios_tui.runtime.recording import Recording
from engine.agents.catalogue import AgentCatalogue, load_catalogue
from engine.cores.factory import CoreChoice, choose_cores
from engine.errors import KernelClosed, UsageError
from engine.events import Notice
from engine.files import file_error, make_private_folder
from engine.kernel import Kernel
from engine.sanitise import one_line
from engine.scheduling import parse_policy
from engine.store import Recovery
from engine.telemetry import Telemetry
from persistence import History, SqliteStore

log = logging.getLogger(__name__)


class Runtime:
    """One run of the program: `open`, then `start`, then `close`.

    `close` is allowed at any moment and may be repeated. `agents` exists after `open`; `kernel` and `core_choices`
    after `start`.

    Attributes:
        store, history: the history's write side and its read side, on connections of their own.
        exports: exporters for monitoring. telemetry: samples of this machine.
        agent_problems: a line for each agent file that can't be used.
        core_choices: the cores, and why each was chosen.
        record_to: set it before `open` to record everything to this new file from the start.
    """

    agents: AgentCatalogue
    kernel: Kernel
    core_choices: list[CoreChoice]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = SqliteStore(settings.db, program="aios-tui", version=__version__)
        self.history = History(settings.db)
        self.telemetry = Telemetry()
        self.exports = Exports(settings)
        self.agent_problems: list[str] = []
        self._starting: Kernel | None = None
        self._kernel: Kernel | None = None
        self._recording: Recording | None = None
        self.record_to: Path | None = None
        self._closed = False

    async def open(self) -> None:
        """Load the agents; open, migrate and lock the history.

        Raises:
            StoreError: the history can't be opened, or another process has it; one line.
            UsageError: the file to record to exists, or an exporter's library is missing.
        """
        if self.record_to is not None and self.record_to.exists():
            raise UsageError(f"{self.record_to} exists already: a recording needs a new file")
        await asyncio.to_thread(self.exports.open)
        self.agents, self.agent_problems = await asyncio.to_thread(load_catalogue, self.settings.agents_folder)
        for problem in self.agent_problems:
            log.warning("%s", problem)
        await self.store.open()

    async def watch_agents(self) -> None:
        """Reload the user's agents whenever one of their files changes, until cancelled. Needs the kernel."""
        from watchfiles import awatch

        folder = self.settings.agents_folder
        try:
            await asyncio.to_thread(make_private_folder, folder)
            seen = False  # the first report covers changes made before the watcher was ready
            async for changes in awatch(folder, recursive=False, debounce=200, yield_on_timeout=True):
                if changes or not seen:
                    await self._reload_agents()
                seen = True
        except (OSError, RuntimeError) as error:
            self._notify("warning", f"changed agents are not reloaded: {one_line(str(error), 200)}")

    async def _reload_agents(self) -> None:
        before = {agent.name: agent for agent in self.agents.agents()}
        loaded, problems = await asyncio.to_thread(load_catalogue, self.settings.agents_folder)
        self.agents.replace(loaded)
        after = {agent.name: agent for agent in loaded.agents()}
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if changed:
            self._notify("info", f"agents changed: {', '.join(changed)}")
        for problem in problems:
            if problem not in self.agent_problems:
                self._notify("warning", problem)
        self.agent_problems[:] = problems

    def _notify(self, level: Literal["info", "warning"], text: str) -> None:
        log.info("%s", text)
        self.kernel.publish(Notice(self.kernel.now(), level, text))

    async def start(self, *, recover: bool = True, paused: bool = False) -> Recovery:
        """Choose the cores, build the kernel on them and start it; see `Kernel.start`.

        With several server cores, those that do not answer are down until they do.

        Raises:
            UsageError: the setting `core` is invalid. CoreError: a core can't be started.
            StoreError: the history can't be read or written. KernelClosed: `close` was called meanwhile.
        """
        settings = self.settings
        policy = parse_policy(settings.policy)
        choices = await choose_cores(settings.core, **settings.core_arguments())
        if self._closed:
            for choice in choices:
                await choice.core.stop(drain_s=0)
            raise KernelClosed("the program was stopped while it started")
        for choice in choices:
            log.info("core %s: %s", choice.core.name, choice.why)
        kernel = Kernel(
            cores=[choice.core for choice in choices],
            store=self.store,
            agents=self.agents,
            policy=policy,
            config=settings.kernel_config(),
        )
        self._starting = kernel  # so that `close` stops it, if called meanwhile
        self.exports.follow(kernel)
        recovery = await kernel.start(recover=recover, paused=paused)
        self.core_choices, self.kernel, self._kernel = choices, kernel, kernel
        self.store.name_core(self.core_names)
        if self.record_to is not None:
            await self.record(self.record_to)
        return recovery

    @property
    def core_names(self) -> str:
        """The names of the cores, separated by commas."""
        return ", ".join(choice.core.name for choice in self.core_choices)

    def describe_cores(self) -> list[str]:
        """Return a line per core as last inspected: name, default model, reason of the choice, and what is wrong."""
        infos = {info.name: info for info in self.kernel.infos}
        lines = []
        for choice in self.core_choices:
            info = infos.get(choice.core.name)
            model = f", {info.default_model}" if info and info.default_model else ""
            down = f" (down: {info.detail})" if info and not info.healthy and info.detail else ""
            lines.append(f"core {choice.core.name}{model}: {choice.why}{down}")
        return lines

    @property
    def recording(self) -> Path | None:
        """The file being recorded to, None without a recording."""
        return None if self._recording is None else self._recording.path

    @property
    def recorded(self) -> int:
        """Number of tasks in the present recording."""
        return 0 if self._recording is None else self._recording.tasks

    @property
    def recording_over(self) -> bool:
        """True when the present recording ended by itself; `stop_recording` raises the reason."""
        return self._recording is not None and self._recording.over

    async def record(self, path: Path) -> None:
        """Record from now on to a new workload file.

        Raises:
            UsageError: no kernel runs, a recording runs already, or the file exists or can't be created.
        """
        if self._kernel is None:
            raise UsageError("can't record: the kernel is not running")
        if self._recording is not None:
            raise UsageError(f"{self._recording.path} is being recorded already")
        try:
            make_private_folder(path.parent)
        except OSError as error:
            raise UsageError(f"{path.parent}: {file_error(error)}") from None
        self._recording = Recording(self._kernel, path)

    async def stop_recording(self) -> Path | None:
        """Finish the file and return it, None without a recording. Raises UsageError when it is incomplete."""
        recording, self._recording = self._recording, None
        if recording is None:
            return None
        await recording.stop()
        return recording.path

    async def close(self, *, drain_s: float = 0.0) -> None:
        """Stop the kernel, whose unfinished tasks stay for the next start, and close everything. Idempotent.

        Raises:
            StoreError: the last records can't be written; everything is closed all the same.
        """
        self._closed, self._kernel = True, None
        async with AsyncExitStack() as closing:  # calls the last one first, and all of them whatever happens
            closing.callback(self.telemetry.close)
            closing.push_async_callback(self.history.close)
            closing.push_async_callback(self.store.close)
            closing.push_async_callback(self._end_recording)
            closing.push_async_callback(self.exports.close)
            if self._starting is not None:
                await self._starting.stop(drain_s=drain_s)

    async def _end_recording(self) -> None:
        try:
            await self.stop_recording()
        except UsageError as error:
            log.warning("%s", error)
