"""Import request traces of Azure, Mooncake and BurstGPT. They have times and token counts, no text.

Formats: github.com/Azure/AzurePublicDataset (AzureLLMInferenceDataset), github.com/kvcache-ai/Mooncake
(FAST25-release/traces), github.com/HPMLL/BurstGPT.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from engine.workloads.importers.lines import Lines

AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
BURSTGPT = ("Timestamp", "Model", "Request tokens", "Response tokens")
MOONCAKE = ("timestamp", "input_length", "output_length")

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)?")

Row = dict[str, Any]


def azure(lines: Lines) -> Iterator[Row]:
    """Read TIMESTAMP (UTC, up to 9 decimals), ContextTokens, GeneratedTokens."""
    first: int | None = None
    for row in _csv(lines, AZURE):
        now = _nanoseconds(row["TIMESTAMP"], lines)
        first = now if first is None else first
        yield _task((now - first) / 1e9, row, AZURE[1:], lines)


def burstgpt(lines: Lines) -> Iterator[Row]:
    """Read Timestamp (seconds), Session ID (newer files), Model, Request tokens, Response tokens."""
    first: float | None = None
    for row in _csv(lines, BURSTGPT):
        now = _number(row["Timestamp"], "Timestamp", lines)
        first = now if first is None else first
        session = (row.get("Session ID") or "").strip()
        client = f"session {session}" if session else None
        yield _task(now - first, row, BURSTGPT[2:], lines) | {"model": row["Model"].strip() or None, "client": client}


def mooncake(lines: Lines) -> Iterator[Row]:
    """Read a JSON object a line: timestamp (ms), input_length, output_length; hash_ids are ignored."""
    first: float | None = None
    for text in lines:
        if not text.strip():
            continue
        row = json_object(text, lines)
        if missing := [key for key in MOONCAKE if key not in row]:
            raise lines.refused(f"no field {missing[0]}")
        now = _number(row["timestamp"], "timestamp", lines)
        first = now if first is None else first
        yield _task((now - first) / 1e3, row, MOONCAKE[1:], lines)


def json_object(text: str, lines: Lines) -> dict[str, Any]:
    """Parse a line as a JSON object. Raises UsageError naming the line."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise lines.refused(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise lines.refused("not a JSON object")
    return value


def _csv(lines: Lines, needed: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    reader = csv.reader(iter(lines), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if missing := [name for name in needed if name not in header]:
            raise lines.refused(f"no column {missing[0]!r}")
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise lines.refused(f"{len(row)} columns, where the header has {len(header)}")
            yield dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise lines.refused(f"not CSV: {error}") from None


def _nanoseconds(text: str, lines: Lines) -> int:
    """Return nanoseconds since 1970, as an integer: datetime keeps six decimals, the traces have seven."""
    match = _MOMENT.fullmatch(text.strip())
    try:
        moment = datetime.fromisoformat(f"{match.group(1)}+00:00") if match else None
    except ValueError:
        moment = None
    if match is None or moment is None:
        raise lines.refused(f"TIMESTAMP {text[:60]!r} is not a UTC time such as 2023-11-16 18:15:46.6805900")
    return int(moment.timestamp()) * 10**9 + int((match.group(2) or "0").ljust(9, "0"))


def _number(value: Any, field: str, lines: Lines) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise lines.refused(f"{field} {str(value)[:60]!r} is not a number")
    return number


def _count(value: Any, field: str, lines: Lines) -> int:
    number = _number(value, field, lines)
    if number < 0 or number != int(number):
        raise lines.refused(f"{field} {str(value)[:60]!r} is not a number of tokens")
    return int(number)


def _task(seconds: float, row: Mapping[str, Any], counts: tuple[str, ...], lines: Lines) -> Row:
    """The task of a row, `seconds` after the first one. `counts` names its fields of tokens read and written."""
    if seconds < 0:
        raise lines.refused("earlier than the first row: sort the file by time first")
    input_tokens, output_tokens = (_count(row[field], field, lines) for field in counts)
    return {"at": seconds, "input_tokens": input_tokens, "output_tokens": output_tokens}
