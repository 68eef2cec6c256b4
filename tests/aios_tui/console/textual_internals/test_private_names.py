"""Only `textual_internals` uses private names of Textual."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
import textual.widgets
from textual import events
from textual.app import App
from textual.screen import Screen
from textual.scroll_view import ScrollView

import aios_tui.console

CONSOLE = Path(aios_tui.console.__file__).parent
CLASSES = [App, Screen, ScrollView, events.Key, textual.widgets.Input, textual.widgets.OptionList]
MODULES = sorted(path for path in CONSOLE.rglob("*.py") if path.parent.name != "textual_internals")


def private_names() -> set[str]:
    """Private attributes and methods of Textual's classes that ours derive from."""
    found: set[str] = set()
    for base in {base for each in CLASSES for base in each.__mro__ if base.__module__.startswith("textual")}:
        found |= {name for name in vars(base) if re.fullmatch(r"_[a-z]\w*", name)}
        found |= set(re.findall(r"\bself\.(_[a-z]\w*)", inspect.getsource(base)))
    return found


PRIVATE = private_names()
WIDGET_CLASSES = re.compile(r"App|Screen|Widget|Input|List|Line|Canvas|View|Flow|Pane|Base|Keys")


def uses(tree: ast.Module) -> list[str]:
    """Private names of Textual that a module reads from other objects, overrides in a subclass, or imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE:
            own = isinstance(node.value, ast.Name) and node.value.id == "self" and not _in_textual_class(tree, node)
            found += [] if own else [f"{node.lineno}: {ast.unparse(node)}"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual._"):
            found.append(f"{node.lineno}: from {node.module}")
        elif isinstance(node, ast.ClassDef) and _may_be_textual(node):
            found += [
                f"{each.lineno}: def {each.name}"
                for each in node.body
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name in PRIVATE
            ]
    return found


def _may_be_textual(node: ast.ClassDef) -> bool:
    return any(WIDGET_CLASSES.search(ast.unparse(base)) for base in node.bases)


def _in_textual_class(tree: ast.Module, wanted: ast.Attribute) -> bool:
    owners = [each for each in tree.body if isinstance(each, ast.ClassDef) and wanted in ast.walk(each)]
    return any(_may_be_textual(owner) for owner in owners)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(CONSOLE)))
def test_a_module_uses_no_private_name_of_textual(path: Path) -> None:
    assert uses(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_the_check_sees_reads_overrides_and_imports() -> None:
    source = """
from textual._xterm_parser import XTermParser

class Console(App):
    def _fatal_error(self): ...
    def name(self): return self._filters

def other(app): return app._exception
"""
    assert len(uses(ast.parse(source))) == 4
