"""The coordinator: samples in, errors out. The same for every engine.

It starts passes in the schedule's order, which keeps the window. It turns each output into an error (output minus
target) and sends that back. The target of a class is one-hot, and that of numbers is they themselves. If a rule learns
from the target, the target goes out with the sample. No message between two layers goes through it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from pipepita.channels.channel import END, EVALUATE, NEXT_EVALUATE, NEXT_FIRST, NEXT_SECOND, Message
from pipepita.errors import Diverged, RunError
from pipepita.pipeline.engine import Pipeline
from pipepita.pipeline.evaluation import evaluate
from pipepita.pipeline.source import Sample, Source, Stored, Taken, batches, shuffled
from pipepita.pipeline.stage import compute_mode
from pipepita.pipeline.tally import Tally
from pipepita.schedule import Actions, Schedule
from pipepita.schedule.decisions import Decided, Order
from pipepita.timeline.recorder import DATA, OTHER, PASS, RECEIVE, SEND, Recorder, Silent

COLLECT = "collect"  # the coordinator receives an output after which there is no second pass
_GLANCE_SECONDS = 0.001  # how long it waits for an output before it looks whether a sample has arrived


class Coordinator:
    """Streams mini-batches through a pipeline.

    Args:
        pipeline: The pipeline.
        schedule: The order of passes.
        passes: The names of the rule's one or two passes.
        batch_size: How many items a sample has; the last one of an epoch may have fewer.
        seed: The order of the items is drawn from (seed, "shuffle", epoch).
        stop: Asked before each sample. If it returns true, the epoch ends there, once the samples in flight are done.
        on_sample: Called after each sample with the tally so far.
        recorder: Records what the coordinator does when.

    Attributes:
        step: The number of the next sample.
        recorder: As above.
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
        self._early: deque[Message] = deque()  # outputs that arrived before it was their turn to be answered
        self._asked = 0  # how many samples without labels are in flight

    def go_on(self, pipeline: Pipeline, step: int) -> None:
        """Continues with `pipeline`, which may be a new one, at sample `step`."""
        self._pipeline, self.step = pipeline, step
        self._early, self._asked = deque(), 0

    def train_epoch(self, x: Tensor, y: Tensor, epoch: int, lr: float) -> Tally:
        """Trains on each item once, in an order drawn from (seed, "shuffle", epoch). It drains the pipeline.

        Args:
            x: The items, (N, *item_shape), float32.
            y: The labels, (N,), int64; or (N, numbers), float32.
            epoch: The number of the epoch, from 1.
            lr: The learning rate.

        Returns:
            What the outputs during training add up to.

        Raises:
            Diverged: An output or a weight is not finite; the message names the step and the layer.
            RunError: The pipeline failed.
        """
        self.align(epoch)
        return self.train(Stored(x, y, shuffled(len(x), self._seed, epoch), self._batch_size), lr)

    def align(self, epoch: int) -> None:
        """Before an epoch: lets a rule that aligns its feedback with the weights do so."""
        if self._pipeline.aligns:
            self._pipeline.align(epoch)

    def train(self, source: Source, lr: float, tally: Tally | None = None, order: Order | None = None) -> Tally:
        """Trains on the samples of `source` until it ends.

        Args:
            source: The samples.
            lr: The learning rate.
            tally: What earlier outputs added up to, which is added to.
            order: Decides what is next, if the schedule adapts and the rule has a second pass, and keeps what it
                decided.

        Returns:
            The tally.

        Raises:
            Diverged: As above.
            RunError: The pipeline failed, or a sample has no labels and the schedule does not adapt.
            UserError: `order` repeats decisions that are not possible here.
        """
        with compute_mode(self._pipeline.threads):
            return self._train(source, lr, Tally() if tally is None else tally, order or Order())

    def _train(self, source: Source, lr: float, tally: Tally, order: Order) -> Tally:
        began = time.perf_counter()
        one_hot = torch.eye(self._pipeline.classes)
        targets: dict[int, tuple[Tensor, Tensor]] = {}  # of each sample in flight: labels, and the target
        bad_step = None
        self._pipeline.train(self.step, lr)
        lap = self.recorder.lap
        self.recorder.start()
        admit = self._passes[0]
        actions = self._actions(source, order)
        signals = self._pipeline.signals
        target_outlets, heeding = signals[admit], signals.get(NEXT_FIRST, ())
        for name, step, _ in actions:
            if name == admit:
                stopped = bad_step is not None or self._stop()
                lap(OTHER, name, step)
                sample = None if stopped else self._take(source)
                if sample is None:
                    actions.end(step)
                    for outlet in (self._pipeline.samples, *signals.get(END, ())):
                        outlet.send(END, step)
                    continue
                items, labels = sample
                lap(DATA, name, step)  # hardly any time, unless it had to wait
                if labels is None:
                    self._ask(step, items, actions, source)
                    continue
                self._pipeline.samples.send(name, step, items)
                for outlet in heeding:
                    outlet.send(NEXT_FIRST, step)
                lap(SEND, name, step)
                # this can be done while the pipeline already works
                targets[step] = labels, labels if labels.is_floating_point() else one_hot.index_select(0, labels)
                for outlet in target_outlets:
                    outlet.send(name, step, targets[step][1])
                source.ahead()
                self.step = step + 1
            else:
                finite = self._answer(name, step, *targets.pop(step), source, tally)
                bad_step = step if not finite and bad_step is None else bad_step
                self._on_sample(tally)
        while self._asked:
            self._receive(source)
        self._pipeline.join()
        tally.seconds += time.perf_counter() - began
        self._check(bad_step)
        return tally

    def _actions(self, source: Source, order: Order) -> Actions | Decided:
        """The order of what the coordinator does. Without a second pass it only collects outputs."""
        passes = self._passes if len(self._passes) > 1 else (*self._passes, COLLECT)
        in_flight = self._schedule.in_flight(self._pipeline.depth, self._passes)
        if not self._schedule.adapts:
            return self._schedule.actions(self.step, passes, [in_flight])
        if len(self._passes) == 1:
            order = Order()  # nothing is ever stale, so any order ends with the same bits, and none need be repeated
        return Decided(in_flight, self.step, passes, order, lambda: self._sample_is_first(source))

    def _sample_is_first(self, source: Source) -> bool:
        """Waits until a sample or an output has arrived, and returns whether it is a sample."""
        while not source.waiting():
            if self._early:
                return False
            self._hear(source, _GLANCE_SECONDS)
        return True

    def _hear(self, source: Source, timeout: float | None = None) -> None:
        """Receives the next output, if it arrives within `timeout` seconds, and keeps it until it is its turn."""
        with contextlib.suppress(TimeoutError):
            if (message := self._receive(source, timeout)) is not None:
                self._early.append(message)

    def _take(self, source: Source) -> Taken | None:
        """The next sample. While it waits for one, it receives the outputs of samples without labels."""
        while self._asked and not source.waiting():
            self._hear(source, _GLANCE_SECONDS)
        if not source.waiting():
            self._pipeline.catch_up()
        return source.take()

    def _ask(self, step: int, items: Tensor, actions: Actions | Decided, source: Source) -> None:
        """Lets a sample without labels through, between those that are learnt from."""
        if not isinstance(actions, Decided):
            raise RunError(f"a sample without labels needs the schedule adaptive, not {self._schedule.name}")
        actions.withdraw()
        while self._asked == self._schedule.window:  # with more, all channels might fill up, and nobody could send
            self._hear(source)
        self._pipeline.samples.send(EVALUATE, step, items)
        for outlet in self._pipeline.signals.get(NEXT_EVALUATE, ()):
            outlet.send(NEXT_EVALUATE, step)
        self._asked += 1

    def _receive(self, source: Source, timeout: float | None = None) -> Message | None:
        """The next output; None if it is that of a sample without labels, which is passed on to the source."""
        message = self._pipeline.outputs.receive(timeout)
        if message.kind != EVALUATE:
            return message
        assert message.tensor is not None
        self._asked -= 1
        source.predicted(message.tensor.cpu().clone(), _arrived(message))
        message.release()
        return None

    def _answer(self, name: str, step: int, labels: Tensor, target: Tensor, source: Source, tally: Tally) -> bool:
        """Receives `step`'s output and sends its error to all that need it. Returns whether the output was finite."""
        lap = self.recorder.lap
        lap(OTHER, name, step)
        message = self._early.popleft() if self._early else None
        while message is None:
            message = self._receive(source)
        lap(RECEIVE, name, step)
        if message.step != step or message.tensor is None:
            raise RunError(f"the output of sample {message.step} arrived when sample {step}'s was due")
        output = message.tensor.cpu()
        source.answer(step, output, _arrived(message))
        error = output - target
        finite = math.isfinite(float(error.sum()))
        if not finite:
            error.zero_()  # so that the samples in flight do not spread NaN to layers that are still sound
        lap(PASS, name, step)
        signals = self._pipeline.signals
        for outlet in signals.get(name, ()):
            outlet.send(name, step, error)
        for outlet in signals.get(NEXT_SECOND, ()):
            outlet.send(NEXT_SECOND, step)
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
        """Sends all items through the same pipeline, without dropout or learning.

        Args:
            x: The items, (N, *item_shape), float32.
            y: The labels, (N,), int64; or (N, numbers), float32.

        Returns:
            What the outputs add up to.

        Raises:
            Diverged: An output is not a number.
            RunError: The pipeline failed.
        """
        return self.test(batches(x, y, torch.arange(len(x)), self._batch_size))

    def test(self, samples: Iterable[Sample]) -> Tally:
        """Sends `samples`, of at most the batch size, through the pipeline in this way. Returns and raises the same."""
        # fewer than the capacity of each channel, so no send blocks
        return evaluate(self._pipeline, samples, in_flight=2 * self._schedule.window)


def _arrived(message: Message) -> float:
    """When an output arrived, in seconds of this host's monotonic clock."""
    return message.sent / 1e9 if message.sent else time.perf_counter()
