"""What the documents say is what the program has."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from aios_tui.cli.output import FIRST
from aios_tui.cli.root import COMMANDS, root
from aios_tui.config.settings import Settings
from aios_tui.console.actions import MAIN
from engine.cores.embedded import weights
from themes import Colours, Theme, load_theme

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HEADLESS = (ROOT / "docs" / "headless.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_the_readme_names_every_key() -> None:
    section = README.partition("\n## Keys\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([^`]+)`", section))
    keys = {action.shown_key for action in MAIN if action.keys and not action.id.startswith("page_")}
    assert keys - named == set()


def test_every_setting_is_documented_as_it_is() -> None:
    for name, field in Settings.model_fields.items():
        (line,) = [line for line in SETTINGS.splitlines() if line.startswith(f"| `{name}` |")]
        assert line.endswith(f" {field.description} |")


def test_every_json_field_is_documented() -> None:
    table = HEADLESS.partition("With `--json`")[2].partition("**Exit codes.**")[0]
    assert set(FIRST) - set(re.findall(r"`([a-z_]+)`", table)) == set()


def test_every_command_is_in_the_readme() -> None:
    assert [name for name in COMMANDS if f"`aios-tui {name}" not in README] == []


def test_the_table_of_commands_is_right() -> None:
    context = click.Context(root)
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None
        assert command.help


PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))


def test_every_page_is_linked_from_the_readme() -> None:
    assert [page for page in PAGES if f"]({page})" not in README] == []


def test_the_documented_theme_can_be_used(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "themes.md").read_text(encoding="utf-8")
    path = tmp_path / "paper.toml"
    path.write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    assert load_theme(path).name == "paper"
    named = set(re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE))
    assert (set(Theme.model_fields) | set(Colours.model_fields)) - named == set()


def test_the_model_has_one_size() -> None:
    size = f"{weights.SIZE / 1e6:.0f} MB"
    for path in ("README.md", "Makefile", "aios_tui/cli/commands/models.py"):
        assert set(re.findall(r"\b9\d MB\b", (ROOT / path).read_text(encoding="utf-8"))) == {size}, path


@pytest.mark.parametrize("path", ["README.md", *PAGES])
def test_links_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"[^!]\[[^\]]*\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / path).parent.joinpath(link).exists()] == []
