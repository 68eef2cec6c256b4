"""What the console does to models: pulls, loads, unloads and deletions, which go on whatever screen is shown."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Literal, Protocol

from aios_tui.formatting import numbers
from engine.cores.model_management import ModelKeeper, PullProgress, keeper_of
from engine.errors import AiosError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aios_tui.console.state.bridge import Bridge
    from aios_tui.console.state.ports import ConsoleRuntime
    from aios_tui.console.state.view_state import ViewState


class JobHost(Protocol):
    """What jobs ask of the console."""

    leaving: bool
    runtime: ConsoleRuntime
    bridge: Bridge

    @property
    def live(self) -> bool: ...
    @property
    def view(self) -> ViewState: ...
    def tell(self, text: str, severity: Literal["information", "warning", "error"] = ...) -> None: ...
    def background(self, job: Callable[[], Awaitable[None]], *, group: str) -> None: ...


Kind = Literal["pull", "load", "unload", "delete"]
DOING: dict[Kind, str] = {"pull": "pulling", "load": "loading", "unload": "unloading", "delete": "deleting"}
DRAWN_EVERY_S = 0.1
WARNED_S = 10.0


@dataclass(slots=True, eq=False)
class Job:
    """One operation on one model of one core. `rate` is the bytes a second of the layer that is being pulled."""

    core: str
    model: str
    kind: Kind
    progress: PullProgress = field(default_factory=lambda: PullProgress(""))
    rate: float | None = None
    task: asyncio.Task[None] | None = None
    _since: float = 0.0
    _from: int = 0
    _layer: str = field(default="\0")

    def take(self, progress: PullProgress, now: float) -> None:
        """Take note of how far it is at `now`, in seconds."""
        if progress.status != self._layer:
            self._layer, self._since, self._from, self.rate = progress.status, now, progress.done, None
        elif now - self._since >= 1.0:
            self.rate = max(0, progress.done - self._from) / (now - self._since)
        self.progress = progress


class ModelJobs:
    """At most one job a model at a time. How each ends is said to the operator in one line."""

    def __init__(self, app: JobHost) -> None:
        self._app = app
        self.running: dict[tuple[str, str], Job] = {}
        self._warned = -WARNED_S

    def keepers(self) -> dict[str, ModelKeeper]:
        """The cores that keep models, by name."""
        if not self._app.live:
            return {}
        found = {core.name: keeper_of(core) for core in self._app.runtime.kernel.cores}
        return {name: keeper for name, keeper in found.items() if keeper is not None}

    def job(self, core: str, model: str) -> Job | None:
        """What is being done to a model."""
        return self.running.get((core, model))

    def mark(self) -> tuple[str, str] | None:
        """The oldest pull that goes on, and how far it is, for the header: `43 %`, and `+1` for another one."""
        pulls = self._pulls()
        if not pulls:
            return None
        progress, more = pulls[0].progress, f" +{len(pulls) - 1}" if len(pulls) > 1 else ""
        return pulls[0].model, (f"{int(100 * progress.done / progress.total)} %" if progress.total else "…") + more

    def _pulls(self) -> list[Job]:
        return [job for job in self.running.values() if job.kind == "pull"]

    def warn_before_leaving(self) -> bool:
        """Say, once in a while, that leaving stops pulls. Returns whether that was said, and so not to leave yet."""
        now = monotonic()
        if not self.lost_by_leaving or now - self._warned < WARNED_S:
            return False
        self._warned = now
        self._app.tell(f"{self.lost_by_leaving} q again leaves", "warning")
        return True

    @property
    def lost_by_leaving(self) -> str:
        """What leaving does to pulls that go on; nothing where there are none."""
        pulls = len(self._pulls())
        return "" if not pulls else f"{pulls} pull{'' if pulls == 1 else 's'} would stop; the next goes on from there."

    def choose_default(self, core: str, model: str) -> None:
        """Have tasks that name no model answered by this one, until the program ends."""
        keeper = self.keepers().get(core)
        if keeper is not None:
            keeper.choose_default(model)
            self._app.tell(f"{model} answers at {core} what names no model, until the program ends")

    def pull(self, core: str, model: str) -> None:
        """Fetch a model."""
        self._begin(core, model, "pull", self._pull)

    def load(self, core: str, model: str) -> None:
        """Have it in memory."""
        self._begin(core, model, "load", self._load)

    def unload(self, core: str, model: str) -> None:
        """Take it out of memory."""
        self._begin(core, model, "unload", self._unload)

    def delete(self, core: str, model: str) -> None:
        """Remove it; the operator was asked."""
        self._begin(core, model, "delete", self._delete)

    def cancel(self, core: str, model: str) -> bool:
        """Stop a pull or a load, here and at the server. Returns False when there is none."""
        job = self.job(core, model)
        if job is None or job.task is None or job.kind not in ("pull", "load"):
            return False
        job.task.cancel()
        return True

    def _begin(self, core: str, model: str, kind: Kind, work: Callable[[ModelKeeper, Job], Awaitable[str]]) -> None:
        keeper = self.keepers().get(core)
        if keeper is None:
            self._app.tell(f"the core {core} has no models to manage", "warning")
        elif (already := self.job(core, model)) is not None:
            self._app.tell(f"{model} is {DOING[already.kind]} already" if already.kind == kind
                           else f"{model} is just {DOING[already.kind]}", "warning")  # fmt: skip
        else:
            job = self.running[core, model] = Job(core, model, kind)
            self._app.background(partial(self._carry_out, job, work, keeper), group="models")
            self._drawn()

    async def _carry_out(
        self, job: Job, work: Callable[[ModelKeeper, Job], Awaitable[str]], keeper: ModelKeeper
    ) -> None:
        job.task = asyncio.current_task()
        try:
            said, severity = await work(keeper, job), "information"
        except AiosError as error:
            said, severity = str(error), "error"
        except asyncio.CancelledError:
            if not self._app.leaving:
                goes_on = "; the next pull goes on from there" if job.kind == "pull" else ""
                self._app.tell(f"{DOING[job.kind]} {job.model} is stopped{goes_on}", "warning")
            raise
        finally:
            self.running.pop((job.core, job.model), None)
            self._drawn()
        if not self._app.leaving:
            self._app.tell(said, "error" if severity == "error" else "information")

    async def _pull(self, keeper: ModelKeeper, job: Job) -> str:
        drawn = 0.0
        async with aclosing(keeper.pull(job.model)) as steps:
            async for step in steps:
                now = monotonic()
                job.take(step, now)
                if now - drawn >= DRAWN_EVERY_S:
                    drawn = now
                    self._drawn()
                await asyncio.sleep(0)  # a server that floods must not keep the console from its keys
        return f"{job.model} is pulled"

    async def _load(self, keeper: ModelKeeper, job: Job) -> str:
        return f"{job.model} is loaded, in {numbers.took(await keeper.load(job.model))}"

    async def _unload(self, keeper: ModelKeeper, job: Job) -> str:
        await keeper.unload(job.model)
        return f"{job.model} is unloaded, or will be once it has answered"

    async def _delete(self, keeper: ModelKeeper, job: Job) -> str:
        await keeper.delete(job.model)
        return f"{job.model} is deleted"

    def _drawn(self) -> None:
        """Have it drawn: with the next frame of whatever shows cores."""
        self._app.view.changes.cores = True
        self._app.bridge.emit()
