"""`aios-tui models …` against a server that speaks Ollama's wire format."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cores.embedded import core as embedded
from tests.aios_tui.cli.helpers import Here, Result, start
from tests.engine.cores.helpers import Break, InThread, MidstreamError, Progress, Status, Wait
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import LAYER, NO_MANIFEST, FakeModel
from tests.waiting import PATIENCE_S

MODEL, BIG = "smollm2:135m", "qwen3:8b"


@pytest.fixture
def there() -> Iterator[InThread]:
    server = FakeOllama(MODEL, FakeModel("nomic-embed-text:latest", capabilities=("embedding",)), loaded=[MODEL])
    server.library.append(FakeModel(BIG, size=5_200_000_000, capabilities=("completion", "tools")))
    with InThread(server) as there:
        yield there


@pytest.fixture
def models(cli: Here, there: InThread, monkeypatch: pytest.MonkeyPatch) -> Models:
    monkeypatch.setenv("OLLAMA_HOST", there.server.host)
    return Models(cli)


class Models:
    """Call `aios-tui models …`."""

    def __init__(self, cli: Here) -> None:
        self._cli = cli

    def __call__(self, *arguments: str) -> Result:
        return self._cli("models", *arguments)

    def names(self) -> list[str]:
        return [line["name"] for line in self("--json").tasks()]


def test_the_list_says_version_and_health(models: Models) -> None:
    found = models()
    assert found.code == 0
    first, second = found.out.splitlines()
    assert first.split()[:3] == [MODEL, "98", "MB"]
    assert "100 % in VRAM" in first
    assert first.endswith("completion  default")
    assert second.endswith("embedding")
    assert "core ollama 0.35.1, 127.0.0.1:" in found.err


def test_an_old_server_is_warned_of(models: Models, there: InThread) -> None:
    there.server.version = "0.12.0"
    assert "known remote code execution flaw" in models().err


def test_json_has_every_field(models: Models) -> None:
    first, second = models("--json").tasks()
    assert (first["core"], first["default"], first["capabilities"]) == ("ollama", True, ["completion"])
    assert second["aliases"] == ["nomic-embed-text"]


def test_show(models: Models) -> None:
    shown = models("show", MODEL)
    assert shown.code == 0
    assert shown.out.splitlines()[0] == MODEL
    lines = {line[2:14].strip(): line[15:] for line in shown.out.splitlines()[1:]}
    assert lines["kind"] == "llama 134.52M Q4_1 gguf"
    assert lines["context"] == "2,048 now, 8,192 at most"
    assert lines["parameters"] == "temperature 0.2"


def test_show_as_json(models: Models) -> None:
    (shown,) = models("show", "nomic-embed-text", "--json").tasks()
    assert shown["name"] == "nomic-embed-text:latest"
    assert shown["facts"]["llama.context_length"] == "8192"


def test_pull_prints_each_step_to_stderr_and_the_name_to_stdout(models: Models) -> None:
    pulled = models("pull", BIG)
    assert (pulled.code, pulled.out) == (0, f"{BIG}\n")
    lines = pulled.err.splitlines()
    assert lines[0] == "pulling manifest"
    assert sum(line.startswith(LAYER) for line in lines) == 1, "a line a step, when nobody looks at a bar"
    assert lines[-1] == "pulled, 5.2 GB"
    assert BIG in models.names()


def test_pull_as_json(models: Models) -> None:
    steps = models("pull", BIG, "--json").tasks()
    assert [step["done"] for step in steps if step["status"] == LAYER][-1] == 5_200_000_000
    assert steps[-1] == {"core": "ollama", "model": BIG, "status": "success", "done": 0, "total": 0}


def test_a_pull_that_fails_is_one_line_and_exit_1(models: Models, there: InThread) -> None:
    unknown = models("pull", "qwen99")
    assert unknown.code == 1
    assert unknown.complaint == f"qwen99 was not pulled: the library has no such model ({NO_MANIFEST})"
    there.server.pulls.append((Progress(LAYER, 1, 2), MidstreamError("max retries exceeded")))
    assert "max retries exceeded" in models("pull", BIG).complaint
    there.server.pulls.append((Progress(LAYER, 1, 2), Break()))
    broken = models("pull", BIG)
    assert (broken.code, broken.out) == (1, "")
    assert "broke in mid-answer" in broken.complaint


def test_an_empty_server_gets_its_first_model(models: Models, there: InThread) -> None:
    """With `auto` the embedded model would run tasks then; pulling still means Ollama."""
    there.server.models.clear()
    there.server.loaded.clear()
    assert models("pull", BIG).code == 0
    assert models.names() == [BIG]


def test_rm_needs_a_confirmation(models: Models, there: InThread) -> None:
    refused = models("rm", MODEL)
    assert refused.code == 2
    assert "give --yes" in refused.complaint
    assert MODEL in models.names()
    gone = models("rm", MODEL, "--yes")
    assert (gone.code, gone.out) == (0, f"{MODEL} deleted\n")
    assert [model.name for model in there.server.models] == ["nomic-embed-text:latest"]


def test_rm_of_an_unknown_model(models: Models) -> None:
    gone = models("rm", "smollm2:136m", "--yes")
    assert gone.code == 1
    assert gone.complaint == "smollm2:136m was not deleted: model 'smollm2:136m' not found; did you mean smollm2:135m?"


def test_load_and_unload(models: Models, there: InThread) -> None:
    there.server.loaded.clear()
    loaded = models("load", MODEL, "--keep-alive", "1h")
    assert loaded.code == 0
    assert loaded.out.startswith(f"{MODEL} loaded in ")
    assert "100 % in VRAM" in loaded.err
    assert there.server.loaded == [MODEL]
    assert models("unload", MODEL).out == f"{MODEL} unloaded\n"
    assert there.server.loaded == []


def test_a_model_partly_in_system_memory_is_reported(models: Models, there: InThread) -> None:
    there.server.models[0].size_vram = 60_000_000
    assert "38 MB of 98 MB sit in system RAM: that is why it is slow" in models("load", MODEL).err


def test_a_load_that_is_refused(models: Models, there: InThread) -> None:
    there.server.scripts.append(Status(500, "model requires more system memory (9 GiB) than is available (3 GiB)"))
    failed = models("load", MODEL)
    assert failed.code == 1
    assert "requires more system memory" in failed.complaint


@pytest.mark.embedded
@pytest.mark.parametrize("what", [["show"], ["pull"], ["rm", "--yes"], ["load"], ["unload"]])
def test_cores_without_models_to_manage_are_refused(models: Models, what: list[str]) -> None:
    command, *more = what
    assert models(command, "x", *more, "--core", "scripted:").code == 2
    none = models(command, MODEL, *more, "--core", "scripted:")
    assert none.complaint == "the scripted core has no models to manage; --core ollama@URL names one that has"
    assert models(command, MODEL, "--core", "embedded").complaint.startswith(
        "the embedded core has no models to manage"
    )
    away = models(command, MODEL, *more, "--core", "ollama@127.0.0.1:9")
    assert away.code == 1
    assert "cannot be reached" in away.complaint
    assert "is not the name of a model" in models(command, "two words", *more).complaint


@pytest.mark.parametrize("command", ["show", "pull", "rm", "load", "unload"])
def test_auto_without_ollama_means_the_embedded_core(cli: Here, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(embedded, "available", lambda *_: None)
    none = cli("models", command, MODEL)
    assert (none.code, none.out) == (2, "")
    assert none.complaint.startswith(
        "the embedded core, which auto means here, has no models to manage: Ollama at 127.0.0.1:9 cannot be reached"
    )
    assert none.complaint.endswith("--core ollama@URL names one elsewhere")
    monkeypatch.setattr(embedded, "available", lambda *_: "no engine; run `the command`")
    away = cli("models", command, MODEL, *(["--yes"] if command == "rm" else []))
    assert away.code == 1, "there is no other core that could be meant"
    assert "127.0.0.1:9 cannot be reached" in away.complaint
    assert "embedded" not in away.complaint


def test_ctrl_c_stops_a_pull_at_the_server(tmp_path: Path, there: InThread) -> None:
    there.server.pulls.append((Progress(LAYER, 1, 2), Wait()))
    process = start(tmp_path, "models", "pull", BIG, env={"OLLAMA_HOST": there.server.host})
    assert process.stderr is not None
    while not process.stderr.readline().startswith(LAYER):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "aios-tui: interrupted"
    asyncio.run(there.until(lambda server: server.disconnects == 1))


class TestSeveralCores:
    @pytest.fixture
    def two(self, cli: Here, there: InThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
        with InThread(FakeOllama("attic-only:1b", MODEL)) as attic:
            config = tmp_path / "config.toml"
            config.write_text(
                "".join(
                    f'[cores.{name}]\nkind = "ollama"\nurl = "{host.server.host}"\n'
                    for name, host in (("den", there), ("attic", attic))
                )
                + '[cores.words]\nkind = "scripted"\n'
            )
            monkeypatch.setenv("AIOS_TUI_CONFIG", str(config))
            yield Models(cli)

    def test_the_list_has_all(self, two: Models) -> None:
        found = two("--json").tasks()
        assert {(line["core"], line["name"]) for line in found if line["core"] != "words"} == {
            ("den", MODEL),
            ("den", "nomic-embed-text:latest"),
            ("attic", "attic-only:1b"),
            ("attic", MODEL),
        }
        assert two().out.splitlines()[0].startswith(f"den           {MODEL}")

    def test_a_model_finds_its_core_or_asks_which(self, two: Models) -> None:
        assert two("load", "attic-only:1b").code == 0
        both = two("unload", MODEL)
        assert (both.code, both.complaint) == (2, f"den and attic have {MODEL}; --core NAME picks one")
        assert two("unload", MODEL, "--core", "attic").code == 0
        none = two("show", "nowhere")
        assert (none.code, none.complaint) == (1, "neither of den and attic has a model 'nowhere'")

    def test_a_pull_needs_a_core_when_there_are_several(self, two: Models, there: InThread) -> None:
        where = two("pull", BIG)
        assert (where.code, where.complaint) == (2, "which core is to have it? --core den or --core attic")
        assert two("pull", BIG, "--core", "den").code == 0
        assert BIG in [model.name for model in there.server.models]
