"""The coordinator: samples in, errors out. The same for every engine.

It keeps the window by emitting passes in the schedule's order, turns each output into an error (output - one-hot), and
sends that back; where a rule learns from the target, that goes out with the sample. It never stands between two layers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pipepita.channels.channel import END, EVALUATE
from pipepita.errors import Diverged, RunError
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.source import Source, Stored, batches, shuffled
from pipepita.pipeline.stage import compute_mode
from pipepita.schedule import Schedule
from pipepita.timeline.recorder import OTHER, PASS, RECEIVE, SEND, Recorder, Silent

_TINY = torch.finfo(torch.float32).tiny
_COLLECT = "collect"  # what the coordinator does with an output to which no second pass answers
_COUNTED_TOGETHER = 32  # samples whose loss is summed at once, off the path of the next one


@dataclass
class Tally:
    """What a run over some items adds up to. loss: mean cross-entropy in nats; accuracy: percent."""

    items: int = 0
    steps: int = 0
    seconds: float = 0.0
    completed: list[float] = field(default_factory=list)  # when each sample's error was known, seconds
    _loss_sum: float = 0.0
    _correct: int = 0
    _uncounted: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def copy(self) -> Tally:
        """As it is now, to go back to."""
        self._count()
        return replace(self, completed=list(self.completed), _uncounted=[])

    def sums(self) -> dict[str, float]:
        """All but the times of single samples, as plain numbers; `Tally.of` makes a tally of them again."""
        self._count()
        return {
            "items": self.items, "steps": self.steps, "seconds": self.seconds, "loss_sum": self._loss_sum,
            "correct": self._correct,
        }  # fmt: skip

    @classmethod
    def of(cls, sums: dict[str, float]) -> Tally:
        """The tally that `sums` came from; `KeyError`."""
        return cls(
            int(sums["items"]), int(sums["steps"]), float(sums["seconds"]), [], float(sums["loss_sum"]),
            int(sums["correct"]),
        )  # fmt: skip

    def add(self, output: Tensor, labels: Tensor) -> None:
        """Counts one sample: output (B, classes), labels (B,). Takes copies."""
        self.steps += 1
        self.items += len(labels)
        self._uncounted.append((output.clone(), labels))
        if len(self._uncounted) == _COUNTED_TOGETHER:
            self._count()

    def _count(self) -> None:
        if not self._uncounted:
            return
        outputs, labels = (torch.cat(parts) for parts in zip(*self._uncounted, strict=True))
        self._uncounted.clear()
        chosen = outputs.gather(1, labels[:, None])
        # in double, so that it does not show how many were counted at once
        self._loss_sum -= float(chosen.clamp_min_(_TINY).log_().double().sum())
        self._correct += int((outputs.argmax(1) == labels).sum())

    @property
    def loss(self) -> float:
        self._count()
        return self._loss_sum / self.items if self.items else math.nan

    @property
    def accuracy(self) -> float:
        self._count()
        return 100 * self._correct / self.items if self.items else math.nan

    @property
    def step_ms(self) -> list[float]:
        """Milliseconds from one sample's error to the next one's."""
        return [1000 * (b - a) for a, b in zip(self.completed, self.completed[1:], strict=False)]


class Coordinator:
    """Streams mini-batches through a pipeline.

    passes: of the rule. stop: asked before each sample; true ends the epoch there, drained. on_sample: called with the
    running tally after each sample. recorder: of what the coordinator does. step: the number of the next sample.
    pipeline, step: set both to go back to where a pipeline built anew stands.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        schedule: Schedule,
        passes: tuple[str, ...],
        *,
        batch_size: int,
        seed: int = 0,
        stop: Callable[[], bool] = lambda: False,
        on_sample: Callable[[Tally], None] = lambda tally: None,
        recorder: Recorder | None = None,
    ) -> None:
        self.pipeline, self._schedule, self._passes = pipeline, schedule, passes
        self._batch_size, self._seed = batch_size, seed
        self._stop, self._on_sample = stop, on_sample
        self.recorder = recorder or Silent()
        self.step = 0

    def train_epoch(self, x: Tensor, y: Tensor, epoch: int, lr: float) -> Tally:
        """One pass over the items, shuffled by (seed, epoch); all updates are applied when it returns.

        x: (N, *item_shape) float32. y: (N,) int64. Raises `Diverged` with the step and layer when an output or a
        weight stops being finite, and whatever the pipeline raises.
        """
        self.align(epoch)
        return self.train(Stored(x, y, shuffled(len(x), self._seed, epoch), self._batch_size), lr)

    def align(self, epoch: int) -> None:
        """Before an epoch: lets a rule that mirrors align its feedback with the weights."""
        if self.pipeline.mirrors:
            self.pipeline.align(epoch)

    def train(self, source: Source, lr: float, tally: Tally | None = None) -> Tally:
        """The samples of `source` until it ends, drained; added to `tally`, which it returns. Raises as above."""
        with compute_mode(self.pipeline.threads):
            return self._train(source, lr, Tally() if tally is None else tally)

    def _train(self, source: Source, lr: float, tally: Tally) -> Tally:
        began = time.perf_counter()
        one_hot = torch.eye(self.pipeline.classes)
        targets: dict[int, tuple[Tensor, Tensor]] = {}  # of the samples in flight: labels, and the same one-hot
        bad_step = None
        self.pipeline.train(self.step, lr)
        lap = self.recorder.lap
        self.recorder.start()
        admit, *answers = self._passes
        in_flight = self._schedule.in_flight(self.pipeline.depth, self._passes)
        actions = self._schedule.actions(self.step, (admit, *(answers or [_COLLECT])), [in_flight])
        taught = self.pipeline.signals[admit]
        for name, step, _ in actions:
            if name == admit:
                sample = None if bad_step is not None or self._stop() else source.take()
                if sample is None:
                    actions.end(step)
                    self.pipeline.samples.send(END, step)
                    continue
                items, labels = sample
                lap(OTHER, name, step)
                self.pipeline.samples.send(name, step, items)
                lap(SEND, name, step)
                # while the pipeline works
                targets[step] = labels, one_hot.index_select(0, labels)
                for outlet in taught:
                    outlet.send(name, step, targets[step][1])
                source.ahead()
                self.step = step + 1
            else:
                finite = self._answer(name, step, *targets.pop(step), source, tally)
                bad_step = step if not finite and bad_step is None else bad_step
                self._on_sample(tally)
        self.pipeline.join()
        tally.seconds += time.perf_counter() - began
        self._check(bad_step)
        return tally

    def _answer(self, name: str, step: int, labels: Tensor, one_hot: Tensor, source: Source, tally: Tally) -> bool:
        """Receives `step`'s output and sends its error back, if anyone wants it; whether the output was finite."""
        lap = self.recorder.lap
        lap(OTHER, name, step)
        message = self.pipeline.outputs.receive()
        lap(RECEIVE, name, step)
        if message.step != step or message.tensor is None:
            raise RunError(f"the output of sample {message.step} arrived when sample {step}'s was due")
        output = message.tensor.cpu()
        source.answer(step, output, message.sent / 1e9 if message.sent else time.perf_counter())
        error = output - one_hot
        finite = math.isfinite(float(error.sum()))
        if not finite:
            error.zero_()  # the pipeline drains without spreading NaN to layers that are still sound
        lap(PASS, name, step)
        for outlet in self.pipeline.signals.get(name, ()):
            outlet.send(name, step, error)
        lap(SEND, name, step)
        tally.completed.append(time.perf_counter())
        tally.add(output, labels)
        message.release()
        for inlet in self.pipeline.done:
            inlet.receive()
        return finite

    def _check(self, bad_step: int | None) -> None:
        layer = self.pipeline.non_finite()
        if layer is not None:
            when = f"step {bad_step}" if bad_step is not None else f"step {self.step - 1} or before"
            raise Diverged(f"diverged at {when}: {layer} holds a weight that is not finite; try a lower learning rate")
        if bad_step is not None:
            raise Diverged(f"diverged at step {bad_step}: the output is not finite, though all weights are")

    def evaluate(self, x: Tensor, y: Tensor) -> Tally:
        """Outputs for all items through the same pipeline, without dropout or learning.

        Raises `Diverged` where an output is not a number.
        """
        with compute_mode(self.pipeline.threads):
            return self._evaluate(x, y)

    def _evaluate(self, x: Tensor, y: Tensor) -> Tally:
        tally, began = Tally(), time.perf_counter()
        waiting: list[Tensor] = []
        self.pipeline.evaluate()
        for number, (items, labels) in enumerate(batches(x, y, torch.arange(len(x)), self._batch_size)):
            if len(waiting) == 2 * self._schedule.window:  # less than the capacity of each channel, so no send blocks
                self._count(waiting.pop(0), tally)
            self.pipeline.samples.send(EVALUATE, number, items)
            waiting.append(labels)
        while waiting:
            self._count(waiting.pop(0), tally)
        self.pipeline.samples.send(END, 0)
        self.pipeline.join()
        tally.seconds = time.perf_counter() - began
        if math.isnan(tally.loss):
            raise Diverged("the output for some test items is not finite, though all weights are")
        return tally

    def _count(self, labels: Tensor, tally: Tally) -> None:
        message = self.pipeline.outputs.receive()
        assert message.tensor is not None
        tally.add(message.tensor.cpu(), labels)
        message.release()
