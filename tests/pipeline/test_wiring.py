import pytest

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan, port, wires
from pipepita.schedule import locked, relaxed, streaming
from pipepita.schedule.topology import COORDINATOR


def plan(rule, schedule, split=(range(1), range(1, 3), range(3, 4))):
    layers = cut(pp.build("conv:4,3/pool:2/fc:20x2", (1, 8, 8), 10), (1, 8, 8), 10)
    return Plan(stages(Task(layers, 10, rule), split), schedule, 32)


def test_chain():
    by_name = {wire.name: wire for wire in wires(plan(pp.Pepita(), streaming(3)))}
    assert list(by_name) == ["samples", "forward-0", "forward-1", "outputs", "signal-0", "signal-2"]
    assert [by_name[name].slot_bytes for name in ("samples", "forward-0", "forward-1", "outputs", "signal-0")] == [
        4 * 32 * size for size in (64, 4 * 9, 20, 10, 10)
    ]
    assert {wire.capacity for wire in by_name.values()} == {2 * 3 + 2}
    assert (by_name["samples"].source, by_name["samples"].target) == (COORDINATOR, 0)
    assert (by_name["outputs"].source, by_name["outputs"].target) == (2, COORDINATOR)


def test_a_wire_says_what_it_carries():
    def carried(rule):
        return {wire.name: (wire.rows, wire.item, wire.kinds) for wire in wires(plan(rule, locked()))}

    up = ("standard", "modulated", "evaluate", "end")
    assert carried(pp.Pepita(form="recompute")) == {
        "samples": (32, (1, 8, 8), ("standard", "evaluate", "end")),
        "forward-0": (64, (36,), up),
        "forward-1": (64, (20,), up),
        "outputs": (32, (10,), ("standard", "evaluate")),
        "signal-0": (32, (10,), ("modulated",)),
        "signal-2": (32, (10,), ("modulated",)),
        **{f"done-{stage}": (0, (), ("done",)) for stage in range(3)},
    }
    backward = carried(pp.Backprop())
    assert backward["forward-0"] == (32, (36,), ("standard", "evaluate", "end"))
    assert backward["backward-0"] == (32, (36,), ("backward",))
    assert carried(pp.TargetProjection())["signal-1"] == (32, (10,), ("standard",))
    assert carried(pp.DirectFeedbackAlignment())["signal-1"] == (32, (10,), ("broadcast",))


def test_samples_travel_in_the_shape_that_they_have_before_the_first_layer_flattens_them():
    layers = cut(pp.build("fc:20", (1, 8, 8), 10), (1, 8, 8), 10)
    samples = wires(Plan(stages(Task(layers, 10, pp.Pepita()), [range(2)]), relaxed(), 32))[0]
    assert samples.item == (1, 8, 8)


def test_slots_between_stages_hold_two_activities_if_the_clean_pass_is_repeated():
    once, twice, clean = (
        {wire.name: wire.slot_bytes for wire in wires(plan(rule, streaming(3)))}
        for rule in (pp.Pepita(), pp.Pepita(form="recompute"), pp.Pepita(form="recompute", modulate="all"))
    )
    assert [twice[name] for name in ("forward-0", "forward-1")] == [2 * 4 * 32 * size for size in (4 * 9, 20)]
    assert all(twice[name] == once[name] for name in ("samples", "outputs", "signal-0", "signal-2"))
    assert {name: clean[name] for name in once} == once


def test_broadcast_reaches_every_stage():
    names = [wire.name for wire in wires(plan(pp.Pepita(modulate="all"), streaming(3)))]
    assert names[-3:] == ["signal-0", "signal-1", "signal-2"]


def test_a_backward_pass_has_a_channel_down_and_begins_at_the_top():
    by_name = {wire.name: wire for wire in wires(plan(pp.Backprop(), streaming(3)))}
    assert list(by_name) == ["samples", "forward-0", "forward-1", "backward-0", "backward-1", "outputs", "signal-2"]
    assert (by_name["backward-0"].source, by_name["backward-0"].target) == (1, 0)
    assert by_name["backward-0"].slot_bytes == by_name["forward-0"].slot_bytes
    assert (port(by_name["backward-0"], 1), port(by_name["backward-0"], 0)) == ("below", "above")


def test_targets_go_out_with_the_sample_and_errors_after_it():
    def told(rule):
        return {name: plan(rule, relaxed()).topology.told(name) for name in rule.passes}

    assert told(pp.TargetProjection()) == {"standard": [0, 1, 2]}
    assert told(pp.DirectFeedbackAlignment()) == {"standard": [], "broadcast": [0, 1, 2]}
    assert told(pp.Pepita()) == {"standard": [], "modulated": [0, 2]}


def test_the_coordinator_never_waits_for_room():
    """It admits eight samples and sends their targets before it collects an output: there must be a slot for each."""
    slots = {wire.name: wire.capacity for wire in wires(plan(pp.TargetProjection(), relaxed()))}
    assert relaxed().in_flight(3, ("standard",)) == 8
    assert slots == {"samples": 4, "forward-0": 4, "forward-1": 4, "outputs": 9, **{f"signal-{i}": 9 for i in range(3)}}


def test_locked_hears_of_every_update():
    names = [wire.name for wire in wires(plan(pp.Pepita(), locked()))]
    assert [name for name in names if name.startswith("done")] == ["done-0", "done-1", "done-2"]


def test_ports():
    by_name = {wire.name: wire for wire in wires(plan(pp.Pepita(), locked()))}
    assert [port(by_name["forward-0"], end) for end in (0, 1)] == ["downstream", "upstream"]
    assert [port(by_name[name], 2) for name in ("forward-1", "outputs", "signal-2", "done-2")] == [
        "upstream", "downstream", "signal", "done",
    ]  # fmt: skip


def test_local_engine_refuses_an_unknown_device():
    with pytest.raises(pp.UserError, match="unknown device 'tpu': one of auto, cpu, cuda"):
        pp.LocalEngine("tpu")
