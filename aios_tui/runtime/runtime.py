"""The composition root: one run of the program, with or without a screen."""

from __future__ import annotations

import asyncio
import logging
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
from engine.kernel import Kernel
from engine.sanitise import one_line
from engine.scheduling import parse_policy
from engine.store import Recovery
from engine.telemetry import Telemetry
from persistence import History, SqliteStore

log = logging.getLogger(__name__)


class Runtime:
    """Settings, history, agents, cores and kernel, put together.

    `open`, then `start`, then `close`, which is right at any moment and may be called twice. `agents` is there after
    `open`; `kernel` and `core_choices` after `start`.

    Attributes:
        history: the read side, on a connection of its own.
        agent_problems: a line for each agent file that could not be used.
        core_choices: the cores, and why each was taken.
        record_to: set before `open`, a new file into which all is recorded from the start on.
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
            StoreError: the history can't be opened, or another process has it. One line.
            UsageError: the file to record to is there already, or an exporter's library is missing.
        """
        if self.record_to is not None and self.record_to.exists():
            raise UsageError(f"{self.record_to} is there already: recordings go into a new file")
        await asyncio.to_thread(self.exports.open)
        self.agents, self.agent_problems = await asyncio.to_thread(load_catalogue, self.settings.agents_folder)
        for problem in self.agent_problems:
            log.warning("%s", problem)
        await self.store.open()

    async def watch_agents(self) -> None:
        """Take the user's agents up anew whenever one of their files changes, until cancelled. Needs the kernel."""
        from watchfiles import awatch

        folder = self.settings.agents_folder
        try:
            await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
            seen = False  # what changed before the watcher was up shows when it first says that nothing did
            async for changes in awatch(folder, recursive=False, debounce=200, yield_on_timeout=True):
                if changes or not seen:
                    await self._reload_agents()
                seen = True
        except (OSError, RuntimeError) as error:
            self._say("warning", f"changed agents are not taken up: {one_line(str(error), 200)}")

    async def _reload_agents(self) -> None:
        before = {agent.name: agent for agent in self.agents.agents()}
        loaded, problems = await asyncio.to_thread(load_catalogue, self.settings.agents_folder)
        self.agents.replace(loaded)
        after = {agent.name: agent for agent in loaded.agents()}
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if changed:
            self._say("info", f"agents changed: {', '.join(changed)}")
        for problem in problems:
            if problem not in self.agent_problems:
                self._say("warning", problem)
        self.agent_problems[:] = problems

    def _say(self, level: Literal["info", "warning"], text: str) -> None:
        log.info("%s", text)
        self.kernel.publish(Notice(self.kernel.now(), level, text))

    async def start(self, *, recover: bool = True, paused: bool = False) -> Recovery:
        """Choose the cores, and start them and the kernel on them; see `Kernel.start`.

        Of several cores that are servers, those that do not answer are down until they do.

        Raises:
            UsageError: the setting `core` is none. CoreError: a core could not be started.
            StoreError: the history could not be read or written. KernelClosed: the session was closed meanwhile.
        """
        settings = self.settings
        policy = parse_policy(settings.policy)
        choices = await choose_cores(settings.core, **settings.core_arguments())
        if self._closed:
            for choice in choices:
                await choice.core.stop(drain_s=0)
            raise KernelClosed("the session was closed while it started")
        for choice in choices:
            log.info("core %s: %s", choice.core.name, choice.why)
        kernel = Kernel(
            cores=[choice.core for choice in choices],
            store=self.store,
            agents=self.agents,
            policy=policy,
            config=settings.kernel_config(),
        )
        self._starting = kernel  # so that it is stopped when the session is closed meanwhile
        self.exports.follow(kernel)
        recovery = await kernel.start(recover=recover, paused=paused)
        self.core_choices, self.kernel, self._kernel = choices, kernel, kernel
        self.store.name_core(self.core_names)
        if self.record_to is not None:
            await self.record(self.record_to)
        return recovery

    @property
    def core_names(self) -> str:
        """The names of the cores, with commas between."""
        return ", ".join(choice.core.name for choice in self.core_choices)

    def told_cores(self) -> list[str]:
        """A line for each core as it was when last looked at: name, default model, why it was chosen, what is wrong."""
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
        """The file that is being recorded to, None when nothing is."""
        return None if self._recording is None else self._recording.path

    @property
    def recorded(self) -> int:
        """Tasks in the present recording so far."""
        return 0 if self._recording is None else self._recording.tasks

    @property
    def recording_over(self) -> bool:
        """The present recording ended by itself; `stop_recording` says why."""
        return self._recording is not None and self._recording.over

    async def record(self, path: Path) -> None:
        """Write what is submitted from now on, and switches of policy, to a new workload file.

        Raises:
            UsageError: no kernel runs, something is recorded already, or the file can't be made or is there.
        """
        if self._kernel is None:
            raise UsageError("nothing runs yet that could be recorded")
        if self._recording is not None:
            raise UsageError(f"{self._recording.path} is being recorded already")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{path.parent}: {error.strerror or error}") from None
        self._recording = Recording(self._kernel, path)

    async def stop_recording(self) -> Path | None:
        """Finish the file; returns it, None when nothing was recorded. Raises UsageError when it is not whole."""
        recording, self._recording = self._recording, None
        if recording is None:
            return None
        await recording.stop()
        return recording.path

    async def close(self, *, drain_s: float = 0.0) -> None:
        """Stop the kernel, which leaves what runs and waits for the next start, and let the history go. Idempotent.

        Raises:
            StoreError: the disk would not take the last records; all is let go.
        """
        self._closed, self._kernel = True, None
        try:
            if self._starting is not None:
                await self._starting.stop(drain_s=drain_s)
        finally:
            try:
                await self.exports.close()
                await self.stop_recording()
            except UsageError as error:
                log.warning("%s", error)
            finally:
                try:
                    await self.store.close()
                finally:
                    await self.history.close()
                    self.telemetry.close()
