"""What a training run returns."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn


@dataclass
class Result:
    """A finished or interrupted run.

    Args:
        model: The trained `nn.Sequential`, the same object that was passed to `train`.
        summary: What `--json` prints: what was trained and how ("rule", "network", "lr", ...), and the figures:
            "test_accuracy" (percent; if numbers are predicted: "test_mae", "test_rmse" and "test_r2"), "train_loss"
            (nats; or half the squared error), "wall_seconds", "items_per_second", "step_ms" (the quantiles "p50", "p95"
            and "p99" of the milliseconds from one sample's error to the next one's), "weights_sha256", ... Each key can
            also be read as an attribute.
        history: One dict per epoch, as in metrics.jsonl: "epoch" (from 1), "step" (samples so far), "lr", "train_loss",
            "train_accuracy", "test_loss", "test_accuracy", "seconds" (of training), "items_per_second" and "step_ms".
            If numbers are predicted, mae, rmse and r2 take the place of the accuracies.
        interrupted: Whether the run was asked to stop before its end.

    Raises:
        AttributeError: An attribute is read that is neither a field nor a key of the summary.

    Example:
        >>> import torch.nn as nn
        >>> result = Result(nn.Sequential(), {"test_accuracy": 95.1, "restarts": 0}, [])
        >>> result.test_accuracy
        95.1
        >>> result.to_json()
        '{"test_accuracy": 95.1, "restarts": 0}'
    """

    model: nn.Sequential = field(repr=False)
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(repr=False)
    interrupted: bool = False

    def __getattr__(self, name: str) -> Any:
        summary = self.__dict__.get("summary", {})
        if name in summary:
            return summary[name]
        figures = ", ".join(key for key in summary if key.startswith("test_"))
        raise AttributeError(f"a result has no {name!r}" + (f"; of the test items it has {figures}" if figures else ""))

    def to_json(self) -> str:
        """The summary as one JSON object in one line."""
        return json.dumps(self.summary)


def quantiles(values: list[float]) -> dict[str, float | None]:
    """The quantiles p50, p95 and p99 of some milliseconds, rounded to microseconds; None if there are no values."""
    if not values:
        return {"p50": None, "p95": None, "p99": None}
    return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in (50, 95, 99)}
