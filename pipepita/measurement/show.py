"""Latency figures for people: tables in the terminal, and speed-up against depth as a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.table import Table

from pipepita.report import plain_table


def tables(summary: dict[str, Any]) -> Group:
    """The tables of one network: its schedules, and where the time of a sample goes."""
    parts = [_schedules(summary), _shares(summary)]
    return Group(*parts, *_notes(summary))


def _schedules(summary: dict[str, Any]) -> Table:
    """One column per schedule, because terminals are narrow."""
    table = Table(title=_title(summary), title_justify="left")
    table.add_column(f"medians of {summary['rounds']} rounds")
    for name in summary["schedules"]:
        table.add_column(name, justify="right")
    for name, value in _LINES:
        table.add_row(name, *(value(row) for row in summary["schedules"].values()))
    return table


# (name, value) of each line, from top to bottom
_LINES: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("window, samples in flight", lambda row: str(row["window"])),
    ("ms per sample", lambda row: _number(row["period_ms"])),
    ("items/s", lambda row: f"{row['items_per_second']:,.0f}"),
    ("prediction after, ms: p50", lambda row: _number(row["latency_ms"]["prediction"]["p50"])),
    ("  p95, p99", lambda row: _tail(row["latency_ms"]["prediction"])),
    ("last update after, ms: p50", lambda row: _number(row["latency_ms"]["update"]["p50"])),
    ("  p95, p99", lambda row: _tail(row["latency_ms"]["update"])),
    ("lock time of a layer, ms", lambda row: _span(row["lock_ms"])),
    ("speed-up over locked", lambda row: f"{row['speedup']:.2f}"),
    ("  over the rounds", lambda row: "{:.2f} to {:.2f}".format(*row["speedup_range"])),
    ("ceiling", lambda row: f"{row['ceiling']:.2f}"),
    ("  with hops as measured", lambda row: f"{row['ceiling_with_hops']:.2f}"),
    ("efficiency", lambda row: f"{row['efficiency']:.0%}"),
)


def _title(summary: dict[str, Any]) -> str:
    stages = len(summary["stages"])
    return (
        f"{summary['network']}: {summary['layers']} layers in {stages} stage{'s' if stages > 1 else ''}, "
        f"batch {summary['batch_size']}"
    )


def _shares(summary: dict[str, Any]) -> Table:
    """Where time goes, as means over the stages; `--json` has each stage."""
    table = Table(title="where a stage's time goes, ms per sample; what a hop takes, ms", title_justify="left")
    table.add_column("mean of the stages")
    for name in summary["schedules"]:
        table.add_column(name, justify="right")
    rows = summary["schedules"].values()
    for key in dict.fromkeys(key for row in rows for shares in row["stage_ms"] for key in shares):
        means = [sum(shares.get(key, 0.0) for shares in row["stage_ms"]) / len(row["stage_ms"]) for row in rows]
        table.add_row({"receive": "waiting", "send": "sending"}.get(key, key), *map(_number, means))
    if any(row["hop_ms"]["waited_for"] for row in rows):
        table.add_section()
        table.add_row("hop, p50: copy and ring", *(_number(row["hop_ms"]["send"]["p50"]) for row in rows))
        table.add_row("hop, p50: until the next stage has it", *(_number(row["hop_ms"]["wake"]["p50"]) for row in rows))
    return table


def _notes(summary: dict[str, Any]) -> list[str]:
    machine = summary["machine"]
    used = f"{machine['cores_or_devices_used']} {'emulated devices' if summary['emulated'] else 'cores or devices'}"
    notes = [
        f"ceiling: the speed-up of the closed form with the measured cost of each layer, on {used}; efficiency: its "
        "period over the measured one",
        "after: since the admission of the sample; hop: between two stages, if the receiver was already waiting; below "
        "0 if it had the message before the sender went on",
    ]
    if summary["flow"] == "all":
        notes.append(
            "the error reaches all layers at once, so that relaxed gains little"
            + "; it does if the error enters at the first layer: pepita:modulate=input" * (summary["rule"] == "pepita")
        )
    if summary["in_process"]:
        one, every = summary["in_process"]["one_thread_ms"], summary["in_process"]["all_threads_ms"]
        single = summary["one_stage"]
        notes.append(
            f"in one process: {one:.3g} ms per sample on one thread, {every:.3g} on all {machine['cores']}; "
            f"a pipeline of one stage: {single['period_ms']:.3g} ({single['over_in_process']:.2f} times one thread)"
        )
    notes.append(f"{machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}, {machine['system']}")
    return notes


def _tail(values: dict[str, float | None]) -> str:
    return f"{_number(values['p95'])}, {_number(values['p99'])}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _span(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    low, high = _number(min(known)), _number(max(known))
    return low if low == high else f"{low} to {high}"


def show(summaries: Sequence[dict[str, Any]]) -> None:
    """Prints the tables of every network on stdout."""
    console = Console()
    for summary in summaries:
        console.print(tables(summary))


def compare(summaries: Sequence[dict[str, Any]]) -> None:
    """Prints one table of several rules on one network: how long layers stay locked, and what that costs."""
    first = summaries[0]
    table = plain_table(_title(first))
    table.add_column("rule", no_wrap=True)
    table.add_column("way", no_wrap=True)
    for words in ("ms", "relaxed", "stream", "K", "limit", "lock, ms"):
        table.add_column(words, justify="right", no_wrap=True)
    for summary in summaries:
        locked, relaxed, streaming = (summary["schedules"][name] for name in ("locked", "relaxed", "streaming"))
        table.add_row(
            summary["name"],
            summary["flow"],
            _number(locked["period_ms"]),
            f"{relaxed['speedup']:.2f}",
            f"{streaming['speedup']:.2f}",
            str(streaming["window"]),
            f"{streaming['ceiling']:.2f}",
            ", ".join(_mean(row["lock_ms"]) for row in (locked, relaxed, streaming)),
        )
    console = Console()
    console.print(table)
    console.print(
        "way: how the second pass travels: up or down the layers, to all at once, or none. ms: per sample, locked. "
        "relaxed, stream: how many times as fast as locked, same rule. K: samples in flight. limit: of stream, by the "
        "closed form. lock: how long a layer waits from one standard pass to the next, mean of the layers: locked, "
        f"relaxed, streaming. Medians of {first['rounds']} rounds",
        highlight=False,
    )
    console.print(_notes(first)[-1])


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.2g}" if known else "-"


def plot(summaries: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws speed-up over locked against depth, measured and the ceiling, as PNG (or what the suffix says)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    by_rule = len({summary["layers"] for summary in summaries}) < len(summaries)  # several with the same depth
    depths = list(range(len(summaries))) if by_rule else [summary["layers"] for summary in summaries]
    lines = ("", " ") if by_rule else ("--", "-")
    for name, colour in (("relaxed", "tab:blue"), ("streaming", "tab:orange")):
        rows = [summary["schedules"][name] for summary in summaries]
        axes.plot(
            depths, [row["ceiling"] for row in rows], lines[0], color=colour, marker="_", label=f"{name}, ceiling"
        )
        measured = [row["speedup"] for row in rows]
        spread = [
            [value - row["speedup_range"][0] for value, row in zip(measured, rows, strict=True)],
            [row["speedup_range"][1] - value for value, row in zip(measured, rows, strict=True)],
        ]
        axes.errorbar(
            depths, measured, spread, linestyle=lines[1], color=colour, marker="o", capsize=3, label=f"{name}, measured"
        )
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set_xlabel("" if by_rule else "layers")
    axes.set_ylabel("speed-up over locked")
    axes.set_xticks(depths, [summary["name"] for summary in summaries] if by_rule else None)
    if by_rule:
        axes.tick_params("x", labelrotation=30)
    axes.set_ylim(bottom=0)
    axes.set_title(_caption(summaries[0]), fontsize=9)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)


def _caption(summary: dict[str, Any]) -> str:
    machine = summary["machine"]
    where = "emulated devices" if summary["emulated"] else f"{machine['cores']} cores of {machine['cpu']}"
    return f"batch {summary['batch_size']}, {where}; bars: range over {summary['rounds']} rounds"
