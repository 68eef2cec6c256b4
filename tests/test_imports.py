"""Who may import whom, and what a headless process loads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
HEAVY = (
    "textual",
    "rich",
    "xllamacpp",
    "ollama",
    "openai",
    "httpx",
    "pynvml",
    "watchfiles",
    "prometheus_client",
    "opentelemetry",
)


def loaded(code: str) -> set[str]:
    """Names of the modules in `sys.modules` after `code` ran in a process of its own."""
    program = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("aios_tui.cli", (*HEAVY, "pydantic", "asyncio")),
        ("aios_tui.runtime.runtime", HEAVY),
        ("aios_tui.cli.runner.headless", HEAVY),
        ("aios_tui.cli.commands.history", HEAVY),
        ("aios_tui.cli.diagnostics.all_checks", HEAVY),
        ("engine.kernel", HEAVY),
        ("persistence", HEAVY),
        ("themes", HEAVY),
    ],
)
def test_headless_modules_leave_the_heavy_ones_alone(module: str, absent: tuple[str, ...]) -> None:
    assert loaded(f"import {module}").isdisjoint(absent)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["run", "--core", "scripted:ttft=0,tps=0", "--json", "hi"],
        ["history", "list"],
        ["agents"],
        ["settings"],
        ["doctor", "--core", "scripted:"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_headless_commands_never_load_textual(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import os\n"
        f"for name in ('CONFIG', 'DATA', 'STATE'): os.environ[f'XDG_{{name}}_HOME'] = {str(tmp_path)!r}\n"
        "from aios_tui.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as left: assert left.code == 0, left.code"
    )
    assert "textual" not in loaded(code)


def test_import_contracts() -> None:
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("import-linter is not installed; `make lint` checks the contracts")
    done = subprocess.run(
        [program, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
