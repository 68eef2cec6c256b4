"""Pulls, loads, unloads and deletions of models, which continue whatever screen is shown."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Literal

from textual.notifications import SeverityLevel

from aios_tui.formatting import numbers
from engine.cores.model_management import ModelManager, PullProgress, model_manager_of
from engine.errors import AiosError
from engine.wording import plural

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase


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

    def __init__(self, app: ConsoleBase) -> None:
        self._app = app
        self.running: dict[tuple[str, str], Job] = {}
        self._warned = -WARN_AGAIN_S

    def managers(self) -> dict[str, ModelManager]:
        """Return the model managers of the cores that have one, by core name."""
        if not self._app.live:
            return {}
        found = {core.name: model_manager_of(core) for core in self._app.runtime.kernel.cores}
        return {name: manager for name, manager in found.items() if manager is not None}

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

    def start(self, kind: Kind, core: str, model: str) -> None:
        """Pull, load, unload or delete a model; the operator has confirmed a deletion."""
        manager = self.managers().get(core)
        if manager is None:
            self._app.notify(f"core {core} can't manage models", severity="warning")
        elif (other := self.running.get((core, model))) is not None:
            how = "already" if other.kind == kind else "busy"
            self._app.notify(f"{how} {DOING[other.kind]} {model}", severity="warning")
        else:
            job = self.running[core, model] = Job(core, model, kind)
            self._app.background(partial(self._run, job, manager), group="models")
            self._redraw()

    def cancel(self, core: str, model: str) -> bool:
        """Stop a pull or a load, here and at the server. Returns False when there is none."""
        job = self.running.get((core, model))
        if job is None or job.task is None or job.kind not in ("pull", "load"):
            return False
        job.task.cancel()
        return True

    async def _run(self, job: Job, manager: ModelManager) -> None:
        job.task = asyncio.current_task()
        severity: SeverityLevel = "information"
        try:
            text = await self._carry_out(job, manager)
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
            self._app.notify(text, severity=severity)

    async def _carry_out(self, job: Job, manager: ModelManager) -> str:
        """Do the job and say what it did. Raises AiosError."""
        match job.kind:
            case "pull":
                await self._pull(job, manager)
                return f"{job.model} is pulled"
            case "load":
                return f"{job.model} is loaded, in {numbers.took(await manager.load(job.model))}"
            case "unload":
                await manager.unload(job.model)
                return f"{job.model} is unloaded, or will be after its running tasks"
            case "delete":
                await manager.delete(job.model)
                return f"{job.model} is deleted"

    async def _pull(self, job: Job, manager: ModelManager) -> None:
        drawn = 0.0
        async with aclosing(manager.pull(job.model)) as steps:
            async for step in steps:
                now = monotonic()
                job.update(step, now)
                if now - drawn >= REDRAW_S:
                    drawn = now
                    self._redraw()
                await asyncio.sleep(0)  # let keys in between, however fast the server reports

    def _redraw(self) -> None:
        """Redraw core panels in the next frame."""
        self._app.view.changes.cores = True
        self._app.bridge.emit()
