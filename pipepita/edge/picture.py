"""Pictures of a simulation: latency against arrival rate, accuracy along the stream, a few samples on the devices."""

from __future__ import annotations

import io
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipepita.edge.simulation import Outcome, Simulation
from pipepita.edge.timing import Timing
from pipepita.errors import UserError
from pipepita.files import check_picture
from pipepita.schedule import Action
from pipepita.streams import Prequential
from pipepita.timeline.gantt import _COLOURS, _UPDATE_COLOUR

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLACK = "#000000"  # a page gives it the colour of its text
_WIDTH, _RATES_HEIGHT, _ACCURACY_HEIGHT = 9.0, 5.6, 3.4  # inches
_SHOWN_SAMPLES = 4
_SHOWN_DEVICES = 16
_MARK_ROWS = 6
_UNITS = ((1.0, "seconds"), (1e-3, "milliseconds"), (1e-6, "microseconds"))
# by a setup's place, each thinner than what it lies upon: locked and relaxed are often as good as equal
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "tab:red", "linewidth": 3.8, "markersize": 7, "marker": "o"},
    {"color": "gold", "linewidth": 2.5, "markersize": 5.5, "marker": "o"},
    {"color": "tab:cyan", "linewidth": 1.6, "markersize": 4.5, "marker": "s"},
    {"color": "tab:gray", "linewidth": 1.1, "markersize": 3.5, "marker": "^"},
)


def rates(simulation: Simulation) -> Figure:
    """Latencies against the arrival rate, a line a setup, and what is dropped (or learnt, where nothing is)."""
    return _figure(_RATES_HEIGHT, lambda figure: _rates(figure, simulation))


def accuracy(simulation: Simulation, prequentials: Mapping[str, Prequential]) -> Figure:
    """Sliding prequential accuracy along the stream, with its drifts and where they were detected.

    prequentials: by a setup's name. Setups that learnt the same share a line.
    """
    return _figure(_ACCURACY_HEIGHT, lambda figure: _accuracy(figure, simulation, prequentials))


def gantt(simulation: Simulation) -> Figure:
    """A few samples from the middle of the run, a panel a setup, all on one scale."""
    return _figure(_gantt_height(simulation), lambda figure: _gantt(figure, simulation))


def draw(simulation: Simulation, prequentials: Mapping[str, Prequential], path: Path) -> None:
    """All of it as one PNG, PDF or SVG, by the suffix of `path`; `UserError` where it cannot be written."""
    check_picture(path, "picture")
    heights = [_RATES_HEIGHT, _ACCURACY_HEIGHT, _gantt_height(simulation)]

    def all_of_it(figure: Any) -> None:
        what = short(f"{simulation.scenario.devices}, {simulation.stream.name}", 100)
        figure.suptitle(what, fontsize=10, fontweight="bold", parse_math=False)
        top, middle, bottom = figure.subfigures(3, 1, height_ratios=heights)
        _rates(top, simulation)
        _accuracy(middle, simulation, prequentials)
        _gantt(bottom, simulation)

    content = io.BytesIO()
    _figure(sum(heights) + 0.3, all_of_it).savefig(content, format=path.suffix[1:].lower(), dpi=150)
    put(path, content.getvalue())


def put(path: Path, content: bytes) -> None:
    """Writes a file whole or, with a `UserError`, not at all."""
    path = path.resolve() if path.is_file() else path
    aside = path.with_name(f"{path.name}.partial")
    try:
        if path.exists() and not (path.is_file() and os.access(path.absolute().parent, os.W_OK)):
            path.write_bytes(content)  # a pipe, or a folder in which nothing can be put aside
            return
        aside.write_bytes(content)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None


def short(text: str, most: int = 40) -> str:
    """`text` in one line of at most `most` printable characters."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def number(value: float) -> str:
    """Four digits, or all of those before the point."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _figure(height: float, fill: Callable[[Any], None]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    fill(figure)
    return figure


def _look(place: int) -> dict[str, Any]:
    return _LOOKS[place % len(_LOOKS)]


def _words(axes: Any, text: str) -> None:
    """What is said where there is nothing to show."""
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
        else ("learnt from: samples a second", lambda timing: timing.throughput),
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
    # a rate far off must not squeeze the curves
    near = [rate for rate in [scenario.rate] if rate is not None and min(shown) / 10 <= rate <= max(shown) * 10]
    grid[0, 0].set_xlim(min(shown + near) / 1.1, max(shown + near) * 1.1)
    _plain_ticks(grid[0, 0].xaxis)
    for axes in grid[1]:
        axes.set_xlabel("samples that arrive a second", fontsize=8)
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
    """One setup's line, hollow beyond its capacity, which is marked."""
    found = [(point.rate, value(point.timing)) for point in outcome.curve]
    axes.plot([rate for rate, _ in found], [y for _, y in found], **(look | {"marker": ""}))
    for beyond in (False, True):
        chosen = [pair for pair in found if (pair[0] > outcome.capacity) == beyond]
        filled = {"markerfacecolor": "none"} if beyond else {}
        axes.plot([rate for rate, _ in chosen], [y for _, y in chosen], **(look | filled | {"linestyle": ""}))
    if math.isfinite(outcome.capacity):
        axes.axvline(
            outcome.capacity, color=look["color"], linewidth=max(1.2, look["linewidth"] / 2), linestyle=":", zorder=0.5
        )


