"""A few samples in steady state as a Gantt chart, in which relaxed update locking can be seen."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipepita.files import write_whole
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import DATA, PASS, SEND, UPDATE

_SAMPLES = 4
COLOURS = ("tab:blue", "tab:orange", "tab:purple")
UPDATE_COLOUR, _SEND_COLOUR, _DATA_COLOUR = "tab:green", "0.6", "tab:red"
_VISIBLE = 1 / 500  # of the width: a shorter wait for data is not drawn


def draw(timelines: Mapping[str, Timeline], path: Path, *, samples: int = _SAMPLES) -> None:
    """Draws one panel per timeline, all on one scale, so that a schedule with a shorter period repeats more often.

    timelines: by the titles of their panels. path: the file to write; its suffix decides the format. samples: about how
    many of the slowest to show: a stretch that takes as long as most. `UserError` if the file cannot be written.
    """
    from matplotlib.figure import Figure

    rows = max(len(timeline.stages) for timeline in timelines.values())
    figure = Figure(figsize=(12, len(timelines) * (0.7 + 0.32 * (rows + 1))), layout="constrained")
    paint(timelines, figure, samples=samples)
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix.removeprefix(".").lower(), dpi=150)
    write_whole(path, picture.getvalue())


def paint(timelines: Mapping[str, Timeline], figure: Any, *, samples: int = _SAMPLES) -> None:
    """The same in a figure of matplotlib, or a part of one."""
    from matplotlib.patches import Patch

    panels = figure.subplots(len(timelines), 1, squeeze=False)[:, 0]
    intervals = [_interval(timeline, samples) for timeline in timelines.values()]
    longest = max(end - begin for begin, end in intervals)
    for axes, (title, timeline), (begin, _) in zip(panels, timelines.items(), intervals, strict=True):
        _panel(axes, title, timeline, begin, begin + longest)
        axes.set_xlim(0, longest / 1e6)
    panels[-1].set_xlabel("milliseconds (numbers are those of samples; every second one is paler)")
    passes = next(iter(timelines.values())).passes
    legend = [Patch(color=colour, label=f"{name} pass") for name, colour in zip(passes, COLOURS, strict=False)]
    legend += [Patch(color=UPDATE_COLOUR, label="update"), Patch(color=_SEND_COLOUR, label="send")]
    if any(len(_waits(timeline, *_interval(timeline, samples))) for timeline in timelines.values()):
        legend.append(Patch(color=_DATA_COLOUR, label="wait for data"))
    figure.legend(handles=legend, loc="outside upper right", ncols=len(legend), fontsize=8, frameon=False)


def _panel(axes: Any, title: str, timeline: Timeline, begin: int, end: int) -> None:
    """Draws one timeline between two times."""
    for row, spans in enumerate(timeline.stages):
        inside = spans.rows[(spans.rows["end"] > begin) & (spans.rows["begin"] < end)]
        for phase, step, name, left, right in _blocks(inside):
            colour = {UPDATE: UPDATE_COLOUR, SEND: _SEND_COLOUR}.get(phase)
            colour = colour or COLOURS[timeline.passes.index(spans.names[name]) % len(COLOURS)]
            # samples are numbered from the begin of the run: the last three digits are enough
            x, width = (left - begin) / 1e6, (right - left) / 1e6
            axes.barh(row, width, left=x, height=0.8, color=colour, alpha=0.55 + 0.45 * (step % 2))
            if phase == PASS and width > (end - begin) / 1e6 / 60 and x >= 0:
                axes.text(
                    x + width / 2, row, str(step % 1000), ha="center", va="center", fontsize=7, color="w", clip_on=True
                )
    names = [spans.holds or f"stage {row}" for row, spans in enumerate(timeline.stages)]
    waits = _waits(timeline, begin, end)
    if len(waits):
        lengths, lefts = (waits["end"] - waits["begin"]) / 1e6, (waits["begin"] - begin) / 1e6
        axes.barh(len(names), lengths, left=lefts, height=0.8, color=_DATA_COLOUR)
        names.append("coordinator")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_title(title, loc="left", fontsize=9)


def _waits(timeline: Timeline, begin: int, end: int) -> np.ndarray[Any, Any]:
    """The spans between two times in which the coordinator waited for data for so long that it can be seen."""
    rows = timeline.coordinator.of(DATA)
    inside = (rows["end"] > begin) & (rows["begin"] < end)
    return rows[inside & (rows["end"] - rows["begin"] > (end - begin) * _VISIBLE)]


def _interval(timeline: Timeline, samples: int) -> tuple[int, int]:
    """From the admission of a sample to that of the one `samples` later, in nanoseconds.

    Of all such stretches the most usual one, so that nothing that happens once is taken for the schedule.
    """
    first = timeline.stages[0].of(PASS, timeline.passes[0])
    lowest = first["layer"].min() if len(first) else 0
    begins = np.sort(first["begin"][first["layer"] == lowest])
    if len(begins) < 2:
        return (int(begins[0]), int(begins[0]) + 1) if len(begins) else (0, 1)
    samples = min(samples, len(begins) - 1)
    lengths = begins[samples:] - begins[:-samples]
    # without the first and last quarter, where the pipeline fills and drains, unless there is nothing else
    quarter = len(lengths) // 4
    inner = np.arange(quarter, len(lengths) - quarter)
    usual = np.abs(lengths[inner] - np.median(lengths[inner]))
    chosen = int(inner[np.argmin(usual)])
    return int(begins[chosen]), int(begins[chosen + samples])


def _blocks(rows: np.ndarray) -> list[tuple[int, int, int, int, int]]:
    """(phase, step, name, begin, end) of what a stage does, without waiting. The layers of one pass are joined."""
    blocks: list[tuple[int, int, int, int, int]] = []
    for row in rows:
        phase, step, name = int(row["phase"]), int(row["step"]), int(row["name"])
        if phase not in (PASS, UPDATE, SEND):
            continue
        if blocks and blocks[-1][:3] == (phase, step, name):
            blocks[-1] = (*blocks[-1][:4], int(row["end"]))
        else:
            blocks.append((phase, step, name, int(row["begin"]), int(row["end"])))
    return blocks
