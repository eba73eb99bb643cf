"""The results of a simulation, as one JSON object, as rows of text, and as tables in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipepita.edge.fan_in import Share
from pipepita.edge.forgetting import Remembered
from pipepita.edge.setup import ALONE
from pipepita.edge.simulation import Outcome, Simulation
from pipepita.edge.timing import LatencyFigures
from pipepita.edge.validation import Real
from pipepita.edge.words import number, short, size
from pipepita.streams import Prequential, prequential

Scores = Mapping[str, Prequential]
_SHOWN_DEVICES = 8  # in the terminal; --json has all
_LATENCY = ("p50", "p95", "p99", "queue", "compute", "transfer", "label")


def scores(simulation: Simulation) -> dict[str, Prequential]:
    """How good each setup's predictions are, test then train, over the items that were served; by the setup's name."""
    scenario, regression, scored = simulation.scenario, simulation.stream.regression, dict[str, Prequential]()
    for outcome in simulation.outcomes:
        score = prequential(regression, scenario.sliding, detector=scenario.detector, seed=scenario.seed)
        for prediction, label in zip(outcome.learnt.predictions, outcome.learnt.labels, strict=True):
            score.add(prediction, label)
        scored[outcome.setup.name] = score
    return scored


def summary(simulation: Simulation, scored: Scores, real: Sequence[Real] = ()) -> dict[str, Any]:
    """All figures, as JSON has them; None for what is not known.

    Names tell units (`update_ms`, `memory_bytes`). Capacities, throughputs and rates are samples per second; what is
    called a share goes from 0 to 1; accuracies, `right` and what was forgotten are percent.
    """
    scenario = simulation.scenario
    given = scenario.model_dump(mode="json", exclude_defaults=True)
    return {
        "scenario": given | {"devices": scenario.devices, "stream": scenario.stream, "seed": scenario.seed},
        "drifts": [[index, text] for index, text in simulation.stream.marks],
        "setups": {outcome.setup.name: _setup(simulation, outcome, scored) for outcome in simulation.outcomes},
        "no_one_device": simulation.alone,
        "validation": {one.outcome.setup.name: _validation(one) for one in real} or None,
    }


def _setup(simulation: Simulation, outcome: Outcome, scored: Scores) -> dict[str, Any]:
    setup, timing, score = outcome.setup, outcome.timing, scored[outcome.setup.name]
    indices = outcome.learnt.indices
    return {
        "window": setup.schedule.window,
        "capacity": _number(outcome.capacity),
        "capacity_over_locked": _number(outcome.capacity / simulation.outcomes[0].capacity),
        "throughput": _number(timing.throughput),
        "offered": timing.offered,
        "served": timing.served,
        "dropped_share": _number(timing.dropped_share),
        "seconds": _number(timing.seconds),
        "prediction_ms": _latency(timing.prediction),
        "update_ms": _latency(timing.update),
        "joules_per_sample": _number(timing.joules),
        "samples_until_empty": _number(min(lasting)) if (lasting := _lasting(simulation, outcome)) else None,
        "devices": [
            {
                "device": device.name,
                "layers": [part.start + 1, part.stop],
                "busy_share": _number(busy),
                "watts": _number(watts),
                "samples_until_empty": _number(lasting[place]) if lasting else None,
                "memory_bytes": memory,
                "ram_bytes": device.ram,
            }
            for place, (device, part, busy, watts, memory) in enumerate(
                zip(setup.chain.devices, setup.parts, timing.busy, timing.watts, setup.memory, strict=True)
            )
        ],
        **{
            name if name.startswith("sliding") else f"prequential_{name}": _number(figure)
            for name, figure in score.figures().items()
        },
        **({"forgetting": _forgetting(outcome.learnt.remembered)} if outcome.learnt.remembered is not None else {}),
        "rates": [
            {
                "rate": _number(point.rate),
                "prediction_ms": _latency(point.timing.prediction),
                "update_ms": _latency(point.timing.update),
                "dropped_share": _number(point.timing.dropped_share),
            }
            for point in outcome.curve
        ],
        **({"sources": [_source(share) for share in outcome.shares]} if outcome.shares else {}),
        "drifts_detected": [indices[place] for place in score.detected],
        "weights_sha256": outcome.learnt.weights_sha256 or None,
    }


def _source(share: Share) -> dict[str, Any]:
    return {
        "offered": share.offered,
        "served": share.served,
        "dropped_share": _number(share.dropped_share),
        "update_ms": {"p50": _number(share.update[0]), "p95": _number(share.update[1])},
        "seconds_since_own": {"p50": _number(share.stale[0]), "p95": _number(share.stale[1])},
        "others_between": _number(share.between),
        "right": _number(share.right),
    }


def _classes(classes: frozenset[int] | None) -> str:
    return "all" if classes is None else short(" ".join(map(str, sorted(classes))))


def source_rows(simulation: Simulation) -> list[dict[str, str]]:
    """One row per source: how it fares in each setup. Nothing if there is only one source."""
    return [
        {"source": f"{place + 1}: {number(feeder.rate)}/s", "classes": _classes(feeder.classes)}
        | {
            f"{outcome.setup.name}: {name}": value
            for outcome in simulation.outcomes
            for name, value in _figures_of(outcome.shares[place]).items()
        }
        for place, feeder in enumerate(simulation.scenario.feeders())
    ]


def _figures_of(share: Share) -> dict[str, str]:
    return {
        "dropped %": f"{100 * share.dropped_share:.1f}",
        "update p95 ms": number(share.update[1]),
        "s since its last, p95": number(share.stale[1]),
        "right %": f"{share.right:.1f}" if math.isfinite(share.right) else "-",
    }


def _forgetting(remembered: Remembered) -> dict[str, Any]:
    return {
        "concepts": [concept._asdict() for concept in remembered.concepts],
        "accuracy": [
            {"items": items, "of_concepts": [_number(one) for one in found]} for items, found in remembered.points
        ],
        "forgotten": [_number(one) for one in remembered.forgotten],
        "backward_transfer": _number(remembered.backward_transfer),
    }


def _lasting(simulation: Simulation, outcome: Outcome) -> tuple[float, ...]:
    """How many samples are learnt from until each device's battery is empty; nothing if there are no batteries."""
    chain, devices = simulation.outcomes[0].setup.chain.devices, outcome.setup.chain.devices
    batteries = simulation.scenario.batteries(len(chain))
    if batteries and len(devices) == 1:  # the whole network is on the fastest device
        batteries = [batteries[chain.index(devices[0])]]
    return outcome.timing.samples_until_empty(batteries) if batteries else ()


