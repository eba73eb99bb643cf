"""Emulated devices: stages that take at least a given time for each pass, by waiting, and hear each other late.

So many slow devices can be shown on two cores: a waiting process needs none. What travels and what is learnt stay real.

A pass begins when its message is there and the device is free, and is sent on when its time is over:

    message sent  |<------- pace ------->| sent on
       wake up, compute, wait ...........

so waking up and computing on this host count as part of the pass, as they would on the device itself. A link between
two devices is emulated where a message is received (`channels.delayed`).
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
from pipepita.pipeline.wiring import Plan
from pipepita.rules.learner import Learner, Product
from pipepita.schedule import Action, Group
from pipepita.timeline.recorder import Recorder


class Undisturbed:
    """A fate in which nothing happens; `edge.trouble.Fate` knows others. Times in seconds since the run began."""

    @property
    def forgetful(self) -> bool:
        """Whether a death may take what was learnt."""
        return False

    def finish(self, begin: float, work: float) -> float:
        """When work of `work` undisturbed seconds, begun at `begin`, is done."""
        return begin + work

    def forgets(self, after: float, until: float) -> bool:
        """Whether a death in (after, until] took what the device had learnt."""
        return False


class Device:
    """The time of one emulated device, in seconds of this host's monotonic clock. fate: what befalls it."""

    def __init__(self, fate: Undisturbed | None = None) -> None:
        self._fate = fate or Undisturbed()
        self._now = self._asked = 0.0
        self.origin = Origin()

    def arrives(self, sent: int) -> None:
        """The next pass has its message, sent at `sent` nanoseconds, or just now if that is 0."""
        self._now = max(self._now, sent / 1e9 if sent else time.perf_counter())

    def forgot(self) -> bool:
        """Whether the device has lost what it had learnt since it was last asked."""
        before, self._asked = self._asked, self._now - self.origin.began
        return self._fate.forgets(before, self._asked)

    def takes(self, seconds: float) -> None:
        """Waits until a pass that began at the device's time has taken so long."""
        began = self.origin.began
        due = began + self._fate.finish(self._now - began, seconds)
        # a host too slow for the device makes the device slower
        self._now = due if (late := wait_until(due)) < SPIN_SECONDS else due + late


class PacedLearner:
    """A learner whose passes end no sooner than its pace allows. Evaluations are not slowed down."""

    def __init__(self, learner: Learner, pace: Pace, device: Device) -> None:
        self._learner, self._pace, self._device = learner, pace, device
        self.layer: Layer = learner.layer

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        out = self._learner.standard(step, x, target)
        self._device.takes(self._pace.standard)
        return out

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        out = self._learner.second(step, arriving, error)
        self._device.takes(self._pace.modulated)
        return out

    def product(self, step: int) -> Product | None:
        return self._learner.product(step)

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

    paces: of all layers of the network; none are slowed down if it is empty. fate: what befalls the device. forgets:
    the passes before which the stage loses all that it has learnt. delays: what the links to it do to messages, by who
    sends them.
    """

    paces: Sequence[Pace] = ()
    fate: Undisturbed | None = None
    forgets: frozenset[Action] = frozenset()
    delays: Mapping[int, Delay] = field(default_factory=dict)

    def build(self, recorder: Recorder | None = None) -> EmulatedStage:
        return EmulatedStage(self, recorder)


def paced(stages: Sequence[StageSpec], paces: Sequence[Pace]) -> Sequence[StageSpec]:
    """`stages` at these paces, one per layer of the network; as they are if there are none."""
    if not paces:
        return stages
    return [EmulatedSpec(one.task, one.parts, one.index, one.device, paces) for one in stages]


class EmulatedStage(Stage):
    """A stage at the pace of its device, which may forget what it has learnt."""

    def __init__(self, spec: EmulatedSpec, recorder: Recorder | None = None) -> None:
        self._emulated, self._device = spec, Device(spec.fate)
        super().__init__(spec, recorder)
        may_forget = bool(spec.forgets) or (spec.fate is not None and spec.fate.forgetful)
        self._drawn = [copies(layer.state) for layer in self.layers] if may_forget else []

    def _learner(self, layer: Layer) -> Learner:
        learner, paces = super()._learner(layer), self._emulated.paces
        return PacedLearner(learner, paces[layer.number - 1], self._device) if paces else learner

    def inlet(self, source: int, inlet: Inlet) -> Inlet:
        delay = self._emulated.delays.get(source)
        return NoticedInlet(inlet if delay is None else DelayedInlet(inlet, delay, self._device.origin), self._device)

    def begin(self, lr: float) -> None:
        super().begin(lr)
        self._device.origin.begins()

    def standard(self, step: int, x: Tensor, target: Tensor | None = None, group: Group | None = None) -> Tensor:
        self._remember_or_not(self._first, step)
        return super().standard(step, x, target, group)

    def second(
        self, step: int, arriving: Tensor | None, error: Tensor | None, group: Group | None = None
    ) -> Tensor | None:
        self._remember_or_not(self._second, step)
        return super().second(step, arriving, error, group)

    def _remember_or_not(self, name: str, step: int) -> None:
        """Back to the weights from the start, and an optimizer that has seen nothing, if that befalls the stage."""
        if not self._drawn or not (Action(name, step) in self._emulated.forgets or self._device.forgot()):
            return
        for layer, drawn, optimizer in zip(self.layers, self._drawn, self.optimizers, strict=True):
            for key, value in layer.state.items():
                value.copy_(drawn[key])
            for moment in optimizer.state().values():
                moment.zero_()


@dataclass(frozen=True)
class EmulatedPlan(Plan):
    """A plan for stages on emulated devices. delays: what the links to the coordinator do, by who sends."""

    delays: Mapping[int, Delay] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)

    def inlet(self, source: int, inlet: Inlet) -> Inlet:
        delay = self.delays.get(source)
        return inlet if delay is None else DelayedInlet(inlet, delay, self.origin)

    def begins(self) -> None:
        self.origin.begins()
