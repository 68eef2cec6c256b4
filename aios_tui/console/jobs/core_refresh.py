"""When the console looks again at what a core has in memory: that changes under it, and no server tells of it unasked.

An idle server is not polled. It is looked at after an attempt has begun to stream or has ended there, when a model is
to be unloaded, and now and then while something runs. A core that was found unwell is asked again, ever more seldom.
"""

from __future__ import annotations

from aios_tui.console.state.view_state import ViewState
from engine.cores.port import CoreInfo, SlotState

GAP_S = 5.0
"""The least time between two looks at a core."""
AT_ONCE_S = 1.0
"""The same while a model streams that was not in memory at the last look."""
UNWELL_S = 2.0, 15.0
"""The shortest and the longest time between two looks at a core that was found unwell: as long as it has been so."""
NOW_AND_THEN_S = 30.0
SETTLE_S = 1.0
"""How long after the moment that it named a server is given to unload a model."""
LATE_S = 300.0
"""So long a model that should be unloaded, and is not, is looked for: its server's clock may be another."""


def due(view: ViewState) -> list[str]:
    """The cores to look at now, by name."""
    return [
        name
        for name, info in view.cores.items()
        if (_tells(info) and _is_due(view, info) if info.healthy else _may_be_well(view, info))
    ]


def _may_be_well(view: ViewState, info: CoreInfo) -> bool:
    """Whether to ask a core again that was unwell. One whose slots are down finds out by itself when it is up."""
    lanes = [lane for lane in view.lanes.values() if lane.core == info.name]
    if lanes and all(lane.state is SlotState.DOWN for lane in lanes):
        return False
    looked_at = view.looked_at.get(info.name, 0.0)
    least, most = UNWELL_S
    return view.now - looked_at >= min(most, max(least, looked_at - view.unwell_since.get(info.name, looked_at)))


def _tells(info: CoreInfo) -> bool:
    """Whether it says what it has in memory, and unloads by itself."""
    return info.kind == "ollama" or any(model.expires_at is not None for model in info.models)


def _is_due(view: ViewState, info: CoreInfo) -> bool:
    looked_at = view.looked_at.get(info.name, 0.0)
    since = view.now - looked_at
    if since < (AT_ONCE_S if _streams_what_was_not_there(view, info) else GAP_S):
        return False
    if view.meters.told_at(info.name) > looked_at:
        return True
    ends = [model.expires_at + SETTLE_S for model in info.models if model.loaded and model.expires_at is not None]
    if any(looked_at < end <= view.now for end in ends):
        return True
    runs = any(lane.task is not None and lane.core == info.name for lane in view.lanes.values())
    late = any(end <= view.now < end + LATE_S for end in ends)
    return since >= NOW_AND_THEN_S and (runs or late)


def _streams_what_was_not_there(view: ViewState, info: CoreInfo) -> bool:
    """Whether an attempt has begun to stream since the last look, with nothing or another model in memory then."""
    there = {name for model in info.models if model.loaded for name in (model.name, *model.aliases)}
    looked_at = view.looked_at.get(info.name, 0.0)
    return any(
        lane.core == info.name
        and lane.task is not None
        and (lane.first_token_at or 0.0) > looked_at
        and (lane.model or info.default_model) not in there
        for lane in view.lanes.values()
    )
