"""One item on its way through the pipeline: what is known of it so far."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from pipepita.live.items import Id

# gets the predictions of one sample, in the order of arrival
Publish = Callable[[Sequence["Prediction"]], None]


class Prediction(NamedTuple):
    """What was predicted for an item, before its label was used.

    Attributes:
        id: What the source calls the item; its number if it does not.
        prediction: The class, from 0.
        probabilities: Of each class, (classes,), float32.
        milliseconds: From the item's arrival to the prediction.
    """

    id: Id
    prediction: int
    probabilities: Tensor
    milliseconds: float

    def line(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return {
            "id": self.id,
            "prediction": self.prediction,
            "probabilities": [round(value, 6) for value in self.probabilities.tolist()],
            "ms": round(self.milliseconds, 3),
        }


def as_lines(predictions: Sequence[Prediction]) -> str:
    """The predictions as lines of JSON."""
    return "".join(json.dumps(prediction.line()) + "\n" for prediction in predictions)


@dataclass(slots=True)
class Entry:
    """An item on its way.

    Attributes:
        id: Its name.
        x: The item.
        at: When it arrived, in seconds of this host's monotonic clock.
        label: Its class; None if that is not known yet.
        predicted: The class that was predicted; None before.
        number: Of its line in the journal.
    """

    id: Id
    x: Tensor
    at: float
    label: int | None = None
    predicted: int | None = None
    number: int = -1
