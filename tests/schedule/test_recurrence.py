"""Worlds in which costs, links, arrivals and labels vary, which the tests of the clock diagrams do not cover."""

import itertools

import pytest

import pipepita as pp
from pipepita.errors import RunError
from pipepita.schedule import BACKWARD, MODULATED, STANDARD, Flow, adaptive, locked, relaxed, streaming
from pipepita.schedule.recurrence import run
from pipepita.schedule.topology import COORDINATOR, Reads, Route
from pipepita.schedule.world import Cost, World


class Uneven(World):
    """Each (source, target, pass) has its own travelling time; samples arrive at intervals, and labels later."""

    def __init__(self, costs, links, *, every=0.0, late=0.0, samples=99, **options):
        super().__init__(costs, **options)
        self.links, self.every, self.late, self.samples = links, every, late, samples
        self.taken = 0

    def carry(self, source, target, name):
        return lambda sent: sent + self.links.get((source, target, name), 0)

    def take(self, now):
        if self.taken == self.samples:
            return None
        self.taken += 1
        return max(now, (self.taken - 1) * self.every)

    def arrival(self, now):
        return now if self.taken == self.samples else max(now, self.taken * self.every)

    def answer(self, step, there, now):
        return max(now, step * self.every + self.late)


def test_each_message_takes_its_own_time():
    links = {(COORDINATOR, 0, STANDARD): 1, (0, 1, STANDARD): 2, (1, COORDINATOR, STANDARD): 4,
             (COORDINATOR, 0, MODULATED): 8, (0, 1, MODULATED): 16}  # fmt: skip
    course = run(relaxed(), Uneven([Cost(100, 1000, 0)] * 2, links), 1)
    assert course.outputs[0] == (1 + 100 + 2 + 100 + 4, 200, 7)
    assert course.updates[0] == (207 + 8 + 1000 + 16 + 1000, 2200, 7 + 8 + 16)
    assert course.busy == [1100, 1100]


def test_a_stage_waits_for_the_later_of_two_messages():
    """The output layer's modulated pass needs the layer below, and the error from the coordinator."""
    for late, due in ((0, 4), (50, 2 + 50 + 1)):
        world = Uneven([Cost(1, 1, 0)] * 2, {(COORDINATOR, 1, MODULATED): late})
        assert run(relaxed(), world, 1, pp.Pepita()).updates[0].time == due


def test_samples_wait_for_their_time_and_the_pipeline_for_labels():
    world = Uneven([Cost(1, 1, 0)], {}, every=10.0, late=5.0)
    course = run(relaxed(), world, 4)
    assert course.admitted == [0, 10, 20, 30]
    assert [update.time for update in course.updates] == [6, 16, 26, 36]
    late = run(relaxed(), Uneven([Cost(1, 1, 0)], {}, every=10.0, late=25.0), 4)
    assert [update.time for update in late.updates] == [26, 36, 46, 56]  # each waits for its own label
    assert late.admitted == [0, 25, 35, 45]


ROUTES = [Route(), Route((STANDARD, MODULATED), Flow.ALL), Route((STANDARD, BACKWARD), Flow.DOWN)]


def passes(schedule, world, samples, route=Route()) -> dict[int, str]:
    """What each stage does, in order."""
    seen = {stage: [] for stage in range(len(world.parts))}
    run(schedule, world, samples, route, lambda stage, action, *_: seen[stage].append(str(action)))
    return {stage: " ".join(actions) for stage, actions in seen.items()}


@pytest.mark.parametrize("route", ROUTES, ids=["up", "all", "down"])
def test_an_adaptive_order_is_that_of_every_stage(route):
    """Four layers: a sample is back at the coordinator after 4, and another one comes after 3."""
    second = route.passes[1][0].upper()
    orders = passes(adaptive(2), Uneven([Cost(1, 1, 0)] * 4, {}, every=3.0), 3, route)
    assert set(orders.values()) == {f"S0 S1 {second}0 S2 {second}1 {second}2"}
    rare = passes(adaptive(2), Uneven([Cost(1, 1, 0)] * 4, {}, every=50.0), 3, route)
    assert set(rare.values()) == {f"S0 {second}0 S1 {second}1 S2 {second}2"}


def updates(schedule, every: float) -> list[float]:
    """When 20 samples have been learnt from that come so often."""
    world = Uneven([Cost(1, 1, 0)] * 4, {}, every=every)
    return [update.time for update in run(schedule, world, 20).updates]


def test_adaptive_never_waits_for_later_samples_and_fills_the_pipeline():
    assert updates(adaptive(3), 0.0) == updates(streaming(3), 0.0)
    assert updates(adaptive(3), 30.0) == updates(relaxed(), 30.0)
    for every in (2.5, 4.0):  # in between it is better than both
        mine = updates(adaptive(3), every)
        for other in (streaming(3), relaxed()):
            assert sum(mine) < sum(updates(other, every))


def test_what_was_decided_is_told():
    course = run(adaptive(2), Uneven([Cost(1, 1, 0)] * 4, {}, every=3.0), 3)
    assert course.order == [True, True, False, True, False, False]
    assert run(streaming(2), Uneven([Cost(1, 1, 0)] * 4, {}), 3).order == []


