"""`pipepita.online`: online learning from any iterable, as an iterator of predictions."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn

from pipepita.errors import UserError
from pipepita.live.beginning import Beginning, Desk, Net
from pipepita.live.counts import Counts
from pipepita.live.entry import Prediction
from pipepita.live.inbox import Inbox
from pipepita.live.pairs import Pairs
from pipepita.live.run import Online
from pipepita.network.modules import leaves
from pipepita.network.norms import check_batches
from pipepita.pipeline.engine import Engine
from pipepita.rules import Pepita, Rule
from pipepita.rules.epochless import check_epochless
from pipepita.runs.display import Observer
from pipepita.runs.listeners import Listener
from pipepita.runs.options.job import Options
from pipepita.runs.options.kinds import check_actors
from pipepita.runs.options.reading import checked
from pipepita.runs.options.settled import settle
from pipepita.runs.place import Where
from pipepita.streams import as_stream, prequential
from pipepita.streams.targets import targets_of

_LOOK_SECONDS = 0.1  # how long it waits for somebody to take a prediction before it looks whether anybody still will
_MEANINGLESS = {  # of `Options`
    "epochs", "lr_decay", "augment", "validation", "loader_workers", "run_dir", "checkpoint_every", "keep_checkpoints",
    "tensorboard",
}  # fmt: skip
_WAITING = 256  # predictions that nobody has asked for yet; then learning waits


def online(
    model: nn.Sequential,
    stream: Iterable[Any],
    *,
    rule: Rule | None = None,
    engine: str | Engine = "local",
    classes: int | None = None,
    counts: Counts | None = None,
    observer: Listener | None = None,
    **options: Any,
) -> Iterator[Prediction]:
    """Learns from `stream` online: each item is predicted, and then learnt from.

    Arguments are checked at once. Learning begins when the first prediction is asked for. It goes on in another thread,
    waits if nobody asks for more, and ends if the iterator is closed.

    Args:
        model: An `nn.Sequential`, which begins with its own weights and is trained in place. It holds what was learnt
            once the iterator has ended.
        stream: Pairs (x, y), as `pipepita.streams.as_stream` takes them; or a `Stream`. If y are floats, numbers are
            predicted: the network learns them standardised by the mean and standard deviation of those so far (at the
            end: `counts.scale`), and predictions are in their own units.
        rule: The learning rule; by default `Pepita()`.
        engine: "local", "ray", or an open engine, which is then kept open.
        classes: How many classes there are, if `stream` cannot say. Of numbers, it is how many each item has.
        counts: Gets the figures: how good the predictions were, latencies, how many were learnt from.
        observer: Told how the run goes; by default only warnings are passed on.
        **options: The fields of `pipepita.runs.options.job.Options` that mean something online, above all lr (0.002),
            optimizer, batch_size (1), seed, schedule ("adaptive"), window, look_ahead, stages, placement,
            encrypt (True), snapshot_every, max_restarts.

    Yields:
        One `Prediction` per item, in the order of the stream, made before the item's label was used.

    Raises:
        UserError: An argument is wrong, or an item is.
        Diverged: A weight or an output stopped being finite.
        RunError: A stage was lost more often than `max_restarts` allows.

    Example:
        >>> import pipepita as pp
        >>> data = pp.load("digits")
        >>> model = pp.build("fc:32", data.item_shape, data.classes)
        >>> pp.initialise(model, seed=0)
        >>> stream = list(zip(data.x_train[:300], data.y_train[:300].tolist()))
        >>> predictions = [one.prediction for one in pp.online(model, stream, lr=0.01)]
        >>> len(predictions)
        300
    """
    settings: Options = checked(
        Options,
        {"schedule": "adaptive", "batch_size": 1, "lr": 0.002, "snapshot_every": 1000, "encrypt": True, **options},
    )
    for name in options:
        if name in _MEANINGLESS:
            raise UserError(f"{name} {options[name]!r} means nothing online: a stream has no epochs and no run folder")
    rule, observer = rule or Pepita(), observer or Observer()
    check_actors(rule, engine, observer)
    check_epochless(rule)
    items = as_stream(stream, classes=classes)
    check_batches(leaves(model), 0, settings.batch_size)
    settled = settle(model, items.item_shape, items.classes, rule, settings, regression=items.regression)
    net = Net(model, items.item_shape, items.classes, rule)
    waiting: queue.Queue[Prediction | None] = queue.Queue(_WAITING)
    closed, failures = threading.Event(), list[BaseException]()

    def give(predictions: Sequence[Prediction | None]) -> None:
        for prediction in predictions:
            while not closed.is_set():
                with contextlib.suppress(queue.Full):
                    waiting.put(prediction, timeout=_LOOK_SECONDS)
                    break

    def learn() -> None:
        try:
            run.run(Pairs(items), None, {}, Beginning())
        except BaseException as error:
            failures.append(error)
        finally:
            give([None])

    counts = counts or Counts(prequential(items.regression, seed=settings.seed))
    inbox, targets = Inbox(max(16, 2 * settings.batch_size), "block"), targets_of(items.regression, items.classes)
    desk = Desk(inbox, counts, give, targets=targets)
    run = Online(net, settled, Where(engine), desk, observer, closed.is_set)
    thread = threading.Thread(target=learn, name="pipepita online")
    return _predictions(thread, waiting, closed, failures)


def _predictions(
    thread: threading.Thread,
    waiting: queue.Queue[Prediction | None],
    closed: threading.Event,
    failures: list[BaseException],
) -> Iterator[Prediction]:
    thread.start()
    try:
        while (prediction := waiting.get()) is not None:
            yield prediction
    finally:
        closed.set()
        thread.join()
    if failures:
        raise failures[0]
