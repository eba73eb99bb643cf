"""`pipepita profile`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipepita.cli.words import JSON_HELP
from pipepita.errors import UserError
from pipepita.extras import need
from pipepita.files import write_whole

if TYPE_CHECKING:
    from pipepita.profiling.device import Findings


def profile(
    name: Annotated[str, typer.Option(help="what to call this device, or the link", show_default=False)],
    into: Annotated[
        Path, typer.Option(help="TOML file of profiles that gets it; it may exist already", show_default=False)
    ],
    load_seconds: Annotated[
        float, typer.Option(help="how long to load all cores, to see whether the device throttles; 0 for not at all")
    ] = 120.0,
    link: Annotated[
        str | None,
        typer.Option(
            help="measure the link to this node of a Ray cluster instead: its address, name or id", show_default=False
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="with --link: the Ray cluster, host:port or auto", show_default=False)
    ] = None,
    encrypt: Annotated[bool, typer.Option(help="with --link: whether messages are encrypted")] = True,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Measure this device, or the link to another one, for simulations.

    Run it on the device itself, with nothing else on it. It finds how long passes take, how fast the memory is and how
    much of it is free, whether the device throttles, and what power it draws. `pipepita simulate --profiles FILE
    --devices NAME` uses what it writes. With --link it measures delay, jitter, rate and loss between two nodes of a Ray
    cluster, through the channels that stages use.
    """
    need("profile", "scipy")
    from pipepita.edge.devices.profiles import check_new

    if not 0 <= load_seconds <= 86_400:
        raise UserError(f"load-seconds {load_seconds:g}: write seconds from 0 to 86400")
    if address is not None and link is None:
        raise UserError(f"address {address} needs --link: a device measures itself without a cluster")
    before = check_new(into, name, "devices" if link is None else "links")
    if link is None:
        table, summary, rows = _device(name, load_seconds)
    else:
        table, summary, rows = _link(name, link, address, encrypt)
    write_whole(into, (before + table).encode())
    if as_json:
        print(json.dumps({"name": name, "file": str(into), **summary}))
    else:
        _show(rows, name)
    print(f"written: {into}", file=sys.stderr)


_Found = tuple[str, dict[str, Any], dict[str, str]]  # for the file, for JSON, for people


def _device(name: str, load_seconds: float) -> _Found:
    from pipepita.edge.words import number, size
    from pipepita.profiling.device import profile as measure
    from pipepita.runs.display import progress
    from pipepita.runs.interrupt import Interrupt

    with Interrupt() as stop, progress("measuring") as show:
        found = measure(load_seconds, lambda what: lambda done, total, now: show(done, total, f"{what}: {now}"), stop)
    measured = found.measured
    rows = {
        "large products": f"{found.flops / 1e9:.4g} GFLOP/s, one thread",
        "memory": f"{found.bandwidth / 1e9:.4g} GB/s, {size(found.ram)} free",
        "a tensor operation": f"{number(1e6 * measured.overheads[1].call)} us, whatever its size",
        "a sample": f"{number(1e6 * measured.together.work(1))} us of the coordinator",
        "a message": f"{number(1e6 * measured.message)} us of each process that sends or gets it",
        "under load": "not tried" if found.kept is None else f"{100 * found.kept:.0f} % of its speed in the end",
        "power": found.meter if found.idle is None else f"{found.idle:.3g} to {found.active or found.idle:.3g} W",
    }
    return found.table(name), _summary(found), rows


def _link(name: str, there: str, address: str | None, encrypt: bool) -> _Found:
    from pipepita.edge.words import number
    from pipepita.profiling.link import measure

    print("measuring for about 20 seconds", file=sys.stderr)
    found = measure(there, address=address, encrypt=encrypt)
    rows = {
        "delay": f"{number(1e6 * found.delay)} us one way, +- {number(1e6 * found.jitter)}",
        "rate": f"{number(found.rate / 1e6)} Mbit/s",
        "loss": "nothing counts it" if found.loss is None else f"{100 * found.loss:.3g} % of the segments",
        "over": found.transport,
    }
    summary = {
        "delay_ms": 1000 * found.delay, "jitter_ms": 1000 * found.jitter, "rate_bits": found.rate, "loss": found.loss,
        "transport": found.transport,
    }  # fmt: skip
    return found.table(name), summary, rows


def _summary(found: Findings) -> dict[str, Any]:
    measured = found.measured
    return {
        "flops": found.flops,
        "bandwidth": found.bandwidth,
        "ram": found.ram,
        "kept_under_load": found.kept,
        "power": {"meter": found.meter, "idle_watts": found.idle, "active_watts": found.active},
        "microseconds": {
            **{
                f"batch {batch}": {
                    "call": 1e6 * overhead.call,
                    **dict(zip(("standard", "second", "update"), (1e6 * one for one in overhead.passes), strict=True)),
                }
                for batch, overhead in measured.overheads.items()
            },
            "message": 1e6 * measured.message,
        },
        "coordinator": {
            name: {
                **{what: 1e6 * getattr(one, what) for what in ("sample", "item", "wake")},
                "cold_share": one.cold,
            }
            for name, one in (("together", measured.together), ("apart", measured.apart))
        },
        "passes": [
            {
                "kind": one.kind, "phase": one.phase, "batch": one.batch, "flops": one.work.products,
                "microseconds": round(1e6 * one.seconds, 2),
                "explained": round(1e6 * one.explained(measured), 2),
            }
            for one in found.passes
        ],
    }  # fmt: skip


def _show(rows: dict[str, str], name: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=name, show_header=False, title_justify="left")
    for what, value in rows.items():
        table.add_row(what, value)
    Console().print(table)
