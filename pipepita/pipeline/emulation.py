"""Emulated devices: stages that take at least a given time for each pass, by waiting, over links with delays.

So many slow devices fit on two cores, since a process that waits needs none. The messages and the learning are real.

A pass begins when its message has arrived and the device is free. Its result is sent on when its time is over:

    message sent  |<------- pace ------->| sent on
       wake up, compute, wait ...........

So waking up and computing on this host are part of the pass, as they would be on the device itself. A link between two
devices is emulated at its receiving end (`channels.delayed`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from pipepita.channels.channel import END, EVALUATE, Inlet, Message
from pipepita.channels.delayed import SPIN_SECONDS, Delay, DelayedInlet, Origin, wait_until
from pipepita.network.layer import Layer
from pipepita.pipeline.pace import Pace
from pipepita.pipeline.stage import Stage, StageSpec, copies
from pipepita.pipeline.state import State
from pipepita.pipeline.wiring import Plan
from pipepita.rules.learner import Learner, Product
from pipepita.schedule import Action, Group
from pipepita.timeline.recorder import Recorder


class Undisturbed:
    """The fate of a device to which nothing happens; `edge.trouble.Fate` has others. Times are seconds of the run."""

    @property
    def forgetful(self) -> bool:
        """Whether the device may lose what it has learnt."""
        return False

    def finish(self, begin: float, work: float) -> float:
        """When work is done that begins at `begin` and takes `work` seconds if nothing disturbs it."""
        return begin + work

    def forgets(self, after: float, until: float) -> bool:
        """Whether the device lost what it had learnt at a time in (after, until]."""
        return False


class Device:
    """The time of one emulated device, in seconds of this host's monotonic clock.

    Args:
        fate: What happens to the device.

    Attributes:
        origin: When the run began.
    """

    def __init__(self, fate: Undisturbed | None = None) -> None:
        self._fate = fate or Undisturbed()
        self._now = self._asked = 0.0
        self.origin = Origin()

    def arrives(self, sent: int) -> None:
        """A pass may begin: its message was sent at `sent` nanoseconds, or just now if that is 0."""
        self._now = max(self._now, sent / 1e9 if sent else time.perf_counter())

    def forgot(self) -> bool:
        """Whether the device has lost what it had learnt since this was last called."""
        before, self._asked = self._asked, self._now - self.origin.began
        return self._fate.forgets(before, self._asked)

    def takes(self, seconds: float) -> None:
        """Waits until work of so many seconds, which began at the device's current time, is done."""
        began = self.origin.began
        due = began + self._fate.finish(self._now - began, seconds)
        # a host too slow for the device makes the device slower
        self._now = due if (late := wait_until(due)) < SPIN_SECONDS else due + late


class PacedLearner:
    """A learner whose passes and updates take at least the time of its pace. Evaluations are not slowed down."""

    def __init__(self, learner: Learner, pace: Pace, device: Device) -> None:
        self._learner, self._pace, self._device = learner, pace, device
        self.layer: Layer = learner.layer
        self.heads = learner.heads
        self._in_flight = 0

    def begin(self) -> None:
        """No sample is in flight."""
        self._in_flight = 0

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        out = self._learner.standard(step, x, target)
        self._device.takes(self._pace.standard + (self._pace.ahead if self._in_flight else 0.0))
        self._in_flight += 1
        return out

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        out = self._learner.second(step, arriving, error)
        self._device.takes(self._pace.modulated)
        self._in_flight -= 1
        return out

    def product(self, step: int) -> Product | None:
        return self._learner.product(step)

    def affine_products(self, step: int) -> Sequence[Product | None]:
        return self._learner.affine_products(step)

    def head_products(self, step: int) -> Sequence[Product | None]:
        return self._learner.head_products(step)

    def updated(self) -> None:
        self._learner.updated()
        if self._pace.update:
            self._device.takes(self._pace.update)

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        return self._learner.align(epoch, above)

    def evaluate(self, x: Tensor) -> Tensor:
        return self._learner.evaluate(x)

    def fixed(self) -> dict[str, Tensor]:
        return self._learner.fixed()

    def memory(self) -> dict[str, Tensor]:
        return self._learner.memory()

    def remember(self, memory: dict[str, Tensor]) -> None:
        self._learner.remember(memory)


