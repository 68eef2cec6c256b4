"""Pulls, loads, unloads and deletions of models, which continue whatever screen is shown."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Literal, Protocol

from aios_tui.formatting import numbers
from engine.cores.model_management import ModelManager, PullProgress, model_manager_of
from engine.errors import AiosError
from engine.wording import plural

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aios_tui.console.state.bridge import Bridge
    from aios_tui.console.state.ports import ConsoleRuntime
    from aios_tui.console.state.view_state import ViewState


class JobHost(Protocol):
    """The console as jobs use it."""

    leaving: bool
    runtime: ConsoleRuntime
    bridge: Bridge

    @property
    def live(self) -> bool: ...
    @property
    def view(self) -> ViewState: ...
    def notify(self, message: str, *, severity: Literal["information", "warning", "error"] = ...) -> None: ...
    def background(self, job: Callable[[], Awaitable[None]], *, group: str) -> None: ...


Kind = Literal["pull", "load", "unload", "delete"]
DOING: dict[Kind, str] = {"pull": "pulling", "load": "loading", "unload": "unloading", "delete": "deleting"}
REDRAW_S = 0.1
WARN_AGAIN_S = 10.0


@dataclass(slots=True, eq=False)
class Job:
    """One operation on one model of one core. `rate`: bytes per second of the layer that is being pulled."""

    core: str
    model: str
    kind: Kind
    progress: PullProgress = field(default_factory=lambda: PullProgress(""))
    rate: float | None = None
    task: asyncio.Task[None] | None = None
    _since: float = 0.0
    _from: int = 0
    _layer: str = field(default="\0")

    def update(self, progress: PullProgress, now: float) -> None:
        """Record the progress at `now`, in seconds."""
        if progress.status != self._layer:
            self._layer, self._since, self._from, self.rate = progress.status, now, progress.done, None
        elif now - self._since >= 1.0:
            self.rate = max(0, progress.done - self._from) / (now - self._since)
        self.progress = progress


class ModelJobs:
    """At most one job per model at a time. The operator gets one line when a job ends."""

    def __init__(self, app: JobHost) -> None:
        self._app = app
        self.running: dict[tuple[str, str], Job] = {}
        self._warned = -WARN_AGAIN_S

    def managers(self) -> dict[str, ModelManager]:
        """Return the model managers of the cores that have one, by core name."""
        if not self._app.live:
            return {}
        found = {core.name: model_manager_of(core) for core in self._app.runtime.kernel.cores}
        return {name: manager for name, manager in found.items() if manager is not None}

    def job(self, core: str, model: str) -> Job | None:
        """Return the job on a model, if there is one."""
        return self.running.get((core, model))

    def pull_summary(self) -> tuple[str, str] | None:
        """Return model and progress of the oldest pull, for the header: `43 %`, with `+1` if there is another."""
        pulls = self._pulls()
        if not pulls:
            return None
        progress, more = pulls[0].progress, f" +{len(pulls) - 1}" if len(pulls) > 1 else ""
        return pulls[0].model, (f"{int(100 * progress.done / progress.total)} %" if progress.total else "…") + more

    def _pulls(self) -> list[Job]:
        return [job for job in self.running.values() if job.kind == "pull"]

    def warn_before_leaving(self) -> bool:
        """Warn that leaving stops pulls, if the last warning is over. Returns True if it did: then don't leave yet."""
        now = monotonic()
        if not self.lost_by_leaving or now - self._warned < WARN_AGAIN_S:
            return False
        self._warned = now
        self._app.notify(f"{self.lost_by_leaving} q again leaves", severity="warning")
        return True

    @property
    def lost_by_leaving(self) -> str:
        """The effect of leaving on running pulls; empty when there are none."""
        pulls = len(self._pulls())
        return f"{plural(pulls, 'pull')} would stop; the next resumes there." if pulls else ""

    def choose_default(self, core: str, model: str) -> None:
        """Make this the core's default model until the program ends."""
        manager = self.managers().get(core)
        if manager is not None:
            manager.choose_default(model)
            self._app.notify(f"{model} is the default model of {core} until the program ends")

    def pull(self, core: str, model: str) -> None:
        """Download a model."""
        self._begin(core, model, "pull", self._pull)

    def load(self, core: str, model: str) -> None:
        """Load a model into memory."""
        self._begin(core, model, "load", self._load)

    def unload(self, core: str, model: str) -> None:
        """Unload a model from memory."""
        self._begin(core, model, "unload", self._unload)

    def delete(self, core: str, model: str) -> None:
        """Delete a model; the operator has confirmed."""
        self._begin(core, model, "delete", self._delete)

    def cancel(self, core: str, model: str) -> bool:
        """Stop a pull or a load, here and at the server. Returns False when there is none."""
        job = self.job(core, model)
        if job is None or job.task is None or job.kind not in ("pull", "load"):
            return False
        job.task.cancel()
        return True

    def _begin(self, core: str, model: str, kind: Kind, work: Callable[[ModelManager, Job], Awaitable[str]]) -> None:
        manager = self.managers().get(core)
        if manager is None:
            self._app.notify(f"core {core} can't manage models", severity="warning")
        elif (other := self.job(core, model)) is not None:
            self._app.notify(f"already {DOING[other.kind]} {model}" if other.kind == kind
                           else f"busy {DOING[other.kind]} {model}", severity="warning")  # fmt: skip
        else:
            job = self.running[core, model] = Job(core, model, kind)
            self._app.background(partial(self._run, job, work, manager), group="models")
            self._redraw()

    async def _run(self, job: Job, work: Callable[[ModelManager, Job], Awaitable[str]], manager: ModelManager) -> None:
        job.task = asyncio.current_task()
        try:
            text, severity = await work(manager, job), "information"
        except AiosError as error:
            text, severity = str(error), "error"
        except asyncio.CancelledError:
            if not self._app.leaving:
                resumes = "; the next pull resumes there" if job.kind == "pull" else ""
                self._app.notify(f"{DOING[job.kind]} {job.model} stopped{resumes}", severity="warning")
            raise
        finally:
            self.running.pop((job.core, job.model), None)
            self._redraw()
        if not self._app.leaving:
            self._app.notify(text, severity="error" if severity == "error" else "information")

    async def _pull(self, manager: ModelManager, job: Job) -> str:
        drawn = 0.0
        async with aclosing(manager.pull(job.model)) as steps:
            async for step in steps:
                now = monotonic()
                job.update(step, now)
                if now - drawn >= REDRAW_S:
                    drawn = now
                    self._redraw()
                await asyncio.sleep(0)  # let keys in between, however fast the server reports
        return f"{job.model} is pulled"

    async def _load(self, manager: ModelManager, job: Job) -> str:
        return f"{job.model} is loaded, in {numbers.took(await manager.load(job.model))}"

    async def _unload(self, manager: ModelManager, job: Job) -> str:
        await manager.unload(job.model)
        return f"{job.model} is unloaded, or will be after its running tasks"

    async def _delete(self, manager: ModelManager, job: Job) -> str:
        await manager.delete(job.model)
        return f"{job.model} is deleted"

    def _redraw(self) -> None:
        """Redraw core panels in the next frame."""
        self._app.view.changes.cores = True
        self._app.bridge.emit()