def _plain_ticks(axis: Any) -> None:
    """1, 2, 5, 10 on a logarithmic axis, without powers of ten."""
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
        points = [(indices[item], percent) for item, percent in score.curve]
        colour = _look(place)["color"]
        axes.plot([x for x, _ in points], [y for _, y in points], color=colour, linewidth=1.3, label=label)
        if score.detected:
            axes.plot(
                [indices[item] for item in score.detected], [0.03 + 0.06 * line] * len(score.detected),
                linestyle="", marker="|", markersize=9, markeredgewidth=1.8, color=colour,
                transform=axes.get_xaxis_transform(), gid="detected",
            )  # fmt: skip
    axes.set_xlim(0, max(1, end))
    axes.set_ylim(-3, 103)
    axes.set_yticks(range(0, 101, 20))
    axes.tick_params(labelsize=8)
    axes.grid(color="0.6", alpha=0.3, linewidth=0.5)
    axes.set_xlabel("item of the stream", fontsize=8)
    axes.set_ylabel(f"right of the last {scenario.sliding}, %", fontsize=8)
    if not any(outcome.learnt.predictions for outcome in simulation.outcomes):
        _words(axes, "nothing was predicted")
    unnamed = _marks(axes, [mark for mark in simulation.stream.marks if mark[0] < end], end)
    if axes.get_legend_handles_labels()[0]:
        title = f"and {unnamed} more drifts" if unnamed else None
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False, title=title, title_fontsize=8)


def _alike(outcomes: Sequence[Outcome]) -> list[tuple[int, list[str]]]:
    """(place of the first, names) of the setups that learnt the same."""
    found: list[tuple[int, list[str]]] = []
    for place, outcome in enumerate(outcomes):
        for first, names in found:
            if outcomes[first].learnt == outcome.learnt:
                names.append(outcome.setup.name)
                break
        else:
            found.append((place, [outcome.setup.name]))
    return found


def _marks(axes: Any, marks: Iterable[tuple[int, str]], end: int) -> int:
    """A line each, and its words above, in rows where they would overlap; how many found no room."""
    letter = 5.0 / (72 * (_WIDTH - 0.8))  # of the width, for one of 7 points
    taken: list[float] = []  # how far each row is
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


def _rows(outcome: Outcome) -> int:
    return min(_SHOWN_DEVICES, len(outcome.setup.parts))


def _heights(simulation: Simulation) -> list[float]:
    return [0.55 + 0.24 * _rows(outcome) for outcome in simulation.outcomes]


def _gantt_height(simulation: Simulation) -> float:
    return 0.7 + sum(_heights(simulation))


def _gantt(figure: Any, simulation: Simulation) -> None:
    from matplotlib.patches import Patch

    outcomes, passes = simulation.outcomes, simulation.network.route.passes
    panels = figure.subplots(len(outcomes), 1, squeeze=False, sharex=True, height_ratios=_heights(simulation))[:, 0]
    parts = [_Excerpt.of(outcome, passes) for outcome in outcomes]
    origins, width = _time(outcomes, [part for part in parts if part is not None])
    unit, name = next((one for one in _UNITS if width >= one[0]), _UNITS[-1])
    for axes, outcome, part in zip(panels, outcomes, parts, strict=True):
        devices = outcome.setup.chain.devices[: _rows(outcome)]
        labels = [short(f"{place} {device.name}", 24) for place, device in enumerate(devices, 1)]
        axes.set_yticks(range(len(devices)), labels, fontsize=7, parse_math=False)
        axes.set_ylim(len(devices) - 0.5, -0.5)
        axes.set_xlim(0, width / unit)
        axes.tick_params(axis="x", labelsize=8)
        more = len(outcome.setup.parts) - len(devices)
        title = f"{outcome.setup.name}, the first {len(devices)} of {len(devices) + more} devices"
        axes.set_title(title if more else outcome.setup.name, loc="left", fontsize=9)
        if part is None:
            _words(axes, "no passes were recorded")
        else:
            _panel(axes, part, passes, origins[id(part)], width, unit)
    panels[-1].set_xlabel(name, fontsize=8)
    legend = [Patch(color=_pass_colour(passes, one), label=f"{one} pass") for one in passes]
    legend.append(Patch(color=_UPDATE_COLOUR, label="update"))
    if any(part is not None and part.gaps(origins[id(part)], width) for part in parts):
        legend.append(Patch(color="0.6", alpha=0.2, label="some passes not recorded"))
    figure.legend(handles=legend, loc="outside upper right", ncols=len(legend), fontsize=8, frameon=False)


