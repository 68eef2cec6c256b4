"""The smaller commands, the console's refusal without a terminal, and the log."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from aios_tui import __version__
from aios_tui.cli.options import SETTINGS
from aios_tui.cli.root import root
from aios_tui.config import log_file, paths
from engine.cores.embedded import weights, weights_fetch
from engine.kernel import Kernel
from tests.aios_tui.cli.helpers import QUICK, Here, call

EMPTY = "scripted:"


def test_version_and_help(cli: Here) -> None:
    assert cli("--version").out == f"aios-tui {__version__}\n"
    text = cli("--help").out
    for name in ("run", "history", "agents", "models", "doctor", "settings", "completion"):
        assert f"\n  {name} " in text
        assert "Usage: aios-tui" in cli(name, "--help").out


@pytest.mark.parametrize(
    ("command", "listed"),
    [
        ("run", {"--config", "--db", "--core", "--model", "--policy", "--slots", "--log-level"}),
        ("cancel", {"--config", "--db"}),
        ("history list", {"--config", "--db"}),
        ("workload cut", {"--config"}),
        ("workload generate", set()),
        ("completion", set()),
        ("settings", {f"--{name.replace('_', '-')}" for name in SETTINGS}),
    ],
)
def test_help_lists_the_settings_that_a_command_reads(cli: Here, command: str, listed: set[str]) -> None:
    words = cli(*command.split(), "--help").out.split()
    assert {word for word in words if word.removeprefix("--").replace("-", "_") in SETTINGS and "--" in word} == listed
    hidden = sorted({"--theme", "--slots"} - listed)
    assert "No such option" not in cli(*command.split(), *(f"{name}=1" for name in hidden)).err, "accepted all the same"


def test_the_main_help_has_every_setting_and_no_range(cli: Here) -> None:
    text = cli("--help").out
    assert all(f"--{name.replace('_', '-')}" in text for name in SETTINGS)
    assert "<=" not in text
    assert "--listen: 'x' is not a port" in cli("--listen", "x").complaint.replace(
        "Invalid value for '--listen'", "--listen"
    )


@pytest.mark.parametrize("group", ["history", "workload"])
@pytest.mark.parametrize("options", [[], ["--db", "x.sqlite3"], ["--core", EMPTY, "--slots", "1"]], ids=len)
def test_a_group_without_a_command_names_those_there_are(cli: Here, group: str, options: list[str]) -> None:
    found = cli(group, *options)
    assert (found.code, found.out) == (2, "")
    assert found.complaint.startswith(f"aios-tui {group} needs a subcommand: ")
    assert "show" in found.complaint
    assert found.complaint.endswith(f"; see `aios-tui {group} --help`")


def test_the_console_needs_a_terminal(cli: Here) -> None:
    found = cli()
    assert found.code == 2
    assert "needs a terminal" in found.complaint
    assert not cli.db.exists()


def test_agents(cli: Here, tmp_path: Path) -> None:
    found = cli("agents", "--json")
    assert found.code == 0
    agents = {agent["name"]: agent for agent in found.tasks()}
    assert {name: agents[name]["rounds"] for name in sorted(agents)} == {
        "chat": 1,
        "story_teller": 3,
        "summarise": 1,
        "tech_support_agent": 3,
        "translate": 1,
    }
    folder = tmp_path / "config" / "aios-tui" / "agents"
    folder.mkdir(parents=True)
    (folder / "bad.toml").write_text("[[round]]\n")
    broken = cli("agents")
    assert broken.code == 1
    assert "bad.toml" in broken.err
    assert len(broken.out.splitlines()) == 5


def test_models(cli: Here) -> None:
    found = cli("models", "--core", "scripted:model=tiny", "--json")
    assert found.code == 0
    (model,) = found.tasks()
    assert (model["core"], model["name"], model["default"]) == ("scripted", "tiny", True)
    nobody = cli("models", "--core", "ollama@127.0.0.1:9")
    assert nobody.code == 2
    assert "127.0.0.1:9" in nobody.err


def test_doctor(cli: Here) -> None:
    found = cli("doctor", "--core", EMPTY, "--json")
    checks = {line["check"]: line for line in found.tasks()}
    assert found.code == 0
    assert {"version", "sqlite", "settings", "history", "log", "agents", "themes", "database"} <= set(checks)
    assert {"ollama", "embedded", "core", "gpu", "terminal"} <= set(checks)
    assert checks["ollama"]["state"] == "warn", "nothing listens there"
    assert {line["state"] for line in checks.values()} <= {"ok", "warn"}
    assert not cli.db.exists(), "looking makes nothing"


def test_doctor_finds_a_damaged_history(cli: Here) -> None:
    assert cli("run", "--core", QUICK, "hi").code == 0
    data = bytearray(cli.db.read_bytes())
    data[4096:8192] = os.urandom(4096)
    cli.db.write_bytes(data)
    found = cli("doctor", "--core", EMPTY)
    assert found.code == 1
    (line,) = [line for line in found.out.splitlines() if line.startswith("fail")]
    assert line.split()[1] == "database"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('slots = "x"\n', "slots: 'x' is not a whole number"),
        ("slots = \n", "not TOML"),
        ('policy = "rr"\n', "policy: "),
        ("frobnicate = 1\n", "no setting is called frobnicate"),
    ],
    ids=["type", "toml", "value", "key"],
)
def test_doctor_continues_after_a_bad_setting(cli: Here, text: str, reason: str) -> None:
    config = cli.folder / "bad.toml"
    config.write_text(text)
    found = cli("doctor", "--core", EMPTY, "--config", str(config), "--json")
    assert found.code == 1
    failed = [line for line in found.tasks() if line["state"] == "fail"]
    assert [line["check"] for line in failed] == ["settings"]
    assert failed[0]["detail"].startswith(f"settings file {config}: ") and reason in failed[0]["detail"]
    names = [line["check"] for line in found.tasks()]
    assert {"version", "history", "agents", "themes", "database", "core", "gpu", "terminal"} <= set(names)
    assert names.count("settings") == 1


def test_doctor_names_bad_variables(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_TUI_SLOTS", "abc")
    monkeypatch.setenv("AIOS_TUI_POLICY", "rr")
    found = cli("doctor", "--core", EMPTY)
    failed = [line for line in found.out.splitlines() if line.startswith("fail")]
    assert (found.code, len(failed)) == (1, 2)
    assert "AIOS_TUI_SLOTS: 'abc' is not a whole number" in found.out
    assert "AIOS_TUI_POLICY: " in found.out


def test_doctor_warns_of_an_unknown_theme_in_the_settings_file(cli: Here) -> None:
    config = cli.folder / "themed.toml"
    config.write_text('theme = "nope"\n')
    found = cli("doctor", "--core", EMPTY, "--config", str(config), "--json")
    (warned,) = [line for line in found.tasks() if line["check"] == "themes" and line["state"] == "warn"]
    assert warned["detail"].startswith(f"settings file {config}: unknown theme 'nope'; known: ")
    config.write_text('theme = "' + warned["detail"].rpartition(" ")[2] + '"\n')
    sound = cli("doctor", "--core", EMPTY, "--config", str(config), "--json")
    assert {line["state"] for line in sound.tasks() if line["check"] == "themes"} == {"ok"}


def test_doctor_warns_of_an_unknown_theme_wherever_it_was_set(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def warning(*arguments: str) -> str:
        found = cli("doctor", "--core", EMPTY, "--json", *arguments)
        assert found.code == 0
        assert {line["state"] for line in found.tasks() if line["check"] == "settings"} == {"ok"}
        (warned,) = [line for line in found.tasks() if line["check"] == "themes" and line["state"] == "warn"]
        return str(warned["detail"])

    assert warning("--theme", "nope").startswith("option --theme: unknown theme 'nope'; known: ")
    monkeypatch.setenv("AIOS_TUI_THEME", "nope")
    assert warning().startswith("AIOS_TUI_THEME: unknown theme 'nope'; known: ")


def test_doctor_names_a_core_that_cannot_be_had(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://[bad")
    found = cli("doctor", "--core", "ollama")
    assert found.code == 1
    assert "OLLAMA_HOST" in found.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli: Here, shell: str) -> None:
    found = cli("completion", shell)
    assert found.code == 0
    assert "_AIOS_TUI_COMPLETE" in found.out
    assert f"{shell}_complete" in found.out


def test_completion_of_commands_and_options(tmp_path: Path) -> None:
    asked = {"_AIOS_TUI_COMPLETE": "bash_complete", "COMP_WORDS": "aios-tui h", "COMP_CWORD": "1"}
    assert sorted(call(tmp_path, env=asked).out.split()) == ["plain,history", "plain,hold"]
    asked |= {"COMP_WORDS": "aios-tui run --res", "COMP_CWORD": "2"}
    assert call(tmp_path, env=asked).out.split() == ["plain,--resume"]
    asked |= {"COMP_WORDS": "aios-tui run --agent st", "COMP_CWORD": "3"}
    assert call(tmp_path, env=asked).out.split() == ["plain,story_teller"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("run --policy n", ["npps"]),
        ("run --core e", ["embedded"]),
        ("run --theme aios-l", ["aios-light"]),
        ("run --log-level d", ["debug"]),
    ],
)
@pytest.mark.usefixtures("cli")
def test_completion_of_values(words: str, offered: list[str]) -> None:
    *before, last = words.split()
    assert [item.value for item in ShellComplete(root, {}, "aios-tui", "X").get_completions(before, last)] == offered


def test_completion_offers_the_users_own_cores(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    config = cli.folder / "mine.toml"
    monkeypatch.setenv("AIOS_TUI_CONFIG", str(config))
    for text, offered in (('[cores.eagle]\nkind = "ollama"\n', ["eagle", "embedded"]), ("cores = 3\n", ["embedded"])):
        config.write_text(text)
        completed = ShellComplete(root, {}, "aios-tui", "X").get_completions(["run", "--core"], "e")
        assert [item.value for item in completed] == offered


def test_completion_passes_over_a_bad_setting(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    config = cli.folder / "mine.toml"
    config.write_text('slots = "x"\n[cores.eagle]\nkind = "ollama"\n')
    monkeypatch.setenv("AIOS_TUI_CONFIG", str(config))
    for option, begun, offered in (
        ("--core", "ea", ["eagle"]),
        ("--theme", "aios-l", ["aios-light"]),
        ("--agent", "st", ["story_teller"]),
    ):
        completed = ShellComplete(root, {}, "aios-tui", "X").get_completions(["run", option], begun)
        assert [item.value for item in completed] == offered


def test_fetching_weights_that_are_there_fetches_nothing(
    cli: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = tmp_path / "model.gguf"
    there.write_bytes(weights.MAGIC)
    fetched: list[Path] = []

    def fetch(**_: object) -> Path:
        fetched.append(there)
        return there

    monkeypatch.setattr(weights, "candidates", lambda: [there])
    monkeypatch.setattr(weights_fetch, "fetch_weights", fetch)
    assert cli("models", "fetch").out == f"{there}\n"
    assert len(fetched) == 1, "those were damaged"
    monkeypatch.setattr(weights, "SIZE", len(weights.MAGIC))
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(weights.MAGIC).hexdigest())
    found = cli("models", "fetch")
    assert (found.code, found.out) == (0, f"{there}\n")
    assert "installed and intact" in found.err
    assert len(fetched) == 1


def test_an_unexpected_error_is_one_line_and_the_log_has_the_rest(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fall_over(self: Kernel, *_: object, **__: object) -> None:
        raise RuntimeError("the sky\nfell")

    monkeypatch.setattr(Kernel, "submit_many", fall_over)
    found = cli("run", "--core", QUICK, "secret prompt")
    assert found.code == 1
    assert found.complaint.startswith("unexpected RuntimeError: the sky fell; the details are in ")
    log = paths.log_file()
    assert str(log) in found.complaint
    text = log.read_text()
    assert "Traceback" in text
    assert "fall_over" in text


def test_the_log_is_private_and_holds_no_prompts(cli: Here) -> None:
    assert cli("run", "--core", QUICK, "my secret prompt").code == 0
    log = paths.log_file()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700
    assert "secret" not in log.read_text()
    assert "core scripted" in log.read_text()


def test_a_log_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert "no log" in (log_file.set_up(blocked / "log" / "a.log", "info") or "")
    logging.getLogger("aios_tui").error("nobody hears this")
    assert sys.stderr is not None
