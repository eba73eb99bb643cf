"""Figures and names as people read them."""

from __future__ import annotations

import math

from pipepita.report import four_digits

_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes"))


def short(text: str, most: int = 40) -> str:
    """`text` in one line of at most `most` printable characters."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def number(value: float) -> str:
    """`value` with four digits, or with all digits before the point if there are more; "-" if it is not known."""
    return "-" if math.isnan(value) else four_digits(value)


def size(count: float) -> str:
    """A number of bytes with a unit."""
    factor, unit = next(((factor, unit) for factor, unit in _BYTES if count >= factor), _BYTES[-1])
    return f"{count / factor:.3g} {unit}"