def _latency(latency: LatencyFigures) -> dict[str, float | None]:
    return {name: _number(getattr(latency, name)) for name in _LATENCY}


def _validation(real: Real) -> dict[str, Any]:
    return {
        "over_simulation": {name: _number(value) for name, value in real.differences().items()},
        "throughput": _number(real.timing.throughput),
        "prediction_ms": {name: _number(getattr(real.timing.prediction, name)) for name in ("p50", "p95", "p99")},
        "update_ms": {name: _number(getattr(real.timing.update, name)) for name in ("p50", "p95", "p99")},
        "served": real.timing.served,
        "same_samples": real.same_samples,
        "same_weights": real.same_weights,
        "weights_sha256": real.learnt.weights_sha256,
    }


def _number(value: float) -> float | None:
    """Rounded to six digits; None for NaN, which JSON does not have."""
    return float(f"{value:.6g}") + 0.0 if math.isfinite(value) else None  # + 0.0 makes 0.0 of -0.0


def rows(simulation: Simulation, scored: Scores) -> list[dict[str, str]]:
    """One formatted row per setup: what it serves, how late, at what cost, and how well it learns."""
    formatted = []
    first = simulation.outcomes[0].capacity
    for outcome in simulation.outcomes:
        timing, setup, score = outcome.timing, outcome.setup, scored[outcome.setup.name]
        formatted.append(
            {
                "setup": setup.name,
                "devices": str(len(setup.parts)) if setup.name != ALONE else f"1 ({setup.chain.devices[0].name})",
                "window": str(setup.schedule.window),
                "capacity /s": number(outcome.capacity),
                "x locked": f"{outcome.capacity / first:.2f}",
                "learnt /s": number(timing.throughput),
                "dropped %": f"{100 * timing.dropped_share:.1f}",
                "prediction p50 ms": number(timing.prediction.p50),
                "prediction p95 ms": number(timing.prediction.p95),
                "update p95 ms": number(timing.update.p95),
                "mJ per sample": number(1000 * timing.joules),
                **({"samples until empty": number(min(lasting))} if (lasting := _lasting(simulation, outcome)) else {}),
                "busiest %": f"{100 * max(timing.busy):.3g}",
                "most memory": size(max(setup.memory)),
                **score.shown(),
                **_remembered(outcome),
            }
        )
    return formatted


