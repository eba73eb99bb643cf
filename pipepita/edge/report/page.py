"""A simulation as one HTML file that needs nothing else: what was simulated, three pictures, and a table."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pipepita.edge.chain import DEFAULT_LINK
from pipepita.edge.report import picture
from pipepita.edge.scenario import Scenario
from pipepita.edge.setup import ALONE
from pipepita.edge.simulation import Simulation
from pipepita.edge.words import number
from pipepita.files import write_whole
from pipepita.streams import Prequential

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MEASURED = ("seconds", "what such a pass was measured to take", "on the device; or on this machine, and then scaled")
# as in work.py, which computes the first two
FORMULAS = (
    ("seconds", "max(flops / rate, bytes / bandwidth)", "the roofline (Williams et al. 2009)"),
    (
        "memory",
        "weights + optimizer state + feedback matrices"
        " + window x what a layer keeps of a sample in flight + a message in + a message out",
        "",
    ),
    (
        "energy",
        "idle power x time + (active - idle power) x busy time",
        "of all devices, over the samples learnt",
    ),
)

_OF_TABLE = (
    "capacity: how many samples per second are learnt from at most, and how many times as many as locked. learnt: of "
    "those that arrived. Milliseconds count from a sample's arrival. busiest: the share of the time that the busiest "
    "device works. accuracy: each item is predicted before it is learnt from."
)
_SELDOM = 0.1  # a device that works for less of its time is hardly seen in the picture

_FIRST = ("devices", "link", "network", "rule", "stream", "drift", "samples", "rate", "arrivals", "queue", "policy")
_LAST = ("lr", "seed")
_UNSAID = {"data_dir", "download", "profiles", "detector", "sliding"}  # about this machine, or about how it is shown

# the browser itself does nearly everything for light and dark
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.25 }
h2 { font-size: 1.15rem; margin-top: 2rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem }
dl.settings { grid-template-columns: repeat(auto-fill, 5.5rem minmax(9rem, 1fr)) }
dt { opacity: .7 }
dd { margin: 0 }
.wide { overflow-x: auto }
svg { display: block; width: 100%; min-width: 40rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid #8885 }
th:first-child { text-align: left; font-weight: normal }
@media print {
  :root { color-scheme: light }
  .wide { overflow: visible }
  section, tr { break-inside: avoid }
  h2 { break-after: avoid }
  svg { min-width: 0 }
}
"""


def write(
    simulation: Simulation, prequentials: Mapping[str, Prequential], rows: Sequence[Mapping[str, str]], path: Path
) -> None:
    """Writes the page, whole or (with a `UserError`) not at all.

    prequentials: by a setup's name. rows: one formatted row per setup, with the same columns; the first is its name.
    """
    write_whole(path, page(simulation, prequentials, rows).encode())


def page(simulation: Simulation, prequentials: Mapping[str, Prequential], rows: Sequence[Mapping[str, str]]) -> str:
    """The text of the page."""
    scenario = simulation.scenario
    title = f"{scenario.devices} learning {simulation.stream.name}"
    settings = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _settings(scenario))
    formulas = "".join(
        f"<dt>{name}</dt><dd>{escape(formula)} <small>{escape(remark)}</small></dd>"
        for name, formula, remark in _formulas(simulation)
    )
    figures = "".join(
        f'<section><h2>{heading}</h2>\n<div class="wide">{_svg(figure, name, heading)}</div>\n'
        f"<p>{escape(text)}</p></section>\n"
        for name, heading, figure, text in (
            ("rates", "How late, by how much arrives", picture.rates(simulation), _of_rates(simulation)),
            ("accuracy", "How well it learns", picture.accuracy(simulation, prequentials), _of_accuracy(scenario)),
            ("forgetting", "What it remembers", picture.forgetting(simulation), _of_forgetting()),
            ("gantt", "Who does what when", picture.gantt(simulation), _of_gantt(simulation)),
        )
        if figure is not None
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(summary(simulation))}</p>
<dl class="settings">{settings}</dl>
<h2>In figures</h2>
{_table(rows)}
<p>{escape(_OF_TABLE)}</p>
{figures}<section><h2>How it was computed</h2>
<p>The passes of each sample run in virtual time, in the schedule's order; what is learnt is learnt for real, from the
samples that entered. Operations and bytes are counted on the network itself:</p>
<dl>{formulas}</dl>
</section>
</body>
</html>
"""


def _formulas(simulation: Simulation) -> Sequence[tuple[str, str, str]]:
    """Those that were used."""
    devices = [device for outcome in simulation.outcomes for device in outcome.setup.chain.devices]
    timed = simulation.scenario.calibrate or all(device.measured is not None for device in devices)
    return (_MEASURED, *FORMULAS[1:]) if timed else FORMULAS


def summary(simulation: Simulation) -> str:
    """One or two sentences that compare streaming's capacity with locked's, and with one device's."""
    capacities = {outcome.setup.name: outcome.capacity for outcome in simulation.outcomes}
    ours = capacities["streaming"]
    if not math.isfinite(ours):
        return "How many samples per second streaming learns from at most is not known."
    others = [_against(ours, name, capacities[name]) for name in ("locked", ALONE) if name in capacities]
    text = f"Streaming learns from at most {number(ours)} samples per second: {', and '.join(others)}."
    return text if simulation.alone is None else f"{text} There is no comparison with one device: {simulation.alone}."


