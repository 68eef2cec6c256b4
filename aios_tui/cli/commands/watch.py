"""`aios-tui watch`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.exit_codes import CommandFailed
from aios_tui.cli.options import json_option, settings_options
from aios_tui.cli.output import duration, print_json, print_line, print_note
from aios_tui.cli.remote import connect
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.runtime.client import Remote, RemoteEvent


@click.command()
@click.option("--task", type=click.IntRange(1), metavar="ID", help="Only events of this task, until it has ended.")
@click.option("--tokens", is_flag=True, help="With --json: also the pieces of replies as they stream.")
@click.option("--past/--no-past", default=False, help="First the events that lead to the present state.")
@json_option('Print one JSON line per event: {"event": …} and its fields.')
@settings_options("config", "db")
def watch(task: int | None, tokens: bool, past: bool, as_json: bool) -> None:
    """Follow the events of the running console or service until it stops; ctrl-C ends it."""
    with connect() as remote:
        if task is not None and _find_task(remote, task)["ended_at"] is not None:
            print_note(f"task {task} has ended; see `aios-tui history show {task}`")
            return
        for event in remote.events(task=task, tokens=tokens and as_json, past=past):
            if as_json:
                print_json({"event": event.kind} | event.data)
            elif text := format_event(event):
                print_line(f"{time.strftime('%H:%M:%S', time.localtime(event.data.get('at')))}  {text}")
            if task is not None and event.kind == "task_ended":
                return
    print_note("the service has stopped")


def _find_task(remote: Remote, task: int) -> dict[str, Any]:
    """Return the task's record. Raises CommandFailed when there is no such task."""
    from engine.errors import UsageError

    try:
        return remote.get(f"/v1/tasks/{task}")
    except UsageError as error:
        raise CommandFailed(str(error)) from None


def format_event(event: RemoteEvent) -> str:
    """Format an event as one line; empty for kinds that matter only to programs."""
    formatter = _FORMATTERS.get(event.kind)
    return one_line(formatter(event.data), 300) if formatter else ""


def _format_ended(data: dict[str, Any]) -> str:
    record = data["final"]
    text = record["result"] if data["state"] == "done" else record["error"]
    return f"#{data['task']} {data['state']} after {duration(record['turnaround_s'])}: {one_line(text or '', 120)}"


def _format_accepted(data: dict[str, Any]) -> str:
    spec = data["spec"]
    client = f" for {spec['client']}" if spec.get("client") else ""
    return f"#{data['task']} queued{client}: @{spec.get('agent', 'chat')} {one_line(spec.get('prompt', ''), 120)}"


def _format_attempt_ended(data: dict[str, Any]) -> str:
    result = f": {data['error']}" if data["error"] else f", {data['usage']['tokens_out']} tokens"
    retry = f", retry in {duration(data['retry_in_s'])}" if data["retry_in_s"] is not None else ""
    return f"#{data['task']} round {data['round']} {data['state']} after {duration(data['service_s'])}{result}{retry}"


def _reason(data: dict[str, Any]) -> str:
    return f": {data['reason']}" if data["reason"] else ""


_FORMATTERS: dict[str, Any] = {
    "task_accepted": _format_accepted,
    "task_recovered": _format_accepted,
    "task_started": lambda d: f"#{d['task']} started",
    "task_requeued": lambda d: f"#{d['task']} back in the queue: {d['reason']}",
    "task_reprioritised": lambda d: f"#{d['task']} priority {d['previous']} → {d['priority']}",
    "task_held": lambda d: f"#{d['task']} {'held' if d['held'] else 'released'}",
    "task_ended": _format_ended,
    "attempt_started": lambda d: f"#{d['task']} round {d['round']} on {d['slot']}",
    "attempt_ended": _format_attempt_ended,
    "policy_changed": lambda d: f"policy {d['policy']}",
    "kernel_state_changed": lambda d: f"kernel {d['state']}{_reason(d)}",
    "slot_changed": lambda d: f"slot {d['slot']} {d['state']}{_reason(d)}",
    "notice": lambda d: f"{d['level']}: {d['text']}",
    "lost": lambda _: "some events were lost: too many came at once",
}
