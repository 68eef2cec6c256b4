"""The action table as a page of the docs: `python -m aios_tui.console.key_docs > docs/keys.md`."""

from __future__ import annotations

from itertools import groupby

from aios_tui.console.actions import ACTIONS, POLICIES, show_key
from aios_tui.console.screens import compare, metrics, models, workloads


def markdown() -> str:
    """The page `docs/keys.md`; a test keeps the file equal to it."""
    lines = [
        "# Keys of the main screen",
        "",
        "Every action is in the command palette (`ctrl+p`), too: first what can be done just now. A key that can't act",
        "now is dim in the footer, and says why when it is pressed.",
    ]
    for group, actions in groupby(sorted(ACTIONS, key=lambda action: action.group), key=lambda action: action.group):
        lines += ["", f"## {group}", "", "| key | what it does |", "|---|---|"]
        for action in actions:
            keys = " ".join(f"`{show_key(key)}`" for key in action.keys) or f"palette: {action.command}"
            lines.append(f"| {keys} | {action.description} |")
    screens = (
        ("Workloads screen", workloads.KEYS),
        ("Comparison screen", compare.KEYS),
        ("Models screen", models.KEYS),
        ("Metrics screen", metrics.KEYS),
    )
    for title, table in screens:
        lines += ["", f"## {title}", "", "| key | what it does |", "|---|---|"]
        for names, _, said in table:
            shown = " ".join(f"`{show_key(name)}`" for name in names.split(","))
            lines.append(f"| {shown} | {said[0].upper()}{said[1:]}. |")
    lines += ["", "## Policies in the palette", "", "| policy | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {words} |" for name, words in POLICIES]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")  # noqa: T201  (this module's purpose)
