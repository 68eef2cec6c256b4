"""Settings: precedence, where each comes from, and one clear line for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aios_tui.config.settings import Settings
from engine.errors import UsageError
from engine.kernel import KernelConfig
from tests.aios_tui.cli.helpers import Here
from tests.aios_tui.config.helpers import load_settings


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_options_before_environment_before_file_before_defaults(tmp_path: Path) -> None:
    config = written(tmp_path, 'slots = 2\npolicy = "npps"\nmax_attempts = 7\n')
    loaded = load_settings(
        {"slots": 4, "theme": None}, config=config, environ={"AIOS_TUI_SLOTS": "3", "AIOS_TUI_POLICY": "npps:ageing=60"}
    )
    assert (loaded.settings.slots, loaded.settings.policy, loaded.settings.max_attempts) == (4, "npps:ageing=60", 7)
    assert loaded.settings.core == "auto"
    assert loaded.origins == {
        "slots": "option --slots",
        "policy": "AIOS_TUI_POLICY",
        "max_attempts": f"settings file {config}",
    }


def test_the_config_file_may_be_named_by_the_environment_and_its_paths_are_beside_it(tmp_path: Path) -> None:
    config = written(tmp_path, 'db = "mine.sqlite3"\nagents_folder = "/srv/agents"\n')
    settings = load_settings(environ={"AIOS_TUI_CONFIG": str(config)}).settings
    assert settings.db == tmp_path / "mine.sqlite3"
    assert settings.agents_folder == Path("/srv/agents")


def test_defaults_are_the_kernels_own() -> None:
    assert Settings().kernel_config() == KernelConfig()
    assert Settings(gap_s=0, total_s=0, first_token_s=0).kernel_config().total_s is None


def test_every_field_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slots = 0\n", ["slots", "0 is out of range", "at least 1"]),
        ('slots = "many"\n', ["slots", "'many' is not a whole number"]),
        ('polcy = "fifo"\n', ["polcy", "did you mean policy?"]),
        ('policy = "nosuch"\n', ["policy", "nosuch", "choose one of fifo, "]),
        ('core = "olama"\n', ["core", "olama", "ollama"]),
        ("gap_s = -1\n", ["gap_s"]),
        ("gap_s = nan\n", ["gap_s"]),
        ("[kernel]\nslots = 1\n", ["kernel", "no setting"]),
        ('[cores.den]\nurl = "den"\n', ["cores.den.kind: missing", "ollama, embedded"]),
        ('[cores.den]\nkind = "olama"\n', ["cores.den.kind: 'olama' is no kind of core"]),
        ('[cores.den]\nkind = "ollama"\nslot = 2\n', ["cores.den.slot: ", "did you mean slots?"]),
        ('[cores.den]\nkind = "ollama"\nslots = 0\n', ["cores.den.slots: 0 is out of range", "at least 1"]),
        ('[cores.den]\nkind = "embedded"\nurl = "x"\n', ["cores.den: a core of the kind embedded has no url"]),
        ('[cores."a,b"]\nkind = "ollama"\n', ["cores.a,b: a core's name is"]),
        ('core = "den"\n[cores.attic]\nkind = "ollama"\n', ["core: unknown core 'den'; use attic (configured)"]),
        ('agents_folder = ""\n', ["agents_folder", "empty"]),
        ('log_level = "loud"\n', ["log_level", "debug"]),
        ("slots = \n", ["not TOML", "line 1"]),
        (b"theme = '\xff'\n", ["not TOML"]),
        (b"# " + b"x" * (1 << 20), ["larger than 1 MiB"]),
    ],
    ids=[
        "range",
        "type",
        "key",
        "policy",
        "core",
        "negative",
        "nan",
        "table",
        "core-kind-missing",
        "core-kind",
        "core-key",
        "core-range",
        "core-misfit",
        "core-name",
        "core-unknown",
        "empty",
        "choice",
        "toml",
        "utf8",
        "long",
    ],
)
def test_a_bad_file_is_one_line_with_file_key_and_reason(cli: Here, text: str | bytes, words: list[str]) -> None:
    config = written(cli.folder, text)
    found = cli("--config", str(config), "settings")
    assert found.code == 2
    assert found.complaint.startswith(f"settings file {config}: ")
    for word in words:
        assert word in found.complaint
    listed = {line.split()[0] for line in found.out.splitlines() if line}
    assert set(Settings.model_fields) <= listed, "the list is there all the same"
    refused = cli("--config", str(config), "history", "list")
    assert (refused.code, refused.out, refused.err) == (2, "", found.err)


@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        ("AIOS_TUI_SLOTS", "x", "AIOS_TUI_SLOTS: 'x' is not a whole number"),
        ("AIOS_TUI_SLOTS", "", "AIOS_TUI_SLOTS: the value is empty; it has to be a whole number"),
        ("AIOS_TUI_LOG_LEVEL", "loud", "'loud' is none of 'debug'"),
        ("AIOS_TUI_SLOT", "1", "did you mean AIOS_TUI_SLOTS?"),
        ("AIOS_TUI_POLICY", "npps:age=3", "AIOS_TUI_POLICY: "),
        ("AIOS_TUI_DB", "", "AIOS_TUI_DB: "),
        ("AIOS_TUI_CONFIG", "/nowhere/config.toml", "/nowhere/config.toml"),
        ("AIOS_TUI_HOSTS", "a,b", """AIOS_TUI_HOSTS: not JSON; write it as AIOS_TUI_HOSTS='["first", "second"]'"""),
        ("AIOS_TUI_ALIASES", "a=b", """AIOS_TUI_ALIASES: not JSON; write it as AIOS_TUI_ALIASES='{"name": "value"}'"""),
    ],
)
def test_a_bad_variable_is_one_line_with_its_name(variable: str, value: str, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(environ={variable: value})
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_as_file_is_refused(cli: Here) -> None:
    found = cli("--config", str(cli.folder), "settings")
    assert found.code == 2
    assert "Is a directory" in found.complaint


def test_settings_prints_values_and_origins(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_TUI_SLOTS", "2")
    found = json.loads(cli("settings", "--json", "--policy", "npps").out)
    assert found["settings"]["slots"] | {"help": ""} == {"value": 2, "from": "AIOS_TUI_SLOTS", "help": ""}
    assert found["settings"]["policy"]["from"] == "option --policy"
    assert found["settings"]["core"]["from"] == "default"
    lines = cli("settings").out.splitlines()
    assert any(line.split() == ["slots", "2", "AIOS_TUI_SLOTS"] for line in lines)


def test_the_columns_of_settings_hold_for_long_values(cli: Here, tmp_path: Path) -> None:
    long = tmp_path / ("a" * 60) / "workloads"
    config = written(cli.folder, f'workloads_folder = "{long}"\n')
    lines = cli("settings", "--config", str(config)).out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("workloads_folder "))
    assert lines[at].split() == ["workloads_folder", str(long)]
    (core,) = [line for line in lines if line.startswith("core ")]
    assert lines[at + 1] == " " * core.index("default") + f"settings file {config}"


def test_each_bad_setting_is_named_and_the_others_are_read(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_TUI_SLOTS", "abc")
    monkeypatch.setenv("AIOS_TUI_ALIASES", "abc")
    monkeypatch.setenv("AIOS_TUI_XYZZY", "1")
    config = written(cli.folder, 'quux = 1\npolicy = "rr"\nmax_attempts = 7\n')
    found = cli("settings", "--json", "--config", str(config), "--theme", "nope")
    assert found.code == 2
    lines = found.err.splitlines()
    for start in (
        f"aios-tui: settings file {config}: no setting is called quux; `aios-tui settings` lists them all",
        "aios-tui: environment: no setting is called AIOS_TUI_XYZZY; `aios-tui settings` lists them all",
        "aios-tui: AIOS_TUI_ALIASES: not JSON",
        "aios-tui: AIOS_TUI_SLOTS: 'abc' is not a whole number",
        f"aios-tui: settings file {config}: policy: ",
        "aios-tui: unknown theme 'nope'; known: ",
    ):
        assert len([line for line in lines if line.startswith(start)]) == 1, lines
    assert len(lines) == 6
    settings = json.loads(found.out)["settings"]
    assert settings["max_attempts"]["value"] == 7
    assert settings["max_attempts"]["from"] == f"settings file {config}"
    for key, value in (("slots", None), ("policy", "fifo"), ("theme", None), ("aliases", {})):
        assert (settings[key]["value"], settings[key]["from"]) == (value, "default")


def test_a_secret_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(config=written(tmp_path, "token = 1234567812345678\n"), environ={})
    assert "12345678" not in str(caught.value)