def _against(ours: float, name: str, theirs: float) -> str:
    ratio = ours / theirs if theirs else math.nan
    if not (math.isfinite(theirs) and math.isfinite(ratio)):
        return f"{name}'s capacity is not known"
    if abs(ratio - 1) < 0.005:
        return f"as many as {name}"
    if ratio < 0.5:
        return f"{name} from {1 / ratio:.3g} times as many as that ({number(theirs)})"
    much = f"{ratio:.3g} times as many as" if ratio >= 2 else f"{100 * abs(ratio - 1):.0f} % {_more(ratio)} than"
    return f"{much} {name} ({number(theirs)})"


def _more(ratio: float) -> str:
    return "more" if ratio > 1 else "fewer"


def _settings(scenario: Scenario) -> list[tuple[str, str]]:
    """(name, value) of the settings that matter to every simulation, and of the others that were given."""
    given = [name for name in scenario.model_dump(exclude_defaults=True) if name not in _UNSAID]
    names = [*_FIRST, *(name for name in given if name not in (*_FIRST, *_LAST)), *_LAST]
    unsaid = {"link": DEFAULT_LINK, "drift": "none", "rate": "as fast as they are taken"}
    settings = []
    for name in names:
        value = getattr(scenario, name)
        text = unsaid.get(name, "none") if value is None else _said(value)
        settings.append(
            (name.replace("_", " "), f"{text} per second" if name == "rate" and value is not None else text)
        )
    return settings


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else str(value)


def _of_rates(simulation: Simulation) -> str:
    text = "Each point is a run of its own, without trouble. Dotted: each setup's capacity."
    if simulation.scenario.policy == "block":
        text += " Beyond a setup's capacity the source has to wait, and latencies grow as long as samples arrive."
    window = max(outcome.setup.schedule.window for outcome in simulation.outcomes)
    if window > 1 and len(simulation.network.passes) > 1:
        later = "the next one has" if window == 2 else f"{window - 1} later ones have"
        text += (
            f" With {window} samples in flight, one is learnt from once {later} entered: if few arrive, its update "
            "waits for them."
        )
    return text


def _of_accuracy(scenario: Scenario) -> str:
    text = "Each item is predicted before it is learnt from; dropped items are not shown."
    text += " Dashed: drifts." if scenario.drift is not None else ""
    return text if scenario.detector is None else f"{text} Ticks below: where {scenario.detector} found one."


def _of_forgetting() -> str:
    return "Now and then the network answers items of all concepts that it never learns from. Dashed: a concept begins."


def _of_gantt(simulation: Simulation) -> str:
    text = "A few samples from the middle of the run. Numbers, if there is room, are theirs; every second one is paler."
    busy = max(share for outcome in simulation.outcomes for share in outcome.timing.busy)
    if busy < _SELDOM:
        text += (
            f" Devices work for {100 * busy:.2g} % of the time at most: messages are on their way, or none has come."
        )
    return text


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    """One column for each of `rows`: there are few rows, with many figures."""
    if not rows:
        return ""
    head, *names = rows[0]
    lines = [(head, "th"), *((name, "td") for name in names)]
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<{cell}>{escape(row.get(name, ''))}</{cell}>" for row in rows)
        + "</tr>\n"
        for name, cell in lines
    )
    return f'<div class="wide"><table>\n{body}</table></div>'


def _svg(figure: Figure, name: str, title: str) -> str:
    """The figure as an element of the page, in the page's colours and with ids of its own."""
    from matplotlib import rc_context

    content = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(content, format="svg", transparent=True)
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(content.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):  # the page has its own style
                parent.remove(child)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _own(key, value, name))
    for key in ("width", "height"):
        del root.attrib[key]  # as wide as there is room
    root.attrib |= {"id": name, "role": "img", "aria-label": title, "fill": "currentColor", "stroke-linejoin": "round"}
    return ElementTree.tostring(root, encoding="unicode")


def _own(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href"):
        return value.replace("#", f"#{name}-", 1)
    return value.replace("url(#", f"url(#{name}-").replace(picture.BLACK, "currentColor")
