"""The coordinator: samples in, errors out. The same for every engine.

It keeps the window by emitting passes in the schedule's order, turns each output into an error (output - one-hot), and
sends that back; where a rule learns from the target, that goes out with the sample. It never stands between two layers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from pipepita.channels.channel import END, EVALUATE
from pipepita.errors import Diverged, RunError
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.source import Source, Stored, batches, shuffled
from pipepita.pipeline.stage import compute_mode
from pipepita.pipeline.tally import Tally
from pipepita.schedule import Schedule
from pipepita.timeline.recorder import OTHER, PASS, RECEIVE, SEND, Recorder, Silent

_COLLECT = "collect"  # what the coordinator does with an output to which no second pass answers


class Coordinator:
    """Streams mini-batches through a pipeline.

    passes: of the rule. stop: asked before each sample; true ends the epoch there, drained. on_sample: called with the
    running tally after each sample. recorder: of what the coordinator does. step: the number of the next sample.
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
        self._pipeline, self._schedule, self._passes = pipeline, schedule, passes
        self._batch_size, self._seed = batch_size, seed
        self._stop, self._on_sample = stop, on_sample
        self.recorder = recorder or Silent()
        self.step = 0

    def go_on(self, pipeline: Pipeline, step: int) -> None:
        """Goes on with `pipeline`, which stands before sample `step`; it may be one that was built anew."""
        self._pipeline, self.step = pipeline, step

    def train_epoch(self, x: Tensor, y: Tensor, epoch: int, lr: float) -> Tally:
        """One pass over the items, shuffled by (seed, epoch); all updates are applied when it returns.

        x: (N, *item_shape) float32. y: (N,) int64. Raises `Diverged` with the step and layer when an output or a
        weight stops being finite, and whatever the pipeline raises.
        """
        self.align(epoch)
        return self.train(Stored(x, y, shuffled(len(x), self._seed, epoch), self._batch_size), lr)

    def align(self, epoch: int) -> None:
        """Before an epoch: lets a rule that aligns bring its feedback in line with the weights."""
        if self._pipeline.aligns:
            self._pipeline.align(epoch)

    def train(self, source: Source, lr: float, tally: Tally | None = None) -> Tally:
        """The samples of `source` until it ends, drained; added to `tally`, which it returns. Raises as above."""
        with compute_mode(self._pipeline.threads):
            return self._train(source, lr, Tally() if tally is None else tally)

    def _train(self, source: Source, lr: float, tally: Tally) -> Tally:
        began = time.perf_counter()
        one_hot = torch.eye(self._pipeline.classes)
        targets: dict[int, tuple[Tensor, Tensor]] = {}  # of the samples in flight: labels, and the same one-hot
        bad_step = None
        self._pipeline.train(self.step, lr)
        lap = self.recorder.lap
        self.recorder.start()
        admit, *answers = self._passes
        in_flight = self._schedule.in_flight(self._pipeline.depth, self._passes)
        actions = self._schedule.actions(self.step, (admit, *(answers or [_COLLECT])), [in_flight])
        taught = self._pipeline.signals[admit]
        for name, step, _ in actions:
            if name == admit:
                sample = None if bad_step is not None or self._stop() else source.take()
                if sample is None:
                    actions.end(step)
                    self._pipeline.samples.send(END, step)
                    continue
                items, labels = sample
                lap(OTHER, name, step)
                self._pipeline.samples.send(name, step, items)
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
        self._pipeline.join()
        tally.seconds += time.perf_counter() - began
        self._check(bad_step)
        return tally

    def _answer(self, name: str, step: int, labels: Tensor, one_hot: Tensor, source: Source, tally: Tally) -> bool:
        """Receives `step`'s output and sends its error back, if anyone wants it; whether the output was finite."""
        lap = self.recorder.lap
        lap(OTHER, name, step)
        message = self._pipeline.outputs.receive()
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
        for outlet in self._pipeline.signals.get(name, ()):
            outlet.send(name, step, error)
        lap(SEND, name, step)
        tally.completed.append(time.perf_counter())
        tally.add(output, labels)
        message.release()
        for inlet in self._pipeline.done:
            inlet.receive()
        return finite

    def _check(self, bad_step: int | None) -> None:
        layer = self._pipeline.non_finite()
        if layer is not None:
            when = f"step {bad_step}" if bad_step is not None else f"step {self.step - 1} or before"
            raise Diverged(f"diverged at {when}: {layer} holds a weight that is not finite")
        if bad_step is not None:
            raise Diverged(f"diverged at step {bad_step}: the output is not finite, though all weights are")

    def evaluate(self, x: Tensor, y: Tensor) -> Tally:
        """Outputs for all items through the same pipeline, without dropout or learning.

        Raises `Diverged` where an output is not a number.
        """
        with compute_mode(self._pipeline.threads):
            return self._evaluate(x, y)

    def _evaluate(self, x: Tensor, y: Tensor) -> Tally:
        tally, began = Tally(), time.perf_counter()
        waiting: list[Tensor] = []
        self._pipeline.evaluate()
        for number, (items, labels) in enumerate(batches(x, y, torch.arange(len(x)), self._batch_size)):
            if len(waiting) == 2 * self._schedule.window:  # less than the capacity of each channel, so no send blocks
                self._count(waiting.pop(0), tally)
            self._pipeline.samples.send(EVALUATE, number, items)
            waiting.append(labels)
        while waiting:
            self._count(waiting.pop(0), tally)
        self._pipeline.samples.send(END, 0)
        self._pipeline.join()
        tally.seconds = time.perf_counter() - began
        if math.isnan(tally.loss):
            raise Diverged("the output for some test items is not finite, though all weights are")
        return tally

    def _count(self, labels: Tensor, tally: Tally) -> None:
        message = self._pipeline.outputs.receive()
        assert message.tensor is not None
        tally.add(message.tensor.cpu(), labels)
        message.release()
