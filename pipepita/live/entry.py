"""One item on its way through the pipeline: what is known of it so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson
import torch
from torch import Tensor

from pipepita.live.items import Id
from pipepita.streams.items import Label
from pipepita.streams.targets import Said

_NUMPY_LINE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
# gets the predictions of one sample, in the order of arrival
Publish = Callable[[Sequence["Prediction"]], None]


class Prediction(NamedTuple):
    """What was predicted for an item, before its label was used.

    Attributes:
        id: What the source calls the item; its number if it does not.
        prediction: The class, from 0; or the number, or the list of several, in the labels' own units.
        probabilities: Of each class, (classes,), float32; None if numbers are predicted.
        milliseconds: From the item's arrival to the prediction.

    Example:
        >>> import pipepita as pp
        >>> model = pp.build("fc:8", (2,), 2)
        >>> first, second = pp.online(model, [([0.5, 1.0], 0), ([0.25, 0.0], 1)])
        >>> first.id, first.prediction in (0, 1), first.probabilities.shape
        (0, True, torch.Size([2]))
    """

    id: Id
    prediction: Said
    probabilities: Tensor | None
    milliseconds: float


def as_lines(predictions: Sequence[Prediction], names: Sequence[str] = ()) -> str:
    """The predictions as lines of JSON: id, prediction, ms, and of classes their probabilities.

    Args:
        names: The labels that are texts, in the order of their classes. If there are any, each line also says which
            label the class is; null if no item of that class has come yet.
    """
    shares = [one.probabilities for one in predictions if one.probabilities is not None]
    if not shares:
        return b"".join(
            orjson.dumps({"id": name, "prediction": said, "ms": round(milliseconds, 3)}, option=_NUMPY_LINE)
            for name, said, _, milliseconds in predictions
        ).decode()
    rounded = torch.stack(shares).numpy().round(6)
    return b"".join(
        orjson.dumps(
            {"id": name, "prediction": chosen, **_label(chosen, names), "probabilities": row, "ms": round(ms, 3)},
            option=_NUMPY_LINE,
        )
        for (name, chosen, _, ms), row in zip(predictions, rounded, strict=True)
    ).decode()


def _label(chosen: Said, names: Sequence[str]) -> dict[str, str | None]:
    """What a line says of the class's name: nothing if labels are no texts."""
    if not names or not isinstance(chosen, int):
        return {}
    return {"label": names[chosen] if chosen < len(names) else None}


@dataclass(slots=True)
class Entry:
    """An item on its way.

    Attributes:
        id: Its name.
        x: The item.
        at: When it arrived, in seconds of this host's monotonic clock.
        label: Its class, or numbers; None if that is not known yet.
        predicted: What was predicted; None before.
        number: Of its line in the journal.
    """

    id: Id
    x: Tensor
    at: float
    label: Label | None = None
    predicted: Said | None = None
    number: int = -1
