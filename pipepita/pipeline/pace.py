"""How long a layer takes on an emulated device, and the text in which users write it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipepita.errors import UserError


@dataclass(frozen=True)
class Pace:
    """How many seconds one layer takes at least.

    Attributes:
        standard: For a standard pass.
        modulated: For a second pass, whatever the rule calls it.
        update: For an update, which follows after the last pass has been sent on.
        ahead: How much longer for a standard pass while another sample is in flight, if weights are predicted.
    """

    standard: float
    modulated: float
    update: float = 0.0
    ahead: float = 0.0


def read_milliseconds(text: str, option: str) -> list[float]:
    """Reads `"10"` or `"10,10,40"`, in seconds. Raises `UserError` if one is not between 0 and a minute."""
    try:
        seconds = [float(part) / 1000 for part in text.split(",")]
    except ValueError:
        seconds = [-1.0]
    if not all(0 <= value <= 60 and math.isfinite(value) for value in seconds):
        raise UserError(
            f"{option} {text!r}: milliseconds between 0 and 60000, one number or one per layer, like 10,10,40"
        )
    return seconds


def paces(standard: str | None, modulated: str | None, layers: int) -> list[Pace]:
    """Reads one pace per layer from the texts of the two options. There are none if neither is given.

    Raises:
        UserError: A text cannot be read, or its list does not have one number per layer.
    """
    if standard is None and modulated is None:
        return []
    columns = []
    for option, text in (("standard_ms", standard), ("modulated_ms", modulated)):
        seconds = read_milliseconds("0" if text is None else text, option)
        if len(seconds) not in (1, layers):
            raise UserError(f"{option} {text!r}: {len(seconds)} numbers for {layers} layers: one, or one per layer")
        columns.append(seconds * layers if len(seconds) == 1 else seconds)
    return [Pace(s, m) for s, m in zip(*columns, strict=True)]