def _remembered(outcome: Outcome) -> dict[str, str]:
    remembered = outcome.learnt.remembered
    if remembered is None:
        return {}
    last = zip(remembered.concepts, remembered.points[-1][1], remembered.forgotten, strict=True)
    return {
        "backward transfer": f"{remembered.backward_transfer:+.1f}",
        **{f"{concept.name} % (since)": f"{now:.1f} ({-lost:+.1f})" for concept, now, lost in last},
    }


def latency_rows(simulation: Simulation) -> list[dict[str, str]]:
    """Where the time goes, in milliseconds: one row per setup."""
    return [
        {"setup": outcome.setup.name}
        | {
            f"{kind}: {name}": number(getattr(latency, name))
            for kind, latency in (("prediction", outcome.timing.prediction), ("update", outcome.timing.update))
            for name in _LATENCY
            if name != "label" or (kind == "update" and simulation.scenario.label_delay)
        }
        for outcome in simulation.outcomes
    ]


def device_rows(simulation: Simulation) -> list[dict[str, str]]:
    """One row per device: what it carries, and how busy each setup on the chain keeps it."""
    chained = [outcome for outcome in simulation.outcomes if len(outcome.setup.parts) == len(_parts(simulation))]
    chain = chained[0].setup.chain
    memory = [max(needs) for needs in zip(*(outcome.setup.memory for outcome in chained), strict=True)]
    return [
        {
            "device": f"{place + 1} {device.name}",
            "layers": f"{part.start + 1}" if len(part) == 1 else f"{part.start + 1} to {part.stop}",
            "memory": f"{size(memory[place])} of {size(device.ram)}",
        }
        | {f"{one.setup.name}: busy %": f"{100 * one.timing.busy[place]:.3g}" for one in chained}
        for place, (device, part) in enumerate(zip(chain.devices, _parts(simulation), strict=True))
    ]


def _parts(simulation: Simulation) -> Sequence[range]:
    return simulation.outcomes[0].setup.parts


def validation_rows(real: Sequence[Real]) -> list[dict[str, str]]:
    """Real time against simulation: one row per setup."""
    return [
        {"setup": one.outcome.setup.name}
        | {name: f"{100 * value:+.1f} %" for name, value in one.differences().items()}
        | {"weights": "equal" if one.same_weights else "DIFFER" if one.same_samples else "of other samples"}
        for one in real
    ]


def show(simulation: Simulation, scored: Scores, real: Sequence[Real] = ()) -> None:
    """Prints tables on stdout."""
    from rich.console import Console

    console = Console()
    title = f"{simulation.scenario.devices}, {simulation.stream.name}"
    console.print(_turned(title, rows(simulation, scored)))
    console.print(_turned("ms since arrival, and the means of its parts", latency_rows(simulation)))
    console.print(_turned("devices", device_rows(simulation)) if _few(simulation) else "")
    if sources := source_rows(simulation):
        console.print(_turned("sources, and how long ago the network last learnt from each", sources))
    if simulation.alone is not None:
        console.print(f"no comparison with one device: {simulation.alone}")
    if real:
        console.print(_turned("real time over simulation", validation_rows(real)))


def _few(simulation: Simulation) -> bool:
    return len(_parts(simulation)) <= _SHOWN_DEVICES


def _turned(title: str, rows: Sequence[Mapping[str, str]]) -> Any:
    """A table with one column for each of `rows`: there are few rows, with many figures."""
    from rich.table import Table

    head, *names = rows[0]
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for row in rows:
        table.add_column(row[head], justify="right")
    for name in names:
        table.add_row(name, *(row[name] for row in rows))
    return table