@pytest.mark.parametrize("schedule", [locked(), relaxed(), streaming(3), adaptive(3)])
@pytest.mark.parametrize(
    "route", [Route(), Route((STANDARD, MODULATED), Flow.ALL), Route((STANDARD, BACKWARD), Flow.DOWN),
              Route((STANDARD,), Flow.NONE)],
    ids=["up", "all", "down", "none"],
)  # fmt: skip
def test_ends_when_the_world_has_no_more_samples(schedule, route):
    course = run(schedule, Uneven([Cost()] * 4, {}, samples=5), 50, route)
    whole = run(schedule, Uneven([Cost()] * 4, {}, samples=5), 5, route)
    assert len(course.outputs) == len(course.updates) == 5
    assert course == whole
    assert course.busy == [5.0 * len(route.passes)] * 4


@pytest.mark.parametrize("flow", [Flow.UP, Flow.DOWN, Flow.ALL])
def test_time_is_computing_and_travelling_if_nothing_waits(flow):
    """A sample that is alone in the pipeline never waits."""
    route = Route((STANDARD, BACKWARD if flow is Flow.DOWN else MODULATED), flow)
    course = run(relaxed(), World([Cost(3, 5, 0)] * 3, hop=0.5), 1, route)
    (output,), (update,) = course.outputs, course.updates
    assert output.time == output.computed + output.travelled == 9 + 2
    assert update.time == update.computed + update.travelled
    assert update.computed == {Flow.UP: 24, Flow.DOWN: 24, Flow.ALL: 14}[flow]


@pytest.mark.parametrize("seconds", [(9, 2), (2, 9)])
def test_a_sample_is_learnt_from_once_the_last_layer_is_done_whichever_that_is(seconds):
    course = run(relaxed(), World([Cost(1, second, 0) for second in seconds]), 1, Route(flow=Flow.ALL))
    assert course.updates[0].time == 2 + 9


def test_a_world_may_slow_a_stage_down():
    class Tired(World):
        def finish(self, stage, begin, work):
            return begin + work * (2 if stage == 1 and begin >= 10 else 1)

    events = []
    run(relaxed(), Tired([Cost(4, 4, 1)] * 2), 2, seen=lambda *event: events.append(event))
    spans = {(stage, str(action)): (begin, end, free) for stage, action, begin, end, free in events}
    assert spans[1, "S0"] == (4, 8, 8)
    assert spans[0, "M0"] == (8, 12, 13)
    assert spans[1, "M0"] == (12, 20, 22)


def test_time_at_a_standstill_is_not_work():
    class Off(World):
        """Stage 0 is off from 5 to 15."""

        def finish(self, stage, begin, work):
            return begin + work + (10 if stage == 0 and begin <= 5 < begin + work else 0)

        def standstill(self, stage, begin, end):
            return max(0, min(end, 15) - max(begin, 5)) if stage == 0 else 0

    course = run(relaxed(), Off([Cost(6, 4, 1)] * 2), 1)  # the first standard pass is interrupted
    assert course.busy == [11, 11]
    assert course.outputs[0] == (6 + 10 + 6, 12, 0)
    assert course.updates[0] == (22 + 4 + 4 + 1, 12 + 4 + 4 + 1, 0)
    course = run(relaxed(), Off([Cost(1, 1, 6)]), 1)  # the update is interrupted
    assert course.busy == [8]
    assert course.updates[0] == (2 + 6 + 10, 8, 0)


def test_a_signal_that_nobody_sends_is_an_error_not_a_hang():
    class Deaf(Route):
        def reads(self, name, number, layers):
            """Each layer waits in the second pass for the layer above it, and none begins."""
            return Reads(upstream=name == STANDARD, downstream=name != STANDARD)

    with pytest.raises(RunError, match="wait for messages that nobody sends"):
        run(relaxed(), World([Cost()] * 2), 2, Deaf((STANDARD, BACKWARD), Flow.DOWN))


def test_the_order_of_each_stage_is_the_schedules():
    passes = []
    run(streaming(3), World([Cost(1, 3, 1), Cost(2, 1, 0), Cost(1, 1, 1)], hop=0.7), 6,
        seen=lambda stage, action, *_: passes.append((stage, str(action))))  # fmt: skip
    order = ["S0", "S1", "S2", "M0", "S3", "M1", "S4", "M2", "S5", "M3", "M4", "M5"]
    for stage in range(3):
        assert [name for where, name in passes if where == stage] == order
    assert len(passes) == len(list(itertools.product(range(3), order)))


@pytest.mark.parametrize("flow", [Flow.UP, Flow.DOWN])
def test_looking_ahead_takes_time_only_while_another_sample_is_in_flight(flow):
    plain, ahead = [Cost(1, 1, 1)] * 4, [Cost(1, 1, 1, 0.5)] * 4
    parts = [range(2), range(2, 4)]
    route = Route(("standard", "second"), flow)
    assert (
        run(relaxed(), World(ahead, parts), 9, route).updates == run(relaxed(), World(plain, parts), 9, route).updates
    )
    busy = [run(streaming(3), World(costs, parts), 9, route).busy for costs in (plain, ahead)]
    # every layer, for all but the first sample; but a backward pass begins in the last layer at once
    more = [(0.5 + 0.5) * 8, (0.5 + (0.5 if flow is Flow.UP else 0.0)) * 8]
    assert busy[1] == [stage + longer for stage, longer in zip(busy[0], more, strict=True)]
