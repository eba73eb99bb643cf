"""`pipepita devices`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipepita.cli.words import JSON_HELP
from pipepita.report import plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from pipepita.edge.devices.profiles import Catalogue, DeviceProfile, LinkProfile


def devices(
    profiles: Annotated[
        Path | None, typer.Option(help="TOML file with devices and links of your own", show_default=False)
    ] = None,
    sources: Annotated[bool, typer.Option("--sources", help="also list where each figure comes from")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """List the edge devices and links that have a name, and what they can do."""
    from pipepita.edge.devices.profiles import catalogue

    known = catalogue(profiles)
    if as_json:
        print(json.dumps(_plain(known)))
        return
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    console.print(_devices(known))
    for device in known.devices.values():
        if not device.trains:
            console.print(f"{device.name} cannot train: {device.reason}", soft_wrap=True)
    console.print()
    console.print(_links(known))
    if sources:
        console.print()
        for line in _sources(known):
            console.print(line, soft_wrap=True)


def _plain(known: Catalogue) -> dict[str, dict[str, object]]:
    """JSON has no infinity: a rate without a limit is null."""
    links = {name: asdict(link) for name, link in known.links.items()}
    for link in links.values():
        link["rate"] = None if link["rate"] == math.inf else link["rate"]
        del link["air"]  # which is said where a link is used
    devices = {
        name: {key: _known(getattr(device, key)) for key in ("name", "title", *_DEVICE, "trains", "reason", "sources")}
        for name, device in known.devices.items()
    }
    return {"devices": dict(devices), "links": dict(links)}


def _known(value: object) -> object:
    """The power of a device that nobody measured is NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _devices(known: Catalogue) -> Table:
    table = _table("name", "device", "FLOP/s", "memory/s", "RAM", "idle", "active", "trains")
    for device in known.devices.values():
        cells = (_UNITS[key](getattr(device, key)) for key in _DEVICE)
        table.add_row(device.name, device.title, *cells, "yes" if device.trains else "no")
    return table


def _links(known: Catalogue) -> Table:
    table = _table("name", "link", "delay", "jitter", "rate", "loss")
    for link in known.links.values():
        table.add_row(link.name, link.title, *(_UNITS[key](getattr(link, key)) for key in _LINK))
    return table


def _table(name: str, title: str, *others: str) -> Table:
    table = plain_table()
    table.add_column(name, no_wrap=True)
    table.add_column(title)
    for words in others:
        table.add_column(words, justify="right", no_wrap=True)
    return table


def _sources(known: Catalogue) -> list[str]:
    rows: list[tuple[str, DeviceProfile | LinkProfile, tuple[str, ...]]] = [
        (f"devices.{device.name}", device, (*_DEVICE, "trains")) for device in known.devices.values()
    ]
    rows += [(f"links.{link.name}", link, _LINK) for link in known.links.values()]
    return [
        f"{name}.{key} {_UNITS[key](getattr(one, key))}: {one.sources.get(key, 'no source given')}"
        for name, one, keys in rows
        for key in keys
        if key != "trains" or key in one.sources
    ]


def _scaled(unit: str, base: float = 1000.0) -> Callable[[float], str]:
    """Writes a figure with three digits and the prefix that fits: 5.5 G."""
    prefixes = ["", *(f"{letter}i" if base == 1024 else letter for letter in ("k" if base == 1000 else "K", *"MGT"))]

    def written(value: float) -> str:
        if math.isnan(value):
            return "-"
        below = [(1e-3, "m"), (1e-6, "µ")] if 0 < value < 1 else []
        steps = [(base**power, prefix) for power, prefix in reversed(list(enumerate(prefixes)))] + below
        factor, prefix = next((step for step in steps if value >= step[0]), steps[-1] if value else (1.0, ""))
        return f"{value / factor:.3g} {prefix}{unit}".rstrip()

    return written


def _rate(value: float) -> str:
    return "no limit" if value == math.inf else _scaled("bit/s")(value)


_DEVICE = ("flops", "bandwidth", "ram", "idle_watts", "active_watts")
_LINK = ("delay", "jitter", "rate", "loss")
_UNITS: dict[str, Callable[[float], str]] = {
    "flops": _scaled(""),
    "bandwidth": _scaled("B"),
    "ram": _scaled("B", 1024.0),
    "idle_watts": _scaled("W"),
    "active_watts": _scaled("W"),
    "trains": lambda value: "yes" if value else "no",
    "delay": _scaled("s"),
    "jitter": _scaled("s"),
    "rate": _rate,
    "loss": lambda value: f"{100 * value:.3g} %",
}
