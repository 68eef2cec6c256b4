"""The example of a plug-in, installed as a package: its core conforms, and the program finds core and policy."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cores import plugins
from engine.cores.plugins import CoreSettings, make_plugin_core
from engine.cores.port import Core
from engine.scheduling import registry
from engine.testing.conformance import CoreConformance

PACKAGE = Path(__file__).parents[2] / "plugin_example"
INSTALL_S = 110


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that the package is installed in, also on this process's `sys.path`."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--target", str(folder), str(PACKAGE)],
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    plugins._found.cache_clear()
    yield folder
    sys.path.remove(str(folder))
    plugins._found.cache_clear()
    for module in [name for name in sys.modules if name.partition(".")[0] == "aios_tui_example"]:
        del sys.modules[module]


@pytest.mark.usefixtures("installed")
class TestEchoCore(CoreConformance):
    def make_core(self) -> Core:
        return make_plugin_core(CoreSettings("mine", "echo", options={"pause_ms": 2}))


def program(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}
    return subprocess.run(
        [sys.executable, "-m", "aios_tui", *arguments],
        env={**os.environ, **home, "PYTHONPATH": os.pathsep.join([str(installed), os.getcwd()])},  # noqa: PTH109
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )


def test_cores_lists_it(installed: Path, tmp_path: Path) -> None:
    done = program(installed, tmp_path, "cores", "--json", "--core", "scripted:")
    rows = {row["core"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert (rows["echo"]["kind"], rows["echo"]["usable"], rows["echo"]["slots"]) == ("echo", True, 2)


def test_a_task_runs_on_it(installed: Path, tmp_path: Path) -> None:
    done = program(installed, tmp_path, "run", "--core", "echo", "--seed", "1", "one two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["one", "two"]
    assert "core echo ignores the option seed: it only repeats" in done.stderr
    refused = program(installed, tmp_path, "run", "--core", "echo", "--format", "json", "one")
    assert refused.returncode == 1
    assert "core echo cannot honour the option format: it only repeats" in refused.stderr


def test_a_mistake_in_its_table_is_one_line(installed: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[cores.mine]\nkind = "echo"\noptions = { pause_ms = -1 }\n')
    done = program(installed, tmp_path, "run", "--config", str(config), "hi")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("core mine: pause_ms has to be a number from 0 on")


def test_its_policy_is_known(installed: Path, tmp_path: Path) -> None:
    if "aios_tui.policies" not in Path(registry.__file__).read_text(encoding="utf-8"):
        pytest.skip("policies are not loaded through entry points")
    done = program(installed, tmp_path, "run", "--core", "echo", "--policy", "newest", "--json", "one", "two")
    assert done.returncode == 0, done.stderr
    assert "newest" in done.stderr
