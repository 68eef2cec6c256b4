"""Placement on its own: the models of a core, slots given and taken back, lost attempts, and several cores."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scheduling import Fit
from engine.scheduling.core_models import CoreModels, Load, ModelReport
from engine.scheduling.placement import PlacedSlot, Placement


def report(names: str = "ab", loaded: str = "", *, memory: int | None = 1, default: str | None = None) -> ModelReport:
    """One letter a model."""
    return ModelReport({name: name for name in names}, tuple(loaded), default, memory)


def core(names: str = "ab", loaded: str = "", *, memory: int | None = 1, default: str | None = None) -> CoreModels:
    models = CoreModels()
    models.learn(report(names, loaded, memory=memory, default=default), (), healthy=True, seen=True)
    return models


def placement(*cores: CoreModels, slots: int = 2) -> Placement[PlacedSlot]:
    made: Placement[PlacedSlot] = Placement()
    for number, models in enumerate(cores):
        name = f"core{number}"
        made.add_core(name, [PlacedSlot(f"{name}/{n}", name) for n in range(slots)], models)
    return made


# -- the models of one core --------------------------------------------------------------------------------------------


def test_a_core_that_is_down_and_reports_nothing_keeps_its_models() -> None:
    models = core("ab", "b")
    models.learn(ModelReport(), (), healthy=False, seen=False)
    assert (models.has("b"), models.held, models.unknown) == (True, {"b"}, False)
    models.learn(ModelReport(), (), healthy=True, seen=True)
    assert (models.has("b"), models.unknown) == (False, True), "up, and it reports no models"


def test_a_core_that_is_down_and_reports_its_models_is_learnt() -> None:
    models = CoreModels()
    models.learn(report("c"), (), healthy=False, seen=False)
    assert models.has("c") and not models.seen


@pytest.mark.parametrize(
    ("memory", "loaded", "executing", "wanted", "fit"),
    [
        (1, "", "", "a", Fit.ROOM),
        (1, "a", "", "a", Fit.HELD),
        (1, "a", "", "b", Fit.SWAP),
        (1, "a", "a", "a", Fit.HELD),
        (1, "a", "a", "b", Fit.DRAIN),
        (1, "", "a", "b", Fit.DRAIN),
        (1, "b", "a", "b", Fit.DRAIN),
        (2, "a", "", "b", Fit.ROOM),
        (2, "ab", "", "c", Fit.SWAP),
        (2, "ab", "a", "c", Fit.SWAP),
        (2, "ab", "ab", "c", Fit.DRAIN),
        (2, "ab", "ab", "b", Fit.HELD),
        (None, "", "", "a", Fit.ROOM),
        (None, "a", "", "b", Fit.SWAP),
        (None, "a", "a", "b", Fit.SWAP),
        (1, "a", "a", "unknown", Fit.HELD),
        (1, "a", "a", None, Fit.HELD),
    ],
)
def test_fit(memory: int | None, loaded: str, executing: str, wanted: str | None, fit: Fit) -> None:
    assert core("abc", loaded, memory=memory).fit(wanted, set(executing)) is fit


def test_a_load_evicts_the_model_used_least_recently() -> None:
    models = core("abc", memory=2)
    assert [models.use(name, {name}) for name in "ab"] == [Load(True, None)] * 2
    assert models.use("a", {"a"}) == Load(False, None)
    assert models.use("c", {"c"}) == Load(True, "b")
    assert models.held == {"a", "c"}
    assert models.use("b", {"a", "b"}) == Load(True, "c"), "not the one that executes"
    assert models.use("unknown", {"unknown"}) == Load(False, None), "refused, so nothing is loaded"


@pytest.mark.parametrize(("memory", "held"), [(1, {"c"}), (2, {"b", "c"}), (None, {"a", "b", "c"})])
def test_a_report_during_a_load_keeps_what_executes(memory: int | None, held: set[str]) -> None:
    models = core("abc", memory=memory)
    models.learn(report("abc", "ab", memory=memory), {"c"}, healthy=True, seen=True)
    assert models.held == held


def test_names_and_the_default() -> None:
    models = CoreModels()
    names = {"qwen3:latest": "qwen3:latest", "qwen3": "qwen3:latest"}
    models.learn(ModelReport(names, ("qwen3:latest",), "qwen3", 1), (), healthy=True, seen=True)
    assert models.own_name("qwen3") == models.own_name(None) == "qwen3:latest"
    assert models.has("qwen3") and models.has(None) and models.holds("qwen3")
    assert not models.several, "two names of one model"


# -- slots -------------------------------------------------------------------------------------------------------------


def test_a_slot_is_given_used_and_taken_back() -> None:
    both = placement(core("ab"))
    first, second = both
    assert both.first_free() == [first]
    both.occupy(first, "a")
    assert both.first_free() == [second] and not first.free
    assert (both.fit(second, "a"), both.fit(second, "b")) == (Fit.HELD, Fit.DRAIN)
    assert both.fit(first, "b") is Fit.ROOM, "on its own slot its own attempt does not count"
    assert both.use(first, "a") == Load(True, None)
    both.vacate(first)
    assert both.first_free() == [first]
    assert (both.fit(second, "a"), both.fit(second, "b")) == (Fit.HELD, Fit.SWAP)
    both.occupy(first, "b")
    assert both.use(first, "b") == Load(True, "a")


def test_an_attempt_may_use_another_model_than_its_slot_was_given_for() -> None:
    both = placement(core("ab"))
    first, _ = both
    both.occupy(first, "a")
    both.use(first, "b")
    assert (first.model, both.executing("core0")) == ("b", {"b"})
    both.vacate(first)
    assert both.executing("core0") == set()


def test_a_lost_attempt_counts_until_the_end_of_its_quarantine() -> None:
    both = placement(core("ab"))
    first, second = both
    both.occupy(first, "a")
    both.use(first, "a")
    both.start_quarantine(first)
    both.vacate(first)
    assert both.first_free() == [second]
    assert both.fit(second, "b") is Fit.DRAIN
    both.end_quarantine(first)
    assert not first.quarantined and first.lost is None
    assert both.fit(second, "b") is Fit.SWAP
    both.set_usable(first, True)
    assert both.first_free() == [first]


def test_a_slot_out_of_use_is_not_offered_but_keeps_its_attempt() -> None:
    both = placement(core("ab"))
    first, second = both
    both.occupy(first, "a")
    both.set_usable(first, False)
    assert first.busy and both.executing("core0") == {"a"}
    both.vacate(first)
    assert both.first_free() == [second]
    both.set_usable(second, False)
    assert both.first_free() == []


def test_models_go_where_they_are() -> None:
    cores = placement(core("a"), core("b"), core("b"))
    fits = {model: [cores.fit(slot, model) for slot in cores.first_free()] for model in ("a", "b", "typo")}
    assert fits["a"] == [Fit.ROOM, Fit.NEVER, Fit.NEVER]
    assert fits["b"] == [Fit.NEVER, Fit.ROOM, Fit.ROOM]
    assert Fit.NEVER not in fits["typo"], "no core has it, so any may refuse it"


def test_a_core_that_reported_nothing_yet_may_have_what_no_other_has() -> None:
    silent = CoreModels()
    cores = placement(core("a"), silent)
    assert [cores.suits(f"core{n}", "a") for n in (0, 1)] == [True, False]
    assert [cores.suits(f"core{n}", "b") for n in (0, 1)] == [False, False], "it is inspected in a moment"
    silent.learn(ModelReport(), (), healthy=True, seen=True)
    assert [cores.suits(f"core{n}", "b") for n in (0, 1)] == [False, True]


steps = st.lists(
    st.tuples(
        st.sampled_from(("occupy", "use", "vacate", "lose", "end", "up", "down")),
        st.integers(0, 4),
        st.sampled_from("ab"),
    ),
    max_size=60,
)


@given(steps)
def test_counts_and_free_slots_are_those_of_the_slots(work: Sequence[tuple[str, int, str]]) -> None:
    """Whatever happens in whatever order, what is counted is what looking at every slot finds."""
    cores = placement(core("ab"), core("ab", memory=None), slots=3)
    slots = list(cores)
    for step, number, model in work:
        slot = slots[number]
        if step == "occupy" and slot.free:
            cores.occupy(slot, model)
        elif step == "use" and slot.busy:
            cores.use(slot, model)
        elif step == "vacate":
            cores.vacate(slot)
        elif step == "lose" and slot.busy:
            cores.start_quarantine(slot)
        elif step == "end":
            cores.end_quarantine(slot)
        elif step in ("up", "down"):
            cores.set_usable(slot, step == "up")
        twin = cores.copy()
        for name in ("core0", "core1"):
            own = [slot for slot in slots if slot.core_name == name]
            executing = {slot.model for slot in own if slot.busy} | {slot.lost for slot in own if slot.quarantined}
            assert cores.executing(name) == twin.executing(name) == executing - {None}
            free = [slot.id for slot in own if slot.usable and not slot.busy][:1]
            assert [slot.id for slot in cores.first_free() if slot.core_name == name] == free
            assert [slot.id for slot in twin.first_free() if slot.core_name == name] == free
