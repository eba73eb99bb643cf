"""Figures as people write them: a number and a unit, for each field of a device and of a link.

Links are in the words and units of tc-netem(8) and tc(8).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipepita.errors import UserError


@dataclass(frozen=True)
class Quantity:
    """A kind of figure.

    Attributes:
        units: The factor of each unit.
        like: An example of how to write it.
        zero: Whether it may be 0.
        below: What it must stay under.
        fold: Whether upper and lower case are the same.
    """

    units: Mapping[str, float]
    like: str
    zero: bool = False
    below: float = math.inf
    fold: bool = False

    def read(self, value: object) -> float:
        """The figure in base units; `ValueError` with a text that says what would be right."""
        number, unit = _parts(value)
        factor = self.units.get(unit.lower() if self.fold else unit)
        if factor is None and number == 0 and not unit:
            factor = 1.0  # 0 needs no unit
        if math.isnan(number) or factor is None:
            raise ValueError(f"write it like {self.like}")
        result = number * factor
        if result < 0 or (result == 0 and not self.zero) or not result < self.below:
            least = "at least 0" if self.zero else "above 0"
            most = "finite" if self.below == math.inf else f"below {self.below / factor:g}{unit}"
            raise ValueError(f"has to be {least} and {most}, like {self.like}")
        return result


def _parts(value: object) -> tuple[float, str]:
    """Number and unit. The number is NaN if there is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value), ""
        except OverflowError:
            return math.inf, ""
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    return (float(match[1]), match[2]) if match else (math.nan, "")


_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\W\d_]*(?:/s)?|%)", re.ASCII)
_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_SMALL = {"m": 1e-3, "u": 1e-6}


def _amounts(prefixes: Mapping[str, float], unit: str) -> dict[str, float]:
    """With and without the unit's own name: 4G and 4GB."""
    return {prefix + name: factor for prefix, factor in prefixes.items() for name in ("", unit)}


_TIMES = {"s": 1.0, "sec": 1.0, "secs": 1.0, "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3, "us": 1e-6, "usec": 1e-6,
          "usecs": 1e-6}  # fmt: skip
_RATES = {  # tc's bps means bytes per second
    prefix.lower() + unit: factor * bits
    for prefix, factor in (_DECIMAL | _BINARY).items()
    for unit, bits in (("bit", 1.0), ("bps", 8.0))
}
DEVICE = {
    "flops": Quantity(_amounts(_DECIMAL | _BINARY, "FLOP/s"), "20G (FLOP/s)"),
    "bandwidth": Quantity(_amounts(_DECIMAL | _BINARY, "B/s"), "5G (bytes/s)"),
    "ram": Quantity(_amounts(_DECIMAL | _BINARY, "B"), "3.5Gi (bytes)"),
    "idle_watts": Quantity(_amounts(_DECIMAL | _SMALL, "W"), "2.5 (watts)", zero=True),
    "active_watts": Quantity(_amounts(_DECIMAL | _SMALL, "W"), "7.2 (watts)"),
}
LINK = {
    "delay": Quantity(_TIMES, "10ms (s, ms, us)", zero=True, fold=True),
    "jitter": Quantity(_TIMES, "2ms (s, ms, us)", zero=True, fold=True),
    "rate": Quantity(_RATES, "20mbit (bit, kbit, mbit, gbit)", fold=True),
    "loss": Quantity({"%": 0.01}, "1%", zero=True, below=0.9),
}
TIME = Quantity(_TIMES, "25us (s, ms, us)", zero=True, fold=True)
SHARE = Quantity({"%": 0.01}, "12%", zero=True)
BATTERY = Quantity({"Wh": 3600.0, "kWh": 3.6e6, "mWh": 3.6, "J": 1.0, "kJ": 1e3}, "20Wh (Wh, kWh, mWh, J, kJ)")


def figure(where: str, quantity: Quantity, value: object) -> float:
    """`value` in base units; `UserError` that names `where` it stands if it cannot be read."""
    try:
        return quantity.read(value)
    except ValueError as error:
        raise UserError(f"{where} {value!r}: {error}") from None


def is_number(word: str) -> bool:
    """Whether `word` is meant as a figure, and not as the next name."""
    return word[0] in "+-.0123456789"
