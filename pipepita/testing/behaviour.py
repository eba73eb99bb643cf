"""Checks that run a rule: what it learns must not depend on which engine runs it, when, and in how many stages."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pipepita.engines.local import LocalEngine
from pipepita.pipeline.state import State
from pipepita.schedule import Schedule, locked, relaxed, streaming
from pipepita.testing.surroundings import clock, far_ahead, global_generators, standing_still
from pipepita.testing.trial import Trial, different

_LOCAL = LocalEngine("cpu")
_SCHEDULES = (relaxed(), streaming(3))


def learns(trial: Trial) -> Iterator[str]:
    """It trains: weights change, and all of them stay finite."""
    before = {key: value.clone() for layer in trial.layers() for key, value in layer.state.items()}
    for schedule in _SCHEDULES:
        state = trial.whole(schedule)
        for key, value in {**state.weights, **state.memory}.items():
            if not bool(torch.isfinite(value).all()):
                yield f"{key} is not finite under {_named(schedule)}"
        if all(torch.equal(before[key], value) for key, value in state.weights.items()):
            yield f"no weight has changed under {_named(schedule)}: does `product` return an update?"
        names = tuple(f"{layer.name}." for layer in trial.layers())
        for key in state.memory:
            if not key.startswith(names):
                yield f"`memory` names a tensor {key!r}: its name must begin with the layer's, f'{{self.layer.name}}.'"


def repeats(trial: Trial) -> Iterator[str]:
    """Nothing but the seed decides what it learns."""
    schedule, kind = _SCHEDULES[1], type(trial.rule)

    def again() -> State:
        return trial.trained(_LOCAL, schedule)

    first = trial.whole(schedule)
    if changed := different(first, again()):
        with clock(kind, standing_still):
            by_clock = not different(again(), again())
        with global_generators(1):
            one = again()
        with global_generators(1):
            by_generator = not different(one, again())
        what = "something besides the seed decides"
        if by_clock:
            what = "it depends on the clock (two runs are equal if the clock stands still)"
        elif by_generator:
            what = "it draws from a global generator: use pipepita.randomness.generator(seed, purpose, layer, step)"
        yield f"two equal runs end differently ({_listed(changed)}): {what}"
        return
    with clock(kind, far_ahead):
        if changed := different(first, again()):
            yield f"it depends on the clock: with a clock that goes ahead a run ends differently ({_listed(changed)})"
    with global_generators(1):
        if changed := different(first, again()):
            yield (
                "it draws from a global generator: with another global seed a run ends differently "
                f"({_listed(changed)}); use pipepita.randomness.generator(seed, purpose, layer, step)"
            )
    if changed := different(first, trial.trained(_LOCAL, schedule, evaluate=False)):
        yield f"an evaluation changes what is learnt ({_listed(changed)}): `evaluate` must keep nothing"


def splits(trial: Trial) -> Iterator[str]:
    """It does not matter how the layers are split into stages."""
    for schedule in _SCHEDULES:
        for stages in (2, 4):
            if changed := different(trial.whole(schedule), trial.trained(_LOCAL, schedule, stages)):
                yield (
                    f"in {stages} stages, {_named(schedule)}, it ends differently ({_listed(changed)}): a layer knows "
                    "something about another one that no message told it"
                )


def relaxed_is_locked(trial: Trial) -> Iterator[str]:
    """The schedules relaxed and locked end with the same bits."""
    if changed := different(trial.whole(relaxed()), trial.trained(_LOCAL, locked(), 2)):
        yield (
            f"relaxed ends differently from locked ({_listed(changed)}): an update depends on what other samples or "
            "layers have done in the meantime"
        )


def survives_a_snapshot(trial: Trial) -> Iterator[str]:
    """A new pipeline that continues from a snapshot ends with the same bits."""
    for schedule in _SCHEDULES:
        if changed := different(trial.whole(schedule), trial.trained(_LOCAL, schedule, 2, snapshot=True)):
            yield (
                f"after a snapshot, {_named(schedule)}, it ends differently ({_listed(changed)}): a learner keeps "
                "something that `memory` does not return or that `remember` does not restore"
            )


def agrees_in_actors(trial: Trial, transport: str, engine: object) -> Iterator[str]:
    """Ray actors learn the same, over channels of the kind `transport`. engine: an open `RayEngine` with two actors."""
    from pipepita.engines.ray.engine import RayEngine

    assert isinstance(engine, RayEngine)
    engine.transport = transport
    for schedule in _SCHEDULES:
        if changed := different(trial.whole(schedule), trial.trained(engine, schedule, 2)):
            yield (
                f"in Ray actors over {transport}, {_named(schedule)}, it ends differently ({_listed(changed)}): it "
                "depends on its process, or uses a tensor of a message after its sample's update"
            )


def _named(schedule: Schedule) -> str:
    return schedule.name if schedule.window == 1 else f"{schedule.name} with {schedule.window} samples in flight"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
