"""One item on its way through the pipeline: what is known of it so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson
import torch
from torch import Tensor

from pipepita.live.items import Id

_NUMPY_LINE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
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


def as_lines(predictions: Sequence[Prediction]) -> str:
    """The predictions as lines of JSON: id, prediction, probabilities, ms."""
    rounded = torch.stack([prediction.probabilities for prediction in predictions]).numpy().round(6)
    return b"".join(
        orjson.dumps(
            {"id": name, "prediction": chosen, "probabilities": shares, "ms": round(milliseconds, 3)},
            option=_NUMPY_LINE,
        )
        for (name, chosen, _, milliseconds), shares in zip(predictions, rounded, strict=True)
    ).decode()


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
