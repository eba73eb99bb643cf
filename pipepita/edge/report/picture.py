"""Pictures of a simulation: latency against arrival rate, accuracy along the stream, a few samples on the devices."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipepita.edge.report import gantt as passes
from pipepita.edge.simulation import Outcome, Simulation
from pipepita.edge.timing import Timing
from pipepita.edge.words import number, short
from pipepita.files import check_picture, write_whole
from pipepita.streams import Prequential

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLACK = "#000000"  # a page gives it the colour of its text
_WIDTH, _RATES_HEIGHT, _ACCURACY_HEIGHT, _FORGETTING_HEIGHT = 9.0, 5.6, 3.4, 3.0  # inches
_MARK_ROWS = 6
# by a setup's place; each is thinner than the one below it, because locked and relaxed are often nearly equal
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "tab:red", "linewidth": 3.8, "markersize": 7, "marker": "o"},
    {"color": "gold", "linewidth": 2.5, "markersize": 5.5, "marker": "o"},
    {"color": "tab:cyan", "linewidth": 1.6, "markersize": 4.5, "marker": "s"},
    {"color": "tab:purple", "linewidth": 1.3, "markersize": 4, "marker": "D"},
    {"color": "tab:gray", "linewidth": 1.1, "markersize": 3.5, "marker": "^"},
)


def rates(simulation: Simulation) -> Figure:
    """Latencies against the arrival rate, one line per setup, and what is dropped (or learnt)."""
    return _figure(_RATES_HEIGHT, lambda figure: _rates(figure, simulation))


def accuracy(simulation: Simulation, prequentials: Mapping[str, Prequential]) -> Figure:
    """The sliding accuracy (or absolute error) along the stream, with its drifts, and where they were detected.

    prequentials: by a setup's name. Setups that learnt the same share a line.
    """
    return _figure(_ACCURACY_HEIGHT, lambda figure: _accuracy(figure, simulation, prequentials))


def forgetting(simulation: Simulation) -> Figure | None:
    """Accuracy on each concept along the stream, one panel for all setups that learnt the same; None if not measured.

    The items are never learnt from.
    """
    if not _examined(simulation):
        return None
    return _figure(_FORGETTING_HEIGHT, lambda figure: _forgetting(figure, simulation))


def gantt(simulation: Simulation) -> Figure:
    """A few samples from the middle of the run: one panel per setup, all on one scale."""
    return _figure(passes.height(simulation), lambda figure: passes.fill(figure, simulation))


def draw(simulation: Simulation, prequentials: Mapping[str, Prequential], path: Path) -> None:
    """Writes all of them as one PNG, PDF or SVG, by the suffix of `path`; `UserError` if it cannot be written."""
    check_picture(path, "picture")
    examined = _examined(simulation)
    remembered = [_FORGETTING_HEIGHT] if examined else []
    heights = [_RATES_HEIGHT, _ACCURACY_HEIGHT, *remembered, passes.height(simulation)]

    def all_of_it(figure: Any) -> None:
        what = short(f"{simulation.scenario.devices}, {simulation.stream.name}", 100)
        figure.suptitle(what, fontsize=10, fontweight="bold", parse_math=False)
        top, middle, *memory, bottom = figure.subfigures(len(heights), 1, height_ratios=heights)
        _rates(top, simulation)
        _accuracy(middle, simulation, prequentials)
        if examined:
            _forgetting(memory[0], simulation)
        passes.fill(bottom, simulation)

    content = io.BytesIO()
    _figure(sum(heights) + 0.3, all_of_it).savefig(content, format=path.suffix[1:].lower(), dpi=150)
    write_whole(path, content.getvalue())


def _figure(height: float, fill: Callable[[Any], None]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    fill(figure)
    return figure


def _look(place: int) -> dict[str, Any]:
    return _LOOKS[place % len(_LOOKS)]


def _words(axes: Any, text: str) -> None:
    """Says why there is nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=8)


