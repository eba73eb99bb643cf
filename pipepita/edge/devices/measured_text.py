"""How measured passes are written in a file of profiles.

[devices.my-pi.measured]
call = ["3.1us", "3.2us", "3.9us"]            what each tensor operation takes, whatever its size, with 1, 8 and 64
                                              items; or one figure for all
standard = "25us"                             what each pass of a layer takes besides
second = "31us"
update = "40us"
first-standard = "9us"                        how much more at the first layer of a stage; first-second, first-update
bandwidth = "5G"                              bytes/s
sample = "120us"                              what the coordinator takes for a sample, and more for each item,
item = "9us"                                  in one process with all layers
wake = "80us"                                 until a sample enters that arrives while nothing is to do,
cold = "20%"                                  and by how much longer its standard passes take
apart-sample = "300us"                        the same of a coordinator in a process of its own
message = "60us"                              what a process takes to send or to receive a message
"linear standard 8" = [[2e3, 1.1e9], [1e6, 8e9]]
                                              flops of a pass, and the FLOP/s that it reaches: of linear or convolution;
                                              standard, second or update; 1, 8 or 64 items
ahead = [[4e3, 9e9], [5e6, 2e9]]              bytes, bytes/s of predicting a layer's weights

call, standard, second, update and bandwidth must be there.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pipepita.edge.devices.measured import (
    AHEAD,
    BATCHES,
    CONVOLUTION,
    LINEAR,
    PHASES,
    Coordinator,
    Measured,
    Overhead,
    Rate,
    key,
)
from pipepita.edge.devices.quantities import DEVICE, SHARE, TIME, Quantity, figure
from pipepita.errors import UserError, unknown

_FIRST = tuple(f"first-{phase}" for phase in PHASES)
_OVERHEADS = ("call", *PHASES, *_FIRST, "bandwidth")
_COORDINATOR = ("sample", "item", "wake", "cold")
_APART = tuple(f"apart-{name}" for name in _COORDINATOR)
_RATES = (
    *(key(kind, phase, batch) for kind in (LINEAR, CONVOLUTION) for phase in PHASES for batch in BATCHES), AHEAD,
)  # fmt: skip


def read(where: str, table: object) -> Measured:
    """The passes of a table; `UserError` that names `where` it stands if it cannot be read."""
    if not isinstance(table, Mapping):
        raise UserError(f"{where} {table!r}: write a table [{where.rpartition(': ')[2]}]")
    for name in table:
        if name not in (known := (*_OVERHEADS, *_COORDINATOR, *_APART, "message", *_RATES)):
            raise unknown(f"field in {where}:", name, known)
    for name in ("call", *PHASES, "bandwidth"):
        if name not in table:
            like = DEVICE["bandwidth"].like if name == "bandwidth" else TIME.like
            raise UserError(f"{where}: {name} is missing: give it like {like}")
    rates = {name: _rates(f"{where}.{name}", table[name]) for name in _RATES if name in table}
    columns = zip(*(_of_batches(f"{where}.{name}", name, table.get(name, 0)) for name in _OVERHEADS), strict=True)
    overheads = {
        batch: Overhead(call, (one, two, three), (more, again, further), bandwidth)
        for batch, (call, one, two, three, more, again, further, bandwidth) in zip(BATCHES, columns, strict=True)
    }
    together, apart = (
        Coordinator(*(figure(f"{where}.{name}", _kind(name), table.get(name, 0)) for name in names))
        for names in (_COORDINATOR, _APART)
    )
    return Measured(overheads, rates, together, apart, figure(f"{where}.message", TIME, table.get("message", 0)))


def _of_batches(where: str, name: str, given: object) -> list[float]:
    """A figure for each of `BATCHES`, or one for all."""
    several = given if isinstance(given, list) else [given] * len(BATCHES)
    if len(several) != len(BATCHES):
        raise UserError(
            f"{where} {given!r}: write one figure, or {len(BATCHES)}: of {', '.join(map(str, BATCHES))} items"
        )
    return [figure(where, _kind(name), one) for one in several]


def _kind(name: str) -> Quantity:
    if name == "bandwidth":
        return DEVICE["bandwidth"]
    return SHARE if name.endswith("cold") else TIME


def _rates(where: str, pairs: Any) -> list[Rate]:
    try:
        rates = [Rate(float(size), float(rate)) for size, rate in pairs]
    except (TypeError, ValueError):
        rates = []
    rising = all(one.size < other.size for one, other in itertools.pairwise(rates))
    if not rates or not rising or not all(0 < value < 1e30 for one in rates for value in one):
        like = "[[2e3, 1e9], [1e6, 8e9]]"
        raise UserError(
            f"{where} {pairs!r}: write pairs of flops and FLOP/s (or bytes and bytes/s), rising, like {like}"
        )
    return rates


def lines(measured: Measured) -> list[str]:
    """The fields of the table."""
    rows = [(one.call, *one.passes, *one.first, one.bandwidth) for one in map(measured.overheads.__getitem__, BATCHES)]
    text = [
        f"{name} = [{', '.join(_written(name, value) for value in values)}]"
        for name, values in zip(_OVERHEADS, zip(*rows, strict=True), strict=True)
    ]
    figures = (*measured.together, *measured.apart, measured.message)
    names = (*_COORDINATOR, *_APART, "message")
    text += [f"{name} = {_written(name, value)}" for name, value in zip(names, figures, strict=True)]
    for name, rates in measured.rates.items():
        pairs = ", ".join(f"[{one.size:.4g}, {one.rate:.4g}]" for one in rates)
        text.append(f'"{name}" = [{pairs}]')
    return text


def _written(name: str, value: float) -> str:
    if name == "bandwidth":
        return f'"{value / 1e9:.4g}G"'
    return f'"{100 * value:.4g}%"' if _kind(name) is SHARE else f'"{1e6 * value:.4g}us"'
