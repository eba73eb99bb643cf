"""`evaluate`: what a run folder reported, measured again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pipepita import schedule as schedules
from pipepita.data import Data, load
from pipepita.engines.local import LocalEngine
from pipepita.errors import UserError
from pipepita.network.cut import cut
from pipepita.network.modules import rebuild
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.stage import StageSpec
from pipepita.pipeline.wiring import Plan
from pipepita.rules import RULES
from pipepita.runs.checkpoint import weights_sha256
from pipepita.runs.folder import last_checkpoint, read_run
from pipepita.runs.job import Options, checked

log = logging.getLogger(__name__)


def evaluate(run_dir: str | Path, data: Data | None = None, *, data_dir: str | Path | None = None) -> dict[str, Any]:
    """The accuracy of a run folder's last checkpoint on its test items, by the same code that reported it.

    data: for runs on data of your own; otherwise the run's data set is loaded by name, from `data_dir` or where the run
    found it. Returns {"run_dir", "checkpoint", "dataset", "items", "test_accuracy" (percent), "test_loss",
    "reported_test_accuracy" (None in the middle of an epoch), "weights_sha256"}. A checkpoint that is damaged is named
    in the log, and the one before is taken. `UserError` for what is missing or does not fit.
    """
    if data is not None and not isinstance(data, Data):
        raise UserError(f"data is {type(data).__name__}: pass a pipepita.Data")
    path = Path(run_dir)
    about = read_run(path)
    found, damaged = last_checkpoint(path)
    for line in damaged:
        log.warning("%s", line)
    if found is None:
        raise UserError(f"{path} holds no checkpoint")
    try:
        model, options = rebuild(about["model"]), checked(Options, about["options"])
        if data is None:
            data = load(about["dataset"], data_dir=data_dir or about.get("data_dir"))
        model.load_state_dict(found.state().weights)
        rule = RULES[about["rule"]](**about["rule_options"])
        reported = found.about.get("test_accuracy")
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, RecursionError) as error:
        raise UserError(f"{path} does not fit together: {str(error).splitlines()[0]}") from None
    layers = cut(model, data.item_shape, data.classes)
    stage = StageSpec(0, layers, len(layers), data.classes, rule, "sgd", 0.0, 0, threads=options.threads)
    schedule = schedules.relaxed()
    pipeline = LocalEngine("cpu").open(Plan([stage], schedule, options.batch_size))
    tally = Coordinator(pipeline, schedule, rule.passes, batch_size=options.batch_size).evaluate(
        data.x_test, data.y_test
    )
    return {
        "run_dir": str(path),
        "checkpoint": str(found.path),
        "dataset": data.name,
        "items": tally.items,
        "test_accuracy": round(tally.accuracy, 4),
        "test_loss": round(tally.loss, 6),
        "reported_test_accuracy": reported,
        "weights_sha256": weights_sha256(model.state_dict()),
    }
