"""`pipepita schedule`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipepita.cli.words import JSON_HELP
from pipepita.errors import UserError

_MOST = 100  # layers or samples


def schedule(
    layers: Annotated[int, typer.Option(help="how many layers the network has")] = 4,
    schedule: Annotated[
        str, typer.Option(help="order of the passes: locked, relaxed, streaming or adaptive")
    ] = "relaxed",
    window: Annotated[
        int | None,
        typer.Option(
            help="samples in flight at once, for streaming and adaptive (default: enough to fill the pipeline)"
        ),
    ] = None,
    rule: Annotated[
        str,
        typer.Option(help="learning rule; it decides which second pass there is, and which way it goes"),
    ] = "pepita",
    samples: Annotated[int, typer.Option(help="how many samples to show")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Draw a schedule: which layer does which pass of which sample, step by step.

    Every pass of every layer takes one step, called a slot. S3 is the standard pass of sample 3, M3 its modulated pass.
    Other rules have B3 in its place: a backward pass or a broadcast.
    """
    for option, count in {"--layers": layers, "--samples": samples}.items():
        if count > _MOST:
            raise UserError(f"{option} {count}: at most {_MOST} can be drawn")
    from pipepita.rules import read
    from pipepita.schedule import locked, make
    from pipepita.schedule.clock import clock
    from pipepita.schedule.topology import Route

    made = read(rule)
    route = Route(made.passes, made.flow)
    chosen = make(schedule, layers, window, made.flow)
    shown = clock(chosen, layers, samples, route=route)
    settled = clock(chosen, layers, 8 * (chosen.window + layers), route=route).period
    baseline = clock(locked(), layers, 8, route=route).period
    if as_json:
        rows = [[str(cell) if cell else None for cell in row] for row in shown.rows]
        print(json.dumps({
            "schedule": chosen.name, "window": chosen.window, "layers": layers, "rule": rule,
            "rows": rows,
            "period_slots": settled, "locked_period_slots": baseline,
        }))  # fmt: skip
        return
    width = max(len(str(cell)) for row in shown.rows for cell in row if cell)
    print(" " * 10 + " ".join(f"{slot:<{width}}" for slot in range(len(shown.rows[0]))).rstrip())
    for number, row in enumerate(shown.rows, 1):
        print(
            f"layer {number:<4}"
            + " ".join(f"{cell!s:<{width}}" if cell else "." + " " * (width - 1) for cell in row).rstrip()
        )
    print(
        f"{chosen.name}, window {chosen.window}: one sample every {settled:g} slots; locked: {baseline:g} "
        f"({baseline / settled:.2f} times as fast, if every layer has a device of its own)"
    )
