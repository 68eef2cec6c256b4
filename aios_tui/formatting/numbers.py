"""Format numbers and states the same way everywhere."""

from __future__ import annotations

from engine.task import TaskState

MARKS: dict[TaskState, tuple[str, str]] = {
    TaskState.QUEUED: ("·", "dim"),
    TaskState.RUNNING: ("●", "accent"),
    TaskState.DONE: ("✓", "good"),
    TaskState.FAILED: ("✗", "bad"),
    TaskState.CANCELLED: ("⊘", "dim"),
}
"""Mark and style name by state of a task."""


def clock(seconds: float | None) -> str:
    """Format a running time in seconds: `0:04`, `12:31`, `3:02:11`, `12 d`."""
    if seconds is None:
        return "–"
    whole = max(0, int(seconds))
    if whole >= 360_000:
        return f"{whole // 86_400} d"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def took(seconds: float | None) -> str:
    """Format a finished duration in seconds: `0.31 s`, `12.9 s`, from a minute on like `clock`."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{max(0.0, seconds):.2f} s"
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def rate(per_second: float | None) -> str:
    """Format tokens a second: `58`, `4.2`, `–`."""
    if per_second is None:
        return "–"
    return f"{per_second:.1f}" if per_second < 10 else f"{per_second:,.0f}"


def size(count: float | None) -> str:
    """Format bytes: `98 MB`, `5.2 GB`; decimal units, like model servers."""
    if count is None:
        return "–"
    for unit, step in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            value = count / step
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{count:.0f} B"


def policy(name: str) -> str:
    """Format a policy's name: `NPPS`, `NPPS ageing 60 s`."""
    plain, _, parameters = name.partition(":")
    text = plain.upper()
    for part in filter(None, parameters.split(",")):
        key, _, value = part.partition("=")
        text += f" {key} {value} s" if key == "ageing" else f" {part}"
    return text


def rounds(done: int, total: int | None) -> str:
    """Format finished rounds: `1/3`, or `1` where the total is unknown."""
    return f"{done}/{total}" if total else str(done)


def brief(seconds: float) -> str:
    """Format seconds without their unit: `0.31`, `4.2`, `58`, from a minute on like `clock`."""
    if seconds < 1:
        return f"{max(0.0, seconds):.2f}"
    if seconds < 9.95:
        return f"{seconds:.1f}"
    return f"{seconds:.0f}" if seconds < 59.5 else clock(seconds)


def part(used: float, total: float) -> str:
    """Format bytes in use: `6.1 of 8.0 GB`; both units where they differ."""
    first, last = size(used), size(total)
    unit = last.partition(" ")[2]
    return f"{first.removesuffix(f' {unit}')} of {last}"
