"""Turns a workload into the columns that a virtual replay takes."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from engine.replay.service_model import CHARS_PER_TOKEN, ServiceModel
from engine.replay.tables import UNKNOWN, OperatorAction, TaskColumns
from engine.scheduling import Policy, parse_policy
from engine.task import DEFAULT_PRIORITY
from engine.workloads.format import ControlRow, Defaults, Item, TaskRow

T = TypeVar("T", int, float)


@dataclass(slots=True)
class ReplayInput:
    """The input of `simulate`, made from a workload.

    Attributes:
        switches: the workload's own switches of policy. actions: operators' other actions, in order of time.
        strays: actions on tasks that are not in the workload.
        estimated: tasks without token counts, whose tokens were estimated. given: tasks with their own service time.
        input_tokens, output_tokens: the tokens of each task that its service time was made from.
    """

    tasks: TaskColumns
    switches: list[tuple[float, Policy]] = field(default_factory=list)
    actions: list[OperatorAction] = field(default_factory=list)
    strays: int = 0
    estimated: int = 0
    given: int = 0
    input_tokens: array[int] = field(default_factory=lambda: array("L"))
    output_tokens: array[int] = field(default_factory=lambda: array("L"))


class _Ids:
    """Names of tasks; `t1`, `t2`, … in that order take no memory."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._count = 0

    def add(self, name: str | None) -> None:
        self._count += 1
        usual = f"t{self._count}"
        if self.names or (name is not None and name != usual):
            self.names = self.names or [f"t{number}" for number in range(1, self._count)]
            self.names.append(name or usual)


def build_input(
    items: Iterable[Item],
    defaults: Defaults | None = None,
    service: ServiceModel | None = None,
    rounds_of: Callable[[str], int | None] | None = None,
) -> ReplayInput:
    """Read `items` one by one into columns, sorted by time; items of one time stay in their order.

    `rounds_of` returns the rounds that an agent takes, None if not known; a task's service is split over them evenly.
    Without it every task is one round.
    """
    service, defaults = service or ServiceModel(), defaults or Defaults()
    tasks = TaskColumns(array("d"), array("b"), array("d"))
    made = ReplayInput(tasks)
    clients, models = {"": 0}, {"": 0}  # the index of each name, 0 for none
    reply = service.replies()
    ids = _Ids()
    controls: list[ControlRow] = []
    rounds: dict[str, int] = {}
    for item in items:
        if isinstance(item, ControlRow):
            if item.policy is not None:
                made.switches.append((item.at, parse_policy(item.policy)))
            else:
                controls.append(item)
            continue
        priority = item.priority if item.priority is not None else defaults.priority
        agent = item.agent or defaults.agent or "chat"
        if agent not in rounds:
            rounds[agent] = (rounds_of(agent) if rounds_of else None) or 1
        client, model = item.client or defaults.client or "", item.model or defaults.model or ""
        _add_work(made, item, model, service, reply)
        tasks.at.append(item.at)
        tasks.priority.append(DEFAULT_PRIORITY if priority is None else priority)
        tasks.rounds.append(rounds[agent])
        tasks.client.append(clients.setdefault(client, len(clients)))
        tasks.model.append(models.setdefault(model, len(models)))
        ids.add(item.id)
    tasks.clients, tasks.models, tasks.ids = list(clients), list(models), ids.names
    made.switches.sort(key=lambda switch: switch[0])
    _sort(made)
    _add_actions(made, controls)
    return made


def _add_actions(made: ReplayInput, controls: list[ControlRow]) -> None:
    """Turn controls into actions: the tasks that they name become indices."""
    if not controls:
        return
    indices = {made.tasks.id(index): index for index in range(len(made.tasks))}
    for control in sorted(controls, key=lambda control: control.at):
        index = None if control.task is None else indices.get(control.task, -1)
        if index == -1:
            made.strays += 1
        elif control.op != "policy":
            made.actions.append(OperatorAction(control.at, control.op, index, control.priority))


def _add_work(
    made: ReplayInput, row: TaskRow, model: str | None, service: ServiceModel, reply: Callable[[], int]
) -> None:
    """Append the row's tokens and its seconds."""
    tasks, rates = made.tasks, service.rates_for(model)
    read, written = row.input_tokens, row.output_tokens
    use_given = row.service is not None and service.use_given
    if read is None:
        read = math.ceil(len(row.prompt or "") / CHARS_PER_TOKEN)
    if written is None:
        capped = row.options.max_tokens if row.options else None
        written = min(reply(), capped) if capped else reply()
    made.input_tokens.append(read)
    made.output_tokens.append(written)
    if use_given and row.service is not None:
        made.given += 1
        tasks.service.append(row.service)
        tasks.prefill.append(UNKNOWN)
        return
    made.estimated += row.input_tokens is None or row.output_tokens is None
    tasks.service.append(read / rates.prefill + written / rates.decode)
    tasks.prefill.append(read / rates.prefill)


def _sort(made: ReplayInput) -> None:
    tasks = made.tasks
    at = tasks.at
    if all(map(float.__le__, at, at[1:])):
        return
    order = sorted(range(len(at)), key=at.__getitem__)

    def arranged(column: array[T]) -> array[T]:
        return array(column.typecode, [column[index] for index in order])

    tasks.ids = [tasks.id(index) for index in order]
    for name in ("at", "service", "prefill", "priority", "rounds", "client", "model"):
        setattr(tasks, name, arranged(getattr(tasks, name)))
    made.input_tokens, made.output_tokens = arranged(made.input_tokens), arranged(made.output_tokens)
