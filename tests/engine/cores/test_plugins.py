"""Plug-in cores: found by their entry points, refused in one line when broken, never in place of a built-in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cores import plugins
from engine.cores.config import CoreConfig, kinds
from engine.cores.core_spec import parse_cores
from engine.cores.discovery import DiscoveredCore, discover_cores
from engine.cores.factory import choose_core
from engine.errors import AiosError, CoreError, UsageError
from tests.waiting import PATIENCE_S

Install = Callable[..., None]

CODE = """
from engine.cores.scripted import ScriptedCore, ScriptedOptions
from engine.errors import UsageError

SEEN = []

def make(settings):
    SEEN.append(settings)
    return ScriptedCore(ScriptedOptions(slots=settings.slots or 3), name=settings.name)

def rename(settings):
    return ScriptedCore()

def refuse(settings):
    raise UsageError("core %s: no options" % settings.name)

def leave(settings):
    raise SystemExit(3)

def nothing(settings):
    return None
"""

SICK = """
class Sick(ScriptedCore):
    async def inspect(self):
        raise RuntimeError("ill")

def sick(settings):
    return Sick(name=settings.name)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package of one module, `NAME_plugin`, with these kinds of core; `code` is its source."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(name: str, code: str = CODE, **entries: str) -> None:
        (tmp_path / f"{name}_plugin.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{kind} = {name}_plugin:{factory}" for kind, factory in entries.items()]
        (info / "entry_points.txt").write_text("[aios_tui.cores]\n" + "\n".join(lines))
        plugins._found.cache_clear()

    plugins._found.cache_clear()
    yield installed
    plugins._found.cache_clear()
    for module in [name for name in sys.modules if name.endswith("_plugin")]:
        del sys.modules[module]


async def refusal(choice: str) -> str:
    with pytest.raises(AiosError) as error:
        await choose_core(choice, environ={})
    assert "\n" not in str(error.value)
    return str(error.value)


async def discovered(choice: str = "auto") -> dict[str, DiscoveredCore]:
    found = await discover_cores(choice, configured={}, environ={"OLLAMA_HOST": "127.0.0.1:9"})
    return {core.name: core for core in found}


async def test_a_kind_is_added(install: Install) -> None:
    install("mine", tea="make")
    assert kinds() == (*plugins.builtin_kinds(), "tea")
    core, why = (chosen := await choose_core("tea", slots=2, default_model="m", environ={})).core, chosen.why
    assert (core.name, len(core.slots()), why) == ("tea", 2, "tea of mine 1.0, as requested")
    seen = sys.modules["mine_plugin"].SEEN[0]
    assert seen == plugins.CoreSettings("tea", "tea", slots=2, default_model="m", why=why)


async def test_its_table_reaches_the_factory(install: Install, tmp_path: Path) -> None:
    install("mine", tea="make")
    config = CoreConfig.model_validate(
        {"kind": "tea", "url": "tea://pot", "slots": 5, "model": "m", "key_env": "TEA", "options": {"sugar": [1, {}]}}
    )
    chosen = await choose_core("pot", configured={"pot": config}, environ={"TEA": "sk-1"}, keys=tmp_path / "none")
    seen = sys.modules["mine_plugin"].SEEN[0]
    assert (seen.name, seen.kind, seen.url, seen.slots, seen.default_model) == ("pot", "tea", "tea://pot", 5, "m")
    assert (seen.api_key, seen.options, seen.must_answer) == ("sk-1", {"sugar": [1, {}]}, True)
    assert chosen.why == "tea of mine 1.0, as configured"
    assert "sk-1" not in repr(seen)


def test_an_address_may_follow_its_kind(install: Install) -> None:
    install("mine", tea="make")
    found = parse_cores("tea@one:1,tea@x://two,tea", {})
    assert found is not None
    assert [(spec.name, spec.config.url) for spec in found] == [("one", "one:1"), ("two", "x://two"), ("tea", None)]