def _rates(figure: Any, simulation: Simulation) -> None:
    from matplotlib.lines import Line2D

    outcomes, scenario = simulation.outcomes, simulation.scenario
    shown = [point.rate for outcome in outcomes for point in outcome.curve]
    if not shown:
        axes = figure.subplots()
        axes.set_axis_off()
        _words(axes, "no latencies at other arrival rates: a capacity is not known")
        return
    drops = scenario.policy != "block"
    panels: list[tuple[str, Callable[[Timing], float]]] = [
        ("prediction, p50: ms", lambda timing: timing.prediction.p50),
        ("prediction, p95: ms", lambda timing: timing.prediction.p95),
        ("update, p95: ms", lambda timing: timing.update.p95),
        ("dropped: %", lambda timing: 100 * timing.dropped_share)
        if drops
        else ("learnt from: samples per second", lambda timing: timing.throughput),
    ]
    grid = figure.subplots(2, 2, sharex=True)
    for panel, (axes, (title, value)) in enumerate(zip(grid.flat, panels, strict=True)):
        for place, outcome in enumerate(outcomes):
            _curve(axes, outcome, value, _look(place))
        axes.set_xscale("log")
        if panel == 3 and drops:
            axes.set_ylim(bottom=0)
        else:
            if panel == 3:
                ends = [min(shown), max(shown)]
                axes.plot(ends, ends, color="0.6", linewidth=1, linestyle=":", gid="all")
            axes.set_yscale("log")
            _plain_ticks(axes.yaxis)
        if scenario.rate is not None:
            axes.axvline(scenario.rate, color=BLACK, linewidth=1, linestyle="--", zorder=0)
        axes.set_title(title, loc="left", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(color="0.6", alpha=0.3, linewidth=0.5)
    # a rate that is far off must not squeeze the curves
    near = [rate for rate in [scenario.rate] if rate is not None and min(shown) / 10 <= rate <= max(shown) * 10]
    grid[0, 0].set_xlim(min(shown + near) / 1.1, max(shown + near) * 1.1)
    _plain_ticks(grid[0, 0].xaxis)
    for axes in grid[1]:
        axes.set_xlabel("samples that arrive per second", fontsize=8)
    handles = [
        Line2D([], [], label=_named(outcome), **_look(place))
        for place, outcome in enumerate(outcomes)
    ]  # fmt: skip
    full = "samples are dropped" if drops else "the source waits"
    over: dict[str, Any] = {"linestyle": "", "marker": "o", "markerfacecolor": "none", "markeredgecolor": BLACK}
    handles.append(Line2D([], [], label=f"beyond capacity: {full}", **over))
    if scenario.rate is not None:
        label = f"simulated: {number(scenario.rate)}/s"
        handles.append(Line2D([], [], color=BLACK, linewidth=1, linestyle="--", label=label))
    figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=8, frameon=False)


def _named(outcome: Outcome) -> str:
    known = math.isfinite(outcome.capacity)
    return f"{outcome.setup.name} (capacity {f'{number(outcome.capacity)}/s' if known else 'unknown'})"


def _curve(axes: Any, outcome: Outcome, value: Callable[[Timing], float], look: dict[str, Any]) -> None:
    """Draws one setup's line, with hollow points beyond its capacity, which is marked."""
    points = [(point.rate, value(point.timing)) for point in outcome.curve]
    axes.plot([rate for rate, _ in points], [y for _, y in points], **(look | {"marker": ""}))
    for beyond in (False, True):
        chosen = [pair for pair in points if (pair[0] > outcome.capacity) == beyond]
        filled = {"markerfacecolor": "none"} if beyond else {}
        axes.plot([rate for rate, _ in chosen], [y for _, y in chosen], **(look | filled | {"linestyle": ""}))
    if math.isfinite(outcome.capacity):
        axes.axvline(
            outcome.capacity, color=look["color"], linewidth=max(1.2, look["linewidth"] / 2), linestyle=":", zorder=0.5
        )


