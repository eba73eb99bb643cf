"""The first picture: who sends what to whom, and below it three schedules as they were recorded in a real run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pipepita as pp
from bench.pictures.theme import Theme, drawn
from pipepita.measurement.latency import latency
from pipepita.timeline import gantt
from pipepita.timeline.reading import Timeline

_LAYERS = 4
_PASS_MS = 2.0  # of each layer: emulated, since four actors that compute at once need four cores
_SAMPLES = 3


def overview() -> Iterator[Path]:
    """Actors, coordinator and what travels; locked, relaxed and streaming as they were recorded."""
    timelines = _timelines()

    def draw(figure: Any, theme: Theme) -> None:
        above, below = figure.subfigures(2, 1, height_ratios=(1, 1.9))
        _scheme(above.subplots(), theme)
        gantt.paint(timelines, below, samples=_SAMPLES)

    return drawn("overview", (9, 5.6), draw)


def _timelines() -> dict[str, Timeline]:
    """The recorded timeline of each schedule, titled with how long a sample took."""
    model = pp.build(f"fc:16x{_LAYERS - 1}", (20,), 10)
    found = latency(
        model, "random:20", rule=pp.Pepita(modulate="input"), rounds=1, seconds=1.0, batch_size=1,
        standard_ms=str(_PASS_MS), modulated_ms=str(_PASS_MS),
    )  # fmt: skip
    periods = {name: figures["period_ms"] for name, figures in found.summary["schedules"].items()}
    return {f"{name}: {periods[name]:.3g} ms per sample": timeline for name, timeline in found.timelines.items()}


def _scheme(axes: Any, theme: Theme) -> None:
    """The coordinator, one actor per layer, and an arrow for everything that travels."""
    axes.set(xlim=(0, 10), ylim=(0, 3.4))
    axes.axis("off")
    boxes = {"coordinator": (0.1, 1.5, theme.faint)}
    boxes |= {f"layer {number}": (2.7 + 1.85 * (number - 1), 1.25, theme.lines[0]) for number in range(1, _LAYERS + 1)}
    for name, (left, width, colour) in boxes.items():
        axes.add_patch(_box(left, 1.2, width, 1.0, colour))
        axes.text(left + width / 2, 1.83, name, ha="center", va="center", weight="bold")
        words = "samples, targets" if name == "coordinator" else "a Ray actor"
        axes.text(left + width / 2, 1.48, words, ha="center", va="center", fontsize=8, color=theme.faint)
    edges = [(left, left + width) for left, width, _ in boxes.values()]
    standard, modulated, error = theme.lines[0], theme.lines[1], theme.lines[4]
    for (_, begin), (end, _) in pairwise(edges):
        _arrow(axes, (begin, 1.85), (end, 1.85), standard)
        _arrow(axes, (begin, 1.55), (end, 1.55), modulated)
    middles = [(left + right) / 2 for left, right in edges]
    _line(axes, [(middles[-1], 2.2), (middles[-1], 3.0), (middles[0], 3.0)], standard)
    _arrow(axes, (middles[0], 3.0), (middles[0], 2.2), standard)
    _line(axes, [(middles[0], 1.2), (middles[0], 0.45), (middles[-1], 0.45)], error, "--")
    for middle in middles[1:]:
        _arrow(axes, (middle, 0.45), (middle, 1.2), error, "--")
    place = (middles[0] + middles[-1]) / 2
    axes.text(place, 3.06, "standard pass, and its output", ha="center", va="bottom", color=standard, fontsize=9)
    axes.text(
        place, 0.36, "projected error, at the first layer or at all: in the modulated pass each layer updates itself",
        ha="center", va="top", color=error, fontsize=9,
    )  # fmt: skip


def _box(left: float, bottom: float, width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.12"
    return FancyBboxPatch(
        (left, bottom), width, height, boxstyle=style, edgecolor=colour, facecolor="none", linewidth=1.5
    )


def _arrow(axes: Any, begin: tuple[float, float], end: tuple[float, float], colour: str, style: str = "-") -> None:
    axes.annotate(
        "",
        end,
        begin,
        arrowprops={"arrowstyle": "-|>", "color": colour, "linestyle": style, "shrinkA": 0, "shrinkB": 0},
    )


def _line(axes: Any, points: list[tuple[float, float]], colour: str, style: str = "-") -> None:
    axes.plot(*zip(*points, strict=True), style, color=colour, linewidth=1)