class NoticedInlet:
    """An inlet that tells the device when the message of its next pass was sent."""

    def __init__(self, inlet: Inlet, device: Device) -> None:
        self._inlet, self._device = inlet, device

    def receive(self, timeout: float | None = None) -> Message:
        message = self._inlet.receive(timeout)
        if message.kind not in (END, EVALUATE):
            self._device.arrives(message.sent)
        return message

    def waiting(self) -> int:
        return self._inlet.waiting()

    def close(self) -> None:
        self._inlet.close()


@dataclass(frozen=True)
class EmulatedSpec(StageSpec):
    """A stage on an emulated device.

    Attributes:
        paces: One per layer of the network. If it is empty, no layer is slowed down.
        fate: What happens to the device.
        forgets: The passes before which the stage loses all that it has learnt.
        delays: What each link to the stage does to messages, by the sender.
    """

    paces: Sequence[Pace] = ()
    fate: Undisturbed | None = None
    forgets: frozenset[Action] = frozenset()
    delays: Mapping[int, Delay] = field(default_factory=dict)

    def build(self, recorder: Recorder | None = None) -> EmulatedStage:
        return EmulatedStage(self, recorder)


def paced(stages: Sequence[StageSpec], paces: Sequence[Pace]) -> Sequence[StageSpec]:
    """`stages` at these paces, one per layer of the network. Without paces, `stages` themselves."""
    if not paces:
        return stages
    return [EmulatedSpec(one.task, one.parts, one.index, one.device, paces) for one in stages]


class EmulatedStage(Stage):
    """A stage at the pace of its device. The device may forget what it has learnt."""

    def __init__(self, spec: EmulatedSpec, recorder: Recorder | None = None) -> None:
        self._emulated, self._device = spec, Device(spec.fate)
        super().__init__(spec, recorder)
        may_forget = bool(spec.forgets) or (spec.fate is not None and spec.fate.forgetful)
        self._initial = [State(*map(copies, one.state())) for one in self.trainers] if may_forget else []

    def _learner(self, layer: Layer) -> Learner:
        learner, paces = super()._learner(layer), self._emulated.paces
        return PacedLearner(learner, paces[layer.number - 1], self._device) if paces else learner

    def inlet(self, source: int, inlet: Inlet) -> Inlet:
        delay = self._emulated.delays.get(source)
        return NoticedInlet(inlet if delay is None else DelayedInlet(inlet, delay, self._device.origin), self._device)

    def begin(self, lr: float) -> None:
        super().begin(lr)
        for learner in (trainer.learner for trainer in self.trainers):
            if isinstance(learner, PacedLearner):
                learner.begin()
        self._device.origin.begins()

    def standard(self, step: int, x: Tensor, target: Tensor | None = None, group: Group | None = None) -> Tensor:
        self._forget_if_due(self._first, step)
        return super().standard(step, x, target, group)

    def second(
        self, step: int, arriving: Tensor | None, error: Tensor | None, group: Group | None = None
    ) -> Tensor | None:
        self._forget_if_due(self._second, step)
        return super().second(step, arriving, error, group)

    def _forget_if_due(self, name: str, step: int) -> None:
        """If the device forgets now: restores the initial weights, and zeroes the state of the optimizers."""
        if not self._initial or not (Action(name, step) in self._emulated.forgets or self._device.forgot()):
            return
        for trainer, initial in zip(self.trainers, self._initial, strict=True):
            trainer.forget(initial)


@dataclass(frozen=True)
class EmulatedPlan(Plan):
    """A plan for stages on emulated devices.

    Attributes:
        delays: What each link to the coordinator does to messages, by the sender.
        origin: When the run began.
    """

    delays: Mapping[int, Delay] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)

    def inlet(self, source: int, inlet: Inlet) -> Inlet:
        delay = self.delays.get(source)
        return inlet if delay is None else DelayedInlet(inlet, delay, self.origin)

    def begins(self) -> None:
        self.origin.begins()
