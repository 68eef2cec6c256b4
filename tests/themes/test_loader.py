"""Reading theme files: what is accepted, and that what is not is named in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from themes import ThemeError, builtin_themes, load_folder, load_theme

GOOD = (Path(__file__).parents[2] / "themes" / "aios-dark.toml").read_text("utf-8")


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_good_file(tmp_path: Path) -> None:
    extra = '\n[variables]\nscrollbar = "#112233 40%"\nblock-cursor-text-style = "bold underline"\n'
    theme = load_theme(written(tmp_path, GOOD.replace('"aios-dark"', '"mine"') + extra))
    assert theme.name == "mine"
    assert theme.variables == {"scrollbar": "#112233 40%", "block-cursor-text-style": "bold underline"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('background = "', 'background = "red', "colours.background: 'red#"),
        ("dark = true\n", "", "dark: missing"),
        ('surface = "', 'surfac = "', "colours.surface: missing (and 1 more)"),
        ('name = "aios-dark"', 'name = "My Theme"', "name: 'My Theme': use small letters"),
        ('name = "aios-dark"', 'name = "[/foo]"', "name: '[/foo]': use small letters"),
        ("[colours]", 'author = "x"\n[colours]', "author: unknown field"),
        ("[colours]", "[colours", "not valid TOML"),
        ("priority = [", "priority = [] #", "not valid TOML"),
        ('description = "', 'description = "\\u001b]0;x\\u0007', "description: control characters"),
        ('description = "', 'description = "\\u202e', "description: control characters"),
        ("[colours]", '[variables]\nscrollbar = "auto"\n[colours]', "variables.scrollbar: use a colour"),
        ("[colours]", '[variables]\nscrollbar = "#112233 400%"\n[colours]', "variables.scrollbar: use a colour"),
        ("[colours]", '[variables]\nlink-style = "blinking"\n[colours]', "variables.link-style: use words of"),
        ("[colours]", '[variables]\n"a;b" = "#112233"\n[colours]', "'a;b' is not a usable name"),
    ],
)
def test_a_bad_file_is_named_with_field_and_reason(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    with pytest.raises(ThemeError) as caught:
        load_theme(written(tmp_path, GOOD.replace(old, new, 1)))
    line = str(caught.value)
    assert line.startswith("mine.toml: ")
    assert expected in line
    assert line.isprintable()


def test_too_few_priorities(tmp_path: Path) -> None:
    head = GOOD.partition("priority = [")[0]
    with pytest.raises(ThemeError, match=r"mine\.toml: colours\.priority: 10 colours are needed"):
        load_theme(written(tmp_path, head + 'priority = ["#112233"]\n'))


def test_what_is_no_text_or_too_large(tmp_path: Path) -> None:
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ThemeError, match=r"bytes\.toml: not UTF-8 text"):
        load_theme(path)
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(ThemeError, match=r"larger than 64 KiB"):
        load_theme(path)
    with pytest.raises(ThemeError, match=r"absent\.toml: can't be read"):
        load_theme(tmp_path / "absent.toml")
    path.write_text("a = " + "[" * 5000)
    with pytest.raises(ThemeError, match=r"not valid TOML"):
        load_theme(path)


def test_a_folder_gives_the_usable_ones_and_names_the_rest(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace('"aios-dark"', '"one"'), "a.toml")
    written(tmp_path, GOOD.replace('"aios-dark"', '"one"'), "b.toml")
    written(tmp_path, "nonsense", "c.toml")
    written(tmp_path, GOOD.replace('"aios-dark"', '"two"'), "d.toml")
    written(tmp_path, "no theme", "readme.txt")
    (tmp_path / "e.toml").mkdir()
    themes, problems = load_folder(tmp_path)
    assert [theme.name for theme in themes] == ["one", "two"]
    assert [str(problem).partition(":")[0] for problem in problems] == ["b.toml", "c.toml", "e.toml"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    themes, problems = load_folder(tmp_path)
    assert themes == []
    assert [str(problem) for problem in problems] == ["pipe.toml: not a file"]


def test_no_folder_is_no_problem(tmp_path: Path) -> None:
    assert load_folder(tmp_path / "absent") == ([], [])


def test_loading_needs_no_textual() -> None:
    code = "import sys, themes; themes.builtin_themes(); print([m for m in ('textual', 'engine') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_built_in_names_are_unique() -> None:
    names = [theme.name for theme in builtin_themes()]
    assert len(names) == len(set(names))
