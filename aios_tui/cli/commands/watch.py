"""`aios-tui watch`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.options import common
from aios_tui.cli.output import Output, duration
from aios_tui.cli.remote import remote_of
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.runtime.client import RemoteEvent


@click.command()
@click.option("--task", type=click.IntRange(1), metavar="ID", help="Only what is about this task, until it has ended.")
@click.option("--tokens", is_flag=True, help="The pieces of the models' answers, too (with --json).")
@click.option("--past/--no-past", default=False, help="First, events from which the present state can be made.")
@click.option("--json", "as_json", is_flag=True, help='A JSON line an event: {"event": …} and its fields.')
@common
@click.pass_context
def watch(ctx: click.Context, /, task: int | None, tokens: bool, past: bool, as_json: bool) -> None:
    """Follow what happens in the running console or service, until it stops, or interrupted."""
    out = Output()
    with remote_of(ctx) as remote:
        if task is not None and remote.get(f"/v1/tasks/{task}")["ended_at"] is not None:
            out.say(f"task {task} has ended; `aios-tui history show {task}` tells of it")
            return
        for event in remote.events(task=task, tokens=tokens and as_json, past=past):
            if as_json:
                out.line(json.dumps({"event": event.kind} | event.data, ensure_ascii=False))
            elif words := describe(event):
                out.line(f"{time.strftime('%H:%M:%S', time.localtime(event.data.get('at')))}  {words}")
            if task is not None and event.kind == "task_ended":
                return
    out.say("the service has stopped")


def describe(event: RemoteEvent) -> str:
    """An event on one line; empty for those that a reader would not miss."""
    data = event.data
    words = _WORDS.get(event.kind)
    return one_line(words(data), 300) if words else ""


def _ended(data: dict[str, Any]) -> str:
    record = data["final"]
    told = record["result"] if data["state"] == "done" else record["error"]
    return f"#{data['task']} {data['state']} after {duration(record['turnaround_s'])}: {one_line(told or '', 120)}"


def _accepted(data: dict[str, Any]) -> str:
    spec = data["spec"]
    who = f" for {spec['client']}" if spec.get("client") else ""
    return f"#{data['task']} queued{who}: @{spec.get('agent', 'chat')} {one_line(spec.get('prompt', ''), 120)}"


def _attempt_ended(data: dict[str, Any]) -> str:
    told = f": {data['error']}" if data["error"] else f", {data['usage']['tokens_out']} tokens"
    again = f", again in {duration(data['retry_in_s'])}" if data["retry_in_s"] is not None else ""
    return f"#{data['task']} round {data['round']} {data['state']} after {duration(data['service_s'])}{told}{again}"


_WORDS: dict[str, Any] = {
    "task_accepted": _accepted,
    "task_recovered": _accepted,
    "task_started": lambda d: f"#{d['task']} started",
    "task_requeued": lambda d: f"#{d['task']} back in the queue: {d['reason']}",
    "task_reprioritised": lambda d: f"#{d['task']} priority {d['previous']} → {d['priority']}",
    "task_held": lambda d: f"#{d['task']} {'held' if d['held'] else 'released'}",
    "task_ended": _ended,
    "attempt_started": lambda d: f"#{d['task']} round {d['round']} on {d['slot']}",
    "attempt_ended": _attempt_ended,
    "policy_changed": lambda d: f"policy {d['policy']}",
    "kernel_state_changed": lambda d: f"kernel {d['state']}{': ' + d['reason'] if d['reason'] else ''}",
    "slot_changed": lambda d: f"slot {d['slot']} {d['state']}{': ' + d['reason'] if d['reason'] else ''}",
    "notice": lambda d: f"{d['level']}: {d['text']}",
    "lost": lambda _: "some events were lost: too many came at once",
}
