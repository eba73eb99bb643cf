"""`evaluate`: measures again what a run reported."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pipepita.data import Data
from pipepita.data.agenda import Agenda
from pipepita.engines.local import LocalEngine
from pipepita.errors import UserError
from pipepita.network.cut import cut
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.rules import Rule
from pipepita.runs.store.checkpoint import weights_sha256
from pipepita.runs.store.saved import SavedRun
from pipepita.schedule import relaxed

log = logging.getLogger(__name__)


def evaluate(
    run_dir: str | Path,
    data: Data | None = None,
    *,
    data_dir: str | Path | None = None,
    rule: Rule | None = None,
) -> dict[str, Any]:
    """Measures again how good a run's last checkpoint is on its test items, with the code that trained it.

    If the run held out training items (its option `validation`), these take the place of the test items.

    Args:
        run_dir: The run folder. A damaged checkpoint is named in the log, and the one before it is used.
        data: The data of the run, if it was not a named data set.
        data_dir: Where the named data set is, if it is not where the run found it.
        rule: The run's learning rule, if its class cannot be found again by its name.

    Returns:
        "run_dir", "checkpoint" and "dataset"; "items", how many test items; "test_accuracy", in percent; "test_loss",
        the mean cross-entropy in nats; "reported_test_accuracy", what the run itself reported (None in the middle of an
        epoch); and "weights_sha256". If numbers are predicted: "test_mae", "test_rmse" and "test_r2" in the place of
        the accuracy, each with its "reported_...", and the loss is half the squared error.

    Raises:
        UserError: The folder or its checkpoint is missing or damaged, it is that of an online run, or the data or the
            rule does not fit.
        RunError: An item could not be read.

    Example:
        >>> import pipepita as pp
        >>> data = pp.load("digits")
        >>> model = pp.build("fc:32", data.item_shape, data.classes)
        >>> result = pp.train(model, data, engine="local", epochs=1, run_dir="my-run")
        >>> again = pp.evaluate("my-run")
        >>> again["test_accuracy"] == result.test_accuracy
        True
    """
    if data is not None and not isinstance(data, Data):
        raise UserError(f"data is {type(data).__name__}: pass a pipepita.Data")
    saved = SavedRun.open(run_dir)
    for line in saved.damaged:
        log.warning("%s", line)
    if saved.checkpoint is None:
        raise UserError(f"{saved.path} holds no checkpoint")
    model, rule, settings = saved.model, saved.rule(rule), saved.settings()
    data = saved.data(data, data_dir)
    layers = cut(model, data.item_shape, data.classes, regression=data.regression)
    task = Task(layers, data.classes, rule, threads=settings.threads)
    schedule, batch = relaxed(), settings.batch_size
    pipeline = LocalEngine("cpu").open(Plan(stages(task, task.whole), schedule, batch))
    coordinator = Coordinator(pipeline, schedule, rule.passes, batch_size=batch)
    agenda = Agenda(data.items.train_items, data.items.test_items, batch, settings.seed)
    with data.open(settings.loader_workers, batch) as opened:
        tally = coordinator.test(opened.items.test(agenda, epoch=1))
    figures = {f"test_{name}": figure for name, figure in tally.rounded().items()}
    names = [name for name in figures if name != "test_loss"]
    return {
        "run_dir": str(saved.path),
        "checkpoint": str(saved.place),
        "dataset": data.name,
        "items": tally.items,
        **{name: figures[name] for name in names},
        "test_loss": figures["test_loss"],
        **{f"reported_{name}": saved.checkpoint.about.get(name) for name in names},
        "weights_sha256": weights_sha256(model.state_dict()),
    }
