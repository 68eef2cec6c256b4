"""The documents against the program: keys, settings, fields, commands, options, links and anchors."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from aios_tui import __version__
from aios_tui.cli.output import TASK_FIELDS
from aios_tui.cli.root import COMMANDS, root
from aios_tui.config.settings import Settings
from engine.cores.embedded import weights
from themes import Colours, Theme, load_theme

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HEADLESS = (ROOT / "docs" / "headless.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_keys_in_the_readme_are_keys() -> None:
    """The README has a choice of the keys in the generated page, which has all."""
    page = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    section = README.partition("\n## Keys\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert len(rows) > 8
    assert [key for row in rows for key in re.findall(r"`([^`]+)`", row) if f"`{key}`" not in page] == []


def test_every_setting_is_documented_as_it_is() -> None:
    for name, field in Settings.model_fields.items():
        (line,) = [line for line in SETTINGS.splitlines() if line.startswith(f"| `{name}` |")]
        assert line.endswith(f" {field.description} |")


def test_every_json_field_is_documented() -> None:
    table = HEADLESS.partition("With `--json`")[2].partition("**Exit codes.**")[0]
    assert set(TASK_FIELDS) - set(re.findall(r"`([a-z_]+)`", table)) == set()


def test_every_command_is_in_the_readme() -> None:
    assert [name for name in COMMANDS if f"`aios-tui {name}" not in README] == []


def test_the_table_of_commands_is_right() -> None:
    context = click.Context(root)
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None
        assert command.help


ALL = ["README.md", "CONTRIBUTING.md", "AGENTS.md", "CHANGELOG.md"]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
ALL += PAGES


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


@pytest.mark.parametrize("path", ALL)
def test_links_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"[^!]\[[^\]]*\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / path).parent.joinpath(link).exists()] == []


def slugs(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.*)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-{sum(s.startswith(slug) for s in found)}")
    return found


@pytest.mark.parametrize("path", ALL)
def test_anchors_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    wrong = []
    for page, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
        target = (ROOT / path).parent.joinpath(page) if page else ROOT / path
        if target.exists() and anchor not in slugs(target.read_text(encoding="utf-8")):
            wrong.append(f"{page}#{anchor}")
    assert wrong == []


def test_every_page_leads_back_and_on() -> None:
    """The last line leads to the README and to the next page."""
    last_lines = {path: (ROOT / path).read_text(encoding="utf-8").splitlines()[-1] for path in PAGES}
    without = {path for path, line in last_lines.items() if not line.startswith("[README](../README.md) · next: [")}
    assert without == set()


def test_the_settings_in_the_readme_are_as_they_are() -> None:
    section = README.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| (.*?) \| .*\|$", section, re.MULTILINE)
    assert len(rows) > 3
    tool_call_text = {"the core's own": None, "the last one used": None}
    for name, shown in rows:
        default = Settings.model_fields[name].get_default(call_default_factory=True)
        if shown == "below":
            assert default.name in section
        else:
            assert (tool_call_text[shown] if shown in tool_call_text else shown.strip("`")) == default, name


def commands(group: click.Group = root, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


DOCUMENTS = "\n".join((ROOT / path).read_text(encoding="utf-8") for path in ["README.md", *PAGES])


def test_every_subcommand_is_documented() -> None:
    prose = re.sub(r"^ *```.*?^ *```", "", DOCUMENTS, flags=re.MULTILINE | re.DOTALL)
    named = " ".join(re.findall(r"`([^`]+)`", prose))
    assert [path for path, _ in commands() if path.split()[-1] not in named] == []


def test_every_option_is_documented() -> None:
    documented = set(re.findall(r"--[a-z][a-z-]+", DOCUMENTS))
    undocumented = {
        f"{path} {option}"
        for path, command in commands()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--") and option not in documented
    }
    assert sorted(undocumented) == []


FOREIGN = {"--no-deps", "--require-hashes", "--no-isolation", "--wheel", "--scheduling-policy"}
"""Options of other programs, which the documents name, too."""


def test_documented_options_exist() -> None:
    known = {option for _, command in (("", root), *commands()) for p in command.params for option in p.opts}
    known |= {option for _, command in (("", root), *commands()) for p in command.params for option in p.secondary_opts}
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+\b", DOCUMENTS))
    assert sorted(documented - known - FOREIGN - {"--help", "--version"}) == []


def test_no_page_says_to_install_from_a_registry() -> None:
    """The name `aios-tui` is not ours there."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("needs a checkout with git")
    command = re.compile(r"(pip|pipx|uv|uvx)[\w ]* +(install |add |tool )?['\"]?aios-tui\b")
    found = [
        path
        for path in done.stdout.splitlines()
        if path.endswith((".py", ".md", ".toml")) and command.search((ROOT / path).read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(.*?)\]", changelog, re.MULTILINE)[:2] == ["Unreleased", __version__]
