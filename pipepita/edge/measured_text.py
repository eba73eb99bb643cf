"""How measured passes are written in a file of profiles.

[devices.my-pi.measured]
call = "3.1us"                                what each tensor operation takes, whatever its size
standard = "25us"                             what each pass of a layer takes besides
second = "31us"
update = "40us"
sample = "120us"                              what the coordinator takes for a sample, and more for each item
item = "9us"
linear = [[2e3, 1.1e9], [1e6, 8e9]]           flops of a pass, FLOP/s: linear, convolution; "linear update", ...
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pipepita.edge.measured import BATCHES, CONVOLUTION, LINEAR, PHASES, Measured, Rate, key
from pipepita.edge.quantities import DEVICE, TIME, figure
from pipepita.errors import UserError, unknown

_FIRST = tuple(f"first-{phase}" for phase in PHASES)
_TIMES = ("call", *PHASES, *_FIRST, "sample", "item", "wake")
_RATES = tuple(key(kind, phase, batch) for kind in (LINEAR, CONVOLUTION) for phase in PHASES for batch in BATCHES)


def read(where: str, table: object) -> Measured:
    """The passes of a table; `UserError` that names `where` it stands if it cannot be read."""
    if not isinstance(table, Mapping):
        raise UserError(f"{where} {table!r}: write a table [{where.rpartition(': ')[2]}]")
    for name in table:
        if name not in (known := (*_TIMES, "bandwidth", *_RATES)):
            raise unknown(f"field in {where}:", name, known)
    for name in ("call", *PHASES, "bandwidth"):
        if name not in table:
            like = DEVICE["bandwidth"].like if name == "bandwidth" else TIME.like
            raise UserError(f"{where}: {name} is missing: give it like {like}")
    times = {name: figure(f"{where}.{name}", TIME, table.get(name, 0)) for name in _TIMES}
    rates = {name: _rates(f"{where}.{name}", table[name]) for name in _RATES if name in table}
    (one, two, three), (more, again, further) = ([times[name] for name in names] for names in (PHASES, _FIRST))
    bandwidth = figure(f"{where}.bandwidth", DEVICE["bandwidth"], table["bandwidth"])
    return Measured(
        times["call"], (one, two, three), (more, again, further), bandwidth, times["sample"], times["item"],
        times["wake"], rates,
    )  # fmt: skip


def _rates(where: str, pairs: Any) -> list[Rate]:
    try:
        rates = [Rate(float(flops), float(rate)) for flops, rate in pairs]
    except (TypeError, ValueError):
        rates = []
    rising = all(one.products < other.products for one, other in itertools.pairwise(rates))
    if not rates or not rising or not all(0 < value < 1e30 for one in rates for value in one):
        like = "[[2e3, 1e9], [1e6, 8e9]]"
        raise UserError(f"{where} {pairs!r}: write pairs of flops and FLOP/s, the flops rising, like {like}")
    return rates


def lines(measured: Measured) -> list[str]:
    """The fields of the table."""
    figures = (measured.call, *measured.passes, *measured.first, measured.sample, measured.item, measured.wake)
    times = dict(zip(_TIMES, figures, strict=True))
    text = [f'{name} = "{1e6 * seconds:.4g}us"' for name, seconds in times.items()]
    text.append(f'bandwidth = "{measured.bandwidth / 1e9:.4g}G"')
    for name, rates in measured.rates.items():
        pairs = ", ".join(f"[{one.products:.4g}, {one.rate:.4g}]" for one in rates)
        text.append(f'"{name}" = [{pairs}]')
    return text
