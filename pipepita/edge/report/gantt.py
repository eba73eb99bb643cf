"""A picture of a few samples of a simulation: which device makes which pass when."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipepita.edge.simulation import Outcome, Simulation
from pipepita.edge.words import short
from pipepita.schedule import Action
from pipepita.timeline.gantt import COLOURS, UPDATE_COLOUR

_SHOWN_SAMPLES = 4
_SHOWN_DEVICES = 16
_UNITS = ((1.0, "seconds"), (1e-3, "milliseconds"), (1e-6, "microseconds"))


def _rows(outcome: Outcome) -> int:
    return min(_SHOWN_DEVICES, len(outcome.setup.parts))


def _heights(simulation: Simulation) -> list[float]:
    return [0.55 + 0.24 * _rows(outcome) for outcome in simulation.outcomes]


def height(simulation: Simulation) -> float:
    """The height of all panels, in inches."""
    return 0.7 + sum(_heights(simulation))


def fill(figure: Any, simulation: Simulation) -> None:
    """Draws one panel per setup, all on one time scale."""
    from matplotlib.patches import Patch

    outcomes, passes = simulation.outcomes, simulation.network.passes
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
            axes.text(
                0.5, 0.5, "no passes were recorded", transform=axes.transAxes, ha="center", va="center", fontsize=8
            )
        else:
            _panel(axes, part, passes, origins[id(part)], width, unit)
    panels[-1].set_xlabel(name, fontsize=8)
    legend = [Patch(color=_pass_colour(passes, one), label=f"{one} pass") for one in passes]
    legend.append(Patch(color=UPDATE_COLOUR, label="update"))
    if any(part is not None and part.gaps(origins[id(part)], width) for part in parts):
        legend.append(Patch(color="0.6", alpha=0.2, label="some passes not recorded"))
    figure.legend(handles=legend, loc="outside upper right", ncols=len(legend), fontsize=8, frameon=False)


def _pass_colour(passes: Sequence[str], name: str) -> str:
    return COLOURS[passes.index(name) % len(COLOURS)]


def _time(outcomes: Sequence[Outcome], parts: Sequence[_Excerpt]) -> tuple[dict[int, float], float]:
    """When each excerpt (by its id) begins, and how many seconds of it are shown."""
    if not parts:
        return {}, 1.0
    # all begin with the same count of samples if possible: if nothing was dropped, it is the same sample
    common = set.intersection(*(part.whole for part in parts))
    origins, widths = {}, []
    for part in parts:
        chosen = part.whole & common or part.whole or set(part.entered)
        step = min(chosen)
        origins[id(part)] = origin = part.entered[step]
        widths.append(part.entered.get(step + _SHOWN_SAMPLES, part.end) - origin)
    width = max(widths)
    # the work must be visible even if few samples arrive
    least = min((outcome.capacity for outcome in outcomes if math.isfinite(outcome.capacity)), default=0.0)
    width = min(width, _SHOWN_SAMPLES / least) if least else width
    # a fast setup needs less time for as many samples: show fewer of the slow one, rather than a gap of the fast one
    known = min(part.until - origins[id(part)] for part in parts)
    return origins, min(width, max(known, width / 2)) or 1.0


@dataclass(frozen=True)
class _Excerpt:
    """What was recorded of some samples. Times are in seconds.

    Attributes:
        entered: When each sample came to the first device, by its step.
        since, until: Between them no pass is missing.
    """

    events: list[tuple[int, Action, float, float, float]]
    entered: dict[int, float]
    since: float
    until: float

    @classmethod
    def of(cls, outcome: Outcome, passes: Sequence[str]) -> _Excerpt | None:
        """The excerpt of `outcome`; None if nothing was recorded."""
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
        # passes of earlier samples are missing before the first second pass, of later ones after the last standard pass
        since = max((min(times) for times in begins.values()), default=math.inf)
        until = min(max(times) for times in ends.values())
        first, last = min(entered) == 0, max(entered) == outcome.timing.served - 1
        return cls(outcome.events, entered, -math.inf if first else since, math.inf if last else until)

    @property
    def whole(self) -> set[int]:
        """The steps from which on enough was recorded to be shown."""
        return {
            step
            for step, begin in self.entered.items()
            if begin >= self.since and self.entered.get(step + _SHOWN_SAMPLES, math.inf) <= self.until
        }

    @property
    def end(self) -> float:
        """When the last recorded pass was done."""
        return max(free for *_, free in self.events)

    def gaps(self, origin: float, width: float) -> list[tuple[float, float]]:
        """(begin, end), from the origin, of each time in which passes are missing."""
        gaps = [(0.0, min(self.since - origin, width)), (max(0.0, self.until - origin), width)]
        return [(begin, end) for begin, end in gaps if begin < end]


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
            bars[stage, UPDATE_COLOUR].append((middle, right - middle, opacity))
        if (middle - left) * unit > width / 60 and left >= 0:
            # counts of samples are long: their last digits are enough to tell them apart
            axes.text(
                (left + middle) / 2, stage, str(action.step % 1000),
                ha="center", va="center", fontsize=6, color="w", clip_on=True,
            )  # fmt: skip
    for (stage, colour), spans in bars.items():
        colours = [to_rgba(colour, opacity) for _, _, opacity in spans]
        axes.broken_barh(
            [(left, wide) for left, wide, _ in spans], (stage - 0.4, 0.8), label=f"{stage} {colour}",
            facecolors=colours, edgecolors=colours, linewidth=0.4,  # so that the shortest is visible, too
        )  # fmt: skip
    for left, right in part.gaps(origin, width):
        axes.axvspan(left / unit, right / unit, color="0.6", alpha=0.2, linewidth=0, zorder=0)
