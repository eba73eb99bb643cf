"""What a training run comes to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn


@dataclass
class Result:
    """A finished (or interrupted) run.

    model: the trained `nn.Sequential`, the one that was passed in. summary: what `--json` prints; its keys can be read
    as attributes too (`result.test_accuracy`, in percent). history: one dict an epoch. interrupted: ended by request.
    """

    model: nn.Sequential = field(repr=False)
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(repr=False)
    interrupted: bool = False

    def __getattr__(self, name: str) -> Any:
        summary = self.__dict__.get("summary", {})
        if name in summary:
            return summary[name]
        raise AttributeError(f"a result has no {name!r}")

    def to_json(self) -> str:
        """The summary as one JSON object in one line."""
        return json.dumps(self.summary)


def quantiles(values: list[float]) -> dict[str, float | None]:
    """p50, p95 and p99, rounded to microseconds if `values` are milliseconds; None where there are none."""
    if not values:
        return {"p50": None, "p95": None, "p99": None}
    return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in (50, 95, 99)}
