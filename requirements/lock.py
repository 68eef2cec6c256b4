"""Write the locks beside this file from pyproject.toml: `make lock`, on Python 3.11 with pip-tools installed.

The locks carry hashes of every file of a release and no registry address; Python 3.11 is the oldest that the project
runs on, so they hold what any newer one needs too. weights.txt is kept by hand: its package is installed alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
OPTIONS = (
    "--quiet",
    "--rebuild",
    "--generate-hashes",
    "--allow-unsafe",
    "--strip-extras",
    "--no-header",
    "--annotation-style=line",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
)


def lock(name: str, wanted: list[str], under: list[str]) -> None:
    """Resolve `wanted` into `name`.txt, with the versions that the locks in `under` already chose."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{name}.in"
        source.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        held = [part for other in under for part in ("-c", str(HERE / f"{other}.txt"))]
        target = HERE / f"{name}.txt"
        command = [sys.executable, "-m", "piptools", "compile", *OPTIONS, *held, "-o", str(target), str(source)]
        # Extra places to look in, which this machine's pip may be set up with, would add hashes that nobody else has.
        clean = {
            key: value for key, value in os.environ.items() if key not in {"PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"}
        }
        subprocess.run(command, check=True, env=clean | {"PIP_CONFIG_FILE": os.devnull})  # noqa: S603
        lines = [line.partition("  # via")[0].rstrip() for line in target.read_text(encoding="utf-8").splitlines()]
        target.write_text("\n".join(line for line in lines if line) + "\n", encoding="utf-8")


def main() -> None:
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    optional = project["project"]["optional-dependencies"]
    extras = [item for name, items in optional.items() if name != "testing" for item in items]  # that is in `test`
    lock("build", groups["build"], [])
    lock("run", project["project"]["dependencies"] + extras, [])
    lock("test", groups["test"], ["run"])
    lock("lint", groups["lint"], ["run", "test"])


if __name__ == "__main__":
    main()
