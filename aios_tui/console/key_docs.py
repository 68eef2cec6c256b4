"""The key tables as a page of the docs: `python -m aios_tui.console.key_docs > docs/keys.md`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from aios_tui.console.actions import BY_ID, MAIN, MEANINGS, POLICIES, Action
from aios_tui.console.screen_keys import SCREENS, Scope, Use

TITLES: dict[Scope, str] = {
    "task": "Task screen",
    "models": "Models screen",
    "workloads": "Workloads screen",
    "compare": "Comparison screen",
    "metrics": "Metrics screen",
    "agents": "Agents",
    "themes": "Theme picker",
    "help": "Help",
    "model": "Model details",
    "form": "New task form",
    "priority": "Priority field of the form",
    "quick line": "Quick line",
    "pull": "Pull a model",
    "export": "Export a task",
    "delete model": "Delete a model",
    "quit": "Quit",
}
INTRODUCTION = """\
# Keys

A key means the same thing on every screen; only while you type text do keys have another meaning. `?` shows the keys of
the screen you are on, and so does `f1`, also while you type.

Every action of the main screen is also in the command palette (`ctrl+p`), available actions first. A key that is not
available now is dim in the footer; pressing it shows the reason.

`ctrl+q` quits the program from every screen. So does `ctrl+c` while no window is open and no text is selected."""

FOOTER = "[README](../README.md) · next: [agents](agents.md)"


def markdown() -> str:
    """Return the page `docs/keys.md`; a test keeps the file equal to it."""
    lines = [INTRODUCTION]
    lines += [
        "",
        "## Keys of several screens",
        *_table((BY_ID[id_], BY_ID[id_].shown_keys, m) for id_, m in MEANINGS.items()),
    ]
    by_group = sorted(MAIN, key=lambda action: action.group)
    for group, actions in groupby(by_group, key=lambda action: action.group):
        lines += ["", f"## Main screen: {group.lower()}", *_table((a, a.shown_keys, a.description) for a in actions)]
    for scope, title in TITLES.items():
        rows = ((use.action, _keys(use), use.description) for use in SCREENS[scope])
        lines += ["", f"## {title}", *_table(rows)]
    lines += ["", "## Policies in the palette", "", "| policy | order |", "|---|---|"]
    lines += [f"| `{name}` | {description} |" for name, description in POLICIES]
    lines += ["", "---", "", FOOTER]
    return "\n".join(lines) + "\n"


def _keys(use: Use) -> tuple[str, ...]:
    return (use.keys,) if use.only else use.action.shown_keys


def _table(rows: Iterable[tuple[Action, tuple[str, ...], str]]) -> list[str]:
    lines = ["", "| key | what it does |", "|---|---|"]
    for action, keys, description in rows:
        shown = " ".join(f"`{key}`" for key in keys) or f"palette: {action.title}"
        lines.append(f"| {shown} | {description} |")
    return lines


if __name__ == "__main__":
    print(markdown(), end="")  # noqa: T201  (this module's purpose)