def _plain_ticks(axis: Any) -> None:
    """Labels a logarithmic axis with 1, 2, 5, 10, without powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_view_interval()
    wide = low > 0 and math.log10(high / low) > 3
    axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _accuracy(figure: Any, simulation: Simulation, prequentials: Mapping[str, Prequential]) -> None:
    scenario, axes = simulation.scenario, figure.subplots()
    end = scenario.samples * scenario.batch_size
    for line, (place, names) in enumerate(_alike(simulation.outcomes)):
        outcome, score = simulation.outcomes[place], prequentials[names[0]]
        indices = outcome.learnt.indices
        label = " = ".join(names)
        if scenario.detector is not None:
            label += f" ({len(score.detected)} detected)"
        points = [(indices[item], figure) for item, figure in score.curve]
        colour = _look(place)["color"]
        axes.plot([x for x, _ in points], [y for _, y in points], color=colour, linewidth=1.3, label=label)
        if score.detected:
            axes.plot(
                [indices[item] for item in score.detected], [0.03 + 0.06 * line] * len(score.detected),
                linestyle="", marker="|", markersize=9, markeredgewidth=1.8, color=colour,
                transform=axes.get_xaxis_transform(), gid="detected",
            )  # fmt: skip
    axes.set_xlim(0, max(1, end))
    if simulation.stream.regression:
        axes.set_ylim(bottom=0)
    else:
        axes.set_ylim(-3, 103)
        axes.set_yticks(range(0, 101, 20))
    axes.tick_params(labelsize=8)
    axes.grid(color="0.6", alpha=0.3, linewidth=0.5)
    axes.set_xlabel("item of the stream", fontsize=8)
    axes.set_ylabel(next(iter(prequentials.values())).axis, fontsize=8)
    if not any(outcome.learnt.predictions for outcome in simulation.outcomes):
        _words(axes, "nothing was predicted")
    unnamed = _marks(axes, [mark for mark in simulation.stream.marks if mark[0] < end], end)
    if axes.get_legend_handles_labels()[0]:
        title = f"and {unnamed} more drifts" if unnamed else None
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False, title=title, title_fontsize=8)


def _examined(simulation: Simulation) -> bool:
    return any(outcome.learnt.remembered is not None for outcome in simulation.outcomes)


def _forgetting(figure: Any, simulation: Simulation) -> None:
    groups = [(place, names) for place, names in _alike(simulation.outcomes)]
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (place, names) in zip(panels, groups, strict=True):
        remembered = simulation.outcomes[place].learnt.remembered
        assert remembered is not None
        for nth, concept in enumerate(remembered.concepts):
            points = [(items, found[nth]) for items, found in remembered.points]
            axes.plot(*zip(*points, strict=True), marker=".", markersize=3, linewidth=1.2, label=short(concept.name))
            axes.axvline(concept.begin, color=BLACK, linewidth=0.6, linestyle="--", gid="concept")
        axes.set_title(short(" = ".join(names), 44), fontsize=8, parse_math=False)
        axes.set_ylim(-3, 103)
        axes.tick_params(labelsize=8)
        axes.grid(color="0.6", alpha=0.3, linewidth=0.5)
        axes.set_xlabel("item of the stream", fontsize=8)
    panels[0].set_ylabel("right of items never learnt from, %", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)


def _alike(outcomes: Sequence[Outcome]) -> list[tuple[int, list[str]]]:
    """(place of the first, names) of each group of setups that learnt the same."""
    groups: list[tuple[int, list[str]]] = []
    for place, outcome in enumerate(outcomes):
        for first, names in groups:
            if outcomes[first].learnt == outcome.learnt:
                names.append(outcome.setup.name)
                break
        else:
            groups.append((place, [outcome.setup.name]))
    return groups


def _marks(axes: Any, marks: Iterable[tuple[int, str]], end: int) -> int:
    """Draws a line for each mark with its label above, in several rows if they would overlap. Returns how many labels
    found no room.
    """
    letter = 5.0 / (72 * (_WIDTH - 0.8))  # of the width, for a letter of 7 points
    taken: list[float] = []  # to where each row is filled
    unnamed = 0
    for index, text in marks:
        axes.axvline(index, color=BLACK, linewidth=0.9, linestyle="--", gid="drift")
        text = short(text)
        width = letter * (len(text) + 1)
        begin = min(index / end, 1 - width)
        row = next((row for row, until in enumerate(taken) if until <= begin), len(taken))
        if row == _MARK_ROWS:
            unnamed += 1
            continue
        taken[row : row + 1] = [begin + width]
        axes.annotate(
            text, (begin, 1), xycoords="axes fraction", xytext=(0, 3 + 9 * row), textcoords="offset points",
            fontsize=7, ha="left", va="bottom", parse_math=False, annotation_clip=False,
        )  # fmt: skip
    return unnamed