@pytest.mark.parametrize("key", ["one_model", "priority", "script"])
def test_keys_of_other_kinds_are_refused(install: Install, key: str) -> None:
    install("mine", tea="make")
    with pytest.raises(ValueError, match=f"kind tea has no {key}"):
        CoreConfig.model_validate({"kind": "tea", key: "x" if key == "script" else True})


def test_only_a_plugin_has_options() -> None:
    with pytest.raises(ValueError, match="kind vllm has no options"):
        CoreConfig.model_validate({"kind": "vllm", "options": {"a": 1}})


async def test_a_broken_plugin_is_one_line_and_harms_nobody_else(install: Install) -> None:
    install("bad", "import nowhere_at_all\n", cracked="make")
    install("mine", tea="make", other="rename", gone="lost", none="nothing", out="leave", no="refuse")
    who = "the core plug-in '{}' of mine 1.0 is broken: "
    assert await refusal("cracked") == (
        "the core plug-in 'cracked' of bad 1.0 is broken: ModuleNotFoundError: No module named 'nowhere_at_all'"
    )
    assert await refusal("other") == who.format("other") + "it ignores the name 'other'"
    assert (await refusal("gone")).startswith(who.format("gone") + "AttributeError: ")
    assert await refusal("out") == who.format("out") + "SystemExit: 3"
    assert (await refusal("none")).startswith(who.format("none") + "it made an object without name, start")
    assert await refusal("no") == "core no: no options"
    found = await discovered()
    assert (found["tea"].usable, found["tea"].slots, found["tea"].kind) == (True, 3, "tea")
    assert (found["cracked"].usable, found["cracked"].problem) == (False, await refusal("cracked"))


async def test_a_built_in_kind_cannot_be_replaced(install: Install) -> None:
    install("bold", ollama="make", groq="make", auto="make")
    assert kinds() == plugins.builtin_kinds()
    assert type((await choose_core("ollama", environ={})).core).__name__ == "OllamaCore"
    problems = plugins.plugin_problems()
    assert problems["ollama"] == "bold 1.0: the kind of core 'ollama' is built in and cannot be replaced"
    assert list(problems) == ["auto", "groq", "ollama"]
    assert problems["groq"] in [core.problem for core in await discover_cores("scripted", configured={}, environ={})]


async def test_a_kind_of_two_packages_is_nobodys(install: Install) -> None:
    install("one", tea="make")
    install("two", tea="make")
    assert "tea" not in kinds()
    problem = "one 1.0 and two 1.0: both register the kind of core 'tea'; uninstall one of them"
    assert await refusal("tea") == await refusal("tea@x") == problem
    with pytest.raises(ValueError, match=f"'tea' is no kind of core; {problem}"):
        CoreConfig(kind="tea")


async def test_a_name_that_no_choice_can_have_is_refused(install: Install) -> None:
    install("odd", **{"a@b": "make", "A": "make"})
    assert set(plugins.plugin_problems()) == {"a@b", "A"}
    with pytest.raises(UsageError, match="unknown core"):
        parse_cores("nothing", {})


async def test_a_core_that_cannot_be_inspected_is_listed_with_the_reason(install: Install) -> None:
    install("sick", f"{CODE}\n{SICK}", ill="sick")
    assert (await discovered())["ill"].problem == "the core failed: RuntimeError: ill"


def test_no_plugin_is_imported_for_its_name(install: Install) -> None:
    install("mine", "raise SystemExit\n", tea="make")
    assert "tea" in kinds()
    assert "mine_plugin" not in sys.modules


def test_naming_the_kinds_loads_no_heavy_modules() -> None:
    code = (
        "import sys; from engine.cores.config import kinds; kinds(); "
        "print({'httpx', 'openai', 'ollama', 'pytest', 'xllamacpp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert done.stdout.strip() == "set()"


def test_errors_of_a_plugin_keep_their_type(install: Install) -> None:
    install("mine", none="nothing")
    with pytest.raises(CoreError):
        plugins.make_plugin_core(plugins.CoreSettings("none", "none"))