def _pass_colour(passes: Sequence[str], name: str) -> str:
    return _COLOURS[passes.index(name) % len(_COLOURS)]


def _time(outcomes: Sequence[Outcome], parts: Sequence[_Excerpt]) -> tuple[dict[int, float], float]:
    """Where each excerpt (by its id) begins, and how many seconds of it are shown."""
    if not parts:
        return {}, 1.0
    # all from the same count of samples on where that can be: with nothing dropped it is the same sample
    common = set.intersection(*(part.whole for part in parts))
    origins, widths = {}, []
    for part in parts:
        chosen = part.whole & common or part.whole or set(part.entered)
        step = min(chosen)
        origins[id(part)] = origin = part.entered[step]
        widths.append(part.entered.get(step + _SHOWN_SAMPLES, part.end) - origin)
    width = max(widths)
    # where little arrives, work must be seen nevertheless
    least = min((outcome.capacity for outcome in outcomes if math.isfinite(outcome.capacity)), default=0.0)
    width = min(width, _SHOWN_SAMPLES / least) if least else width
    # as many samples of a fast setup take less time: rather fewer of the slow one than a gap
    known = min(part.until - origins[id(part)] for part in parts)
    return origins, min(width, max(known, width / 2)) or 1.0


@dataclass(frozen=True)
class _Excerpt:
    """What was recorded of some samples, seconds.

    entered: when each came to the first device, by its step. since, until: between them no pass is missing.
    """

    events: list[tuple[int, Action, float, float, float]]
    entered: dict[int, float]
    since: float
    until: float

    @classmethod
    def of(cls, outcome: Outcome, passes: Sequence[str]) -> _Excerpt | None:
        """None where nothing was recorded."""
        entered: dict[int, float] = {}
        begins, ends = defaultdict[int, list[float]](list), defaultdict[int, list[float]](list)
        for stage, action, begin, _, free in outcome.events:
            if action.name == passes[0]:
                ends[stage].append(free)
                if stage == 0:
                    entered.setdefault(action.step, begin)
            if action.name == passes[-1]:
                begins[stage].append(begin)
        if not entered:
            return None
        # before the first second pass those of earlier samples are missing, after the last standard pass of later ones
        since = max((min(found) for found in begins.values()), default=math.inf)
        until = min(max(found) for found in ends.values())
        first, last = min(entered) == 0, max(entered) == outcome.timing.served - 1
        return cls(outcome.events, entered, -math.inf if first else since, math.inf if last else until)

    @property
    def whole(self) -> set[int]:
        """Steps from which on enough is known to be shown."""
        return {
            step
            for step, begin in self.entered.items()
            if begin >= self.since and self.entered.get(step + _SHOWN_SAMPLES, math.inf) <= self.until
        }

    @property
    def end(self) -> float:
        """When the last of it was done."""
        return max(free for *_, free in self.events)

    def gaps(self, origin: float, width: float) -> list[tuple[float, float]]:
        """(begin, end), from the origin, of where passes are missing in what is shown."""
        found = [(0.0, min(self.since - origin, width)), (max(0.0, self.until - origin), width)]
        return [(begin, end) for begin, end in found if begin < end]


def _panel(axes: Any, part: _Excerpt, passes: Sequence[str], origin: float, width: float, unit: float) -> None:
    """One setup's passes and updates."""
    from matplotlib.colors import to_rgba

    bars = defaultdict[tuple[int, str], list[tuple[float, float, float]]](list)  # begin, width, opacity
    for stage, action, begin, end, free in part.events:
        if stage >= _SHOWN_DEVICES or free <= origin or begin >= origin + width:
            continue
        opacity = 0.55 + 0.45 * (action.step % 2)
        left, middle, right = ((time - origin) / unit for time in (begin, end, free))
        bars[stage, _pass_colour(passes, action.name)].append((left, middle - left, opacity))
        if right > middle:
            bars[stage, _UPDATE_COLOUR].append((middle, right - middle, opacity))
        if (middle - left) * unit > width / 60 and left >= 0:
            # the count of samples is long: its last digits tell them apart
            axes.text(
                (left + middle) / 2, stage, str(action.step % 1000),
                ha="center", va="center", fontsize=6, color="w", clip_on=True,
            )  # fmt: skip
    for (stage, colour), found in bars.items():
        colours = [to_rgba(colour, opacity) for _, _, opacity in found]
        axes.broken_barh(
            [(left, wide) for left, wide, _ in found], (stage - 0.4, 0.8), label=f"{stage} {colour}",
            facecolors=colours, edgecolors=colours, linewidth=0.4,  # the shortest is seen, too
        )  # fmt: skip
    for left, right in part.gaps(origin, width):
        axes.axvspan(left / unit, right / unit, color="0.6", alpha=0.2, linewidth=0, zorder=0)
