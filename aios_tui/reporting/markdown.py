"""Write `report.md`: the runs, their comparison, groups and figures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from aios_tui.reporting.results import Result, Results
from aios_tui.reporting.table import lines, number
from engine.replay.metrics import Distribution, Group
from engine.sanitise import one_line
from engine.wording import plural

_STATISTICS = ("mean", "p50", "p95", "p99", "max")
_MEASURES = (("waiting", "waiting s"), ("turnaround", "turnaround s"), ("slowdown", "slowdown"), ("ttft", "TTFT s"))


def markdown(results: Results, figures: Sequence[tuple[str, str]] = ()) -> str:
    """Return the whole page. `figures` are (file name, caption)."""
    return "\n".join(_page(results, figures)) + "\n"


def _page(results: Results, figures: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield f"# {_safe(results.workload)}: {', '.join(_safe(result.name) for result in results.results)}"
    yield ""
    if not results.complete:
        yield "**Incomplete: only what was measured before the stop.**"
        yield ""
    for result in results.results:
        run = result.run
        note = f": {_safe(run.note)}" if run.note else ""
        stopped = "" if result.complete else " Incomplete."
        yield f"- **{_safe(result.name)}**, {run.kind}, {plural(run.slots, 'slot')}{note}.{stopped}"
        for at, policy in run.switches:
            yield f"  - switched to {_safe(policy)} at {at:.3f} s"
    for note in results.notes:
        yield f"- {_safe(note)}"
    yield ""
    yield "## Comparison"
    yield ""
    better = "the better value is bold" if results.complete else "no value is marked, as not all runs are complete"
    yield f"Times in seconds; {better}."
    yield ""
    yield from _comparison(results)
    for file, caption in figures:
        yield ""
        yield f"![{caption}]({file})"
    yield from _grouped("priority", "Priority 0 is the most urgent, 9 the least.", results)
    if any(client for result in results.results for client in result.metrics.by_client):
        yield from _grouped("client", "", results)
    yield ""
    yield from _definitions(results)


def _comparison(results: Results) -> Iterator[str]:
    names = [_safe(result.name) for result in results.results]
    yield f"| | {' | '.join(names)} |"
    yield f"|---|{'---:|' * len(names)}"
    for row in lines(results):
        if ", priority " in row.label or ", client " in row.label:
            continue
        cells = [f"**{cell}**" if index in row.best else cell for index, cell in enumerate(row.cells)]
        yield f"| {row.label} | {' | '.join(cells)} |"


def _grouped(by: str, note: str, results: Results) -> Iterator[str]:
    yield ""
    yield f"## By {by}"
    if note:
        yield ""
        yield note
    for measure, title in _MEASURES:
        body = [line for result in results.results for line in _group_lines(result, by, measure)]
        if body:
            yield ""
            yield f"| {title}: {by} | run | tasks | {' | '.join(_STATISTICS)} |"
            yield f"|---|---|---:|{'---:|' * len(_STATISTICS)}"
            yield from sorted(body, key=_group_key) if by == "client" else body


def _group_lines(result: Result, by: str, measure: str) -> Iterator[str]:
    groups: Mapping[int, Group] | Mapping[str, Group] = (
        result.metrics.by_priority if by == "priority" else result.metrics.by_client
    )
    for key, group in groups.items():
        found: Distribution | None = getattr(group, measure)
        if found is not None:
            cells = " | ".join(number(getattr(found, statistic)) for statistic in _STATISTICS)
            yield f"| {_safe(str(key)) or '(none)'} | {_safe(result.name)} | {group.n:,} | {cells} |"


def _group_key(line: str) -> str:
    return line.split("|")[1]


def _definitions(results: Results) -> Iterator[str]:
    yield "## Definitions"
    yield ""
    yield (
        "Waiting is first dispatch − arrival, turnaround is end − arrival, slowdown is turnaround / service, TTFT is"
        " first token − first dispatch. An inversion is a dispatch of a task while a strictly more urgent one was"
        " ready. Quantiles are linear between order statistics."
    )
    over = {result.metrics.jain.over for result in results.results if result.metrics.jain}
    if over:
        yield ""
        yield f"Jain's index is over {' and '.join(sorted(over))}: 1 when all are treated alike."
    yield ""
    yield "`tasks.csv` has every task of every run, `report.json` all numbers of this page."


def _safe(text: str) -> str:
    """Escape untrusted text for a line or cell: nothing in it is Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~&])", r"\\\1", one_line(text, 200))
