"""Encodes a run as bytes and decodes it: a header of JSON, then its columns, deflated.

    "aios-run 1\\n", then deflated: length of the header (4 bytes, big-endian), the header, each column it names

Columns are little-endian on every machine. Ids that are `t1`, `t2`, … are not written.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from engine.errors import UsageError
from engine.replay.tables import Run, TaskColumns
from engine.sanitise import one_line
from engine.validation import Strict

_MAGIC = b"aios-run 1\n"
MAX_BYTES = 1 << 30
"""The largest run that is unpacked, in bytes: about fifteen million tasks."""

_COLUMNS = {  # in the order in which they are written: name, where it is, type, bytes an entry
    "at": ("tasks", "d", 8),
    "priority": ("tasks", "b", 1),
    "service": ("tasks", "d", 8),
    "client": ("tasks", "L", 4),
    "start": ("run", "d", 8),
    "end": ("run", "d", 8),
    "order": ("run", "L", 4),
    "ttft": ("run", "d", 8),
}


Line = Annotated[str, AfterValidator(lambda text: one_line(text, 1000))]


class _Header(Strict):
    policy: Line
    kind: Literal["virtual", "live"]
    slots: int = Field(ge=1)
    counts: dict[str, int]
    clients: list[Line]
    ids: list[Line]
    failed: list[int]
    swaps: int
    load_s: float
    switches: list[tuple[float, Line]]
    note: Line


def pack(run: Run) -> bytes:
    """Encode a run. Service is kept as executed; models and rounds are left out, as no metric uses them."""
    tasks = run.tasks
    columns = {name: getattr(tasks if where == "tasks" else run, name) for name, (where, _, _) in _COLUMNS.items()}
    plain = not tasks.ids or all(name == f"t{number}" for number, name in enumerate(tasks.ids, 1))
    header = _Header(
        policy=run.policy,
        kind=run.kind,
        slots=max(1, run.slots),
        counts={name: len(column) for name, column in columns.items()},
        clients=tasks.clients,
        ids=[] if plain else list(tasks.ids),
        failed=sorted(run.failed),
        swaps=run.swaps,
        load_s=run.load_s,
        switches=list(run.switches),
        note=run.note,
    )
    encoded = header.model_dump_json().encode()
    deflate = zlib.compressobj(level=6)
    parts = [_MAGIC, deflate.compress(len(encoded).to_bytes(4, "big") + encoded)]
    parts += [deflate.compress(_bytes(columns[name], size)) for name, (_, _, size) in _COLUMNS.items()]
    return b"".join([*parts, deflate.flush()])


def unpack(data: bytes) -> Run:
    """Decode a run.

    Raises:
        UsageError: the bytes are no run, are damaged, or are of a newer version.
    """
    if not data.startswith(_MAGIC):
        raise UsageError("this run was not kept by this version of the program, or is damaged")
    try:
        raw = _inflated(data[len(_MAGIC) :])
        length = int.from_bytes(raw[:4], "big")
        header = _Header.model_validate_json(raw[4 : 4 + length])
        run = _assembled(header, raw[4 + length :])
    except (zlib.error, ValueError, KeyError, json.JSONDecodeError) as error:
        cause = "its header" if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"this kept run is damaged: {cause}") from None
    return run


def _inflated(data: bytes) -> bytes:
    inflate = zlib.decompressobj()
    raw = inflate.decompress(data, MAX_BYTES)
    if not inflate.eof:
        raise ValueError("it is cut, or too long")
    return raw


def _assembled(header: _Header, raw: bytes) -> Run:
    columns: dict[str, array[Any]] = {}
    offset = 0
    for name, (_, code, size) in _COLUMNS.items():
        end = offset + header.counts[name] * size
        if end < offset or end > len(raw):
            raise ValueError("its columns are cut")
        columns[name] = _array(code, size, raw[offset:end])
        offset = end
    n = len(columns["at"])
    required = all(len(columns[name]) == n for name in ("start", "end"))
    optional = all(len(columns[name]) in (0, n) for name in ("ttft", "client"))
    if not (required and optional and len(columns["order"]) <= n and len(header.ids) in (0, n)):
        raise ValueError("its columns do not belong together")
    if max(columns["order"], default=0) >= max(n, 1) or max(columns["client"], default=0) >= len(header.clients):
        raise ValueError("its columns point outside")
    if any(not 0 <= index < n for index in header.failed) or any(not 0 <= p <= 9 for p in columns["priority"]):
        raise ValueError("its columns point outside")
    tasks = TaskColumns(
        at=columns["at"],
        priority=columns["priority"],
        service=columns["service"],
        client=columns["client"],
        clients=header.clients,
        ids=header.ids,
    )
    return Run(
        policy=header.policy,
        kind=header.kind,
        slots=header.slots,
        tasks=tasks,
        start=columns["start"],
        end=columns["end"],
        service=tasks.service,
        order=columns["order"],
        ttft=columns["ttft"],
        failed=frozenset(header.failed),
        swaps=header.swaps,
        load_s=header.load_s,
        switches=tuple(header.switches),
        note=header.note,
    )


def _bytes(column: array[Any], size: int) -> bytes:
    """The column as little-endian numbers of `size` bytes, so that all machines read it."""
    if column.itemsize != size:
        column = array("I", column)
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()


def _array(code: str, size: int, raw: bytes) -> array[Any]:
    column: array[Any] = array("I" if code == "L" and array("L").itemsize != size else code)
    column.frombytes(raw)
    if sys.byteorder == "big":
        column.byteswap()
    return array(code, column)
