"""The slot table: what a core reports of its slots and models is what the placement goes by."""

from __future__ import annotations

from dataclasses import replace

from engine.cores.port import CoreInfo, ModelInfo, SlotEvent, SlotState
from engine.kernel.slot_table import SlotTable
from engine.scheduling import Fit
from engine.scheduling.core_models import Load
from tests.engine.kernel.helpers import GateCore


def table(core: GateCore) -> SlotTable:
    made = SlotTable()
    made.add(core)
    models = tuple(ModelInfo(name) for name in core.models)
    made.learn(CoreInfo(core.name, True, None, models, one_model=True), up=True)
    return made


def test_the_states_that_a_core_has_now_are_kept() -> None:
    core = GateCore(2)
    slots = table(core)
    core._slots[0] = replace(core._slots[0], state=SlotState.DOWN, reason="gone")
    assert [slot.id for slot in slots.synchronise(core)] == ["gate/0"]
    assert (slots["gate/0"].slot.state, slots["gate/0"].slot.reason) == (SlotState.DOWN, "gone")
    assert [slot.id for slot in slots.first_free()] == ["gate/1"]
    assert slots.synchronise(core) == [], "nothing changed since"


def test_a_quarantine_outlasts_what_the_core_has_now_but_not_its_event() -> None:
    core = GateCore(2, models=("a", "b"))
    slots = table(core)
    first = slots["gate/0"]
    slots.occupy(first, "a")
    slots.use(first, "a")
    assert slots.quarantine(first, "lost").state is SlotState.SUSPECT
    slots.vacate(first)
    assert slots.synchronise(core) == [] and first.slot.state is SlotState.SUSPECT
    assert slots.fit(slots["gate/1"], "b") is Fit.DRAIN
    assert list(slots.apply(core, SlotEvent("models"))) == []
    assert first.quarantined
    assert [slot.state for slot in slots.apply(core, SlotEvent("up", "gate/0"))] == [SlotState.UP]
    assert slots.fit(slots["gate/1"], "b") is Fit.SWAP


def test_a_relieved_slot_serves_again_and_its_lost_model_is_gone() -> None:
    core = GateCore(2, models=("a", "b"))
    slots = table(core)
    first = slots["gate/0"]
    slots.occupy(first, "a")
    slots.use(first, "a")
    slots.quarantine(first, "lost")
    slots.vacate(first)
    assert slots.relieve(first).state is SlotState.UP
    assert not first.quarantined and slots.executing("gate") == set()
    assert slots.first_free() == [first]


def test_a_report_between_a_grant_and_the_attempt_hides_no_swap() -> None:
    core = GateCore(models=("a", "b"))
    slots = table(core)
    (slot,) = slots
    slots.occupy(slot, "b")
    slots.use(slot, "b")
    slots.vacate(slot)
    slots.occupy(slot, "a")
    loaded = (ModelInfo("a"), ModelInfo("b", loaded=True))
    slots.learn(CoreInfo("gate", True, None, loaded, one_model=True), up=True)
    assert slots.models["gate"].held == {"b"}
    assert slots.use(slot, "a") == Load(True, "b")
    slots.learn(CoreInfo("gate", True, None, loaded, one_model=True), up=True)
    assert slots.models["gate"].held == {"a"}, "the report is older than the load"


def test_an_event_is_for_the_slots_of_its_core() -> None:
    left, right = GateCore(2, name="left"), GateCore(2, name="right")
    slots = table(left)
    slots.add(right)
    assert [slot.id for slot in slots.apply(left, SlotEvent("down", None, "off"))] == ["left/0", "left/1"]
    assert not slots.up(left) and slots.up(right)
    assert [slot.id for slot in slots.first_free()] == ["right/0"]
