"""Memory: what PEPITA keeps of a sample if it computes the standard pass again (MEMPEPITA, Pau & Aymone 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipepita.data import load
from pipepita.edge.work import counted, memory
from pipepita.experiments.cell import Cell, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.settings import CONV, FC
from pipepita.measurement.subject import task_of
from pipepita.report import Report, Value
from pipepita.runs.options.job import Options
from pipepita.runs.options.reading import checked, read_job

_BATCH, _SHAPE = 1, "3x32x32"  # as on a device that learns online
_NETWORKS = {
    "fc": FC,
    "fc, 8 hidden": "fc:256x8",
    "conv": CONV,
    "conv, 3 hidden": "conv:32,3,1,1/pool:2/conv:64,3,1,1/pool:2/conv:128,3,1,1/pool:2",
}
_RULES = {  # with the paper's choices at every depth
    "bp": "bp",
    "pepita, kept": "pepita:form=difference,modulate=input,feedback=fixed",
    "pepita, computed again": "pepita:form=recompute,modulate=input,feedback=fixed",
}


def cells(scale: Scale) -> list[Cell]:
    """Nothing is trained: memory and operations are counted."""
    return []


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """For each network and rule what is kept of an item, all that lies in memory, and the operations of a step."""
    rows: list[list[Value]] = []
    for network, spec in _NETWORKS.items():
        base: dict[str, float] = {}
        for rule, name in _RULES.items():
            kept, everything, flops = _counted(spec, name)
            base = base or {"kept": kept, "flops": flops}
            rows.append([
                network, rule, f"{kept / 1024:.1f}", f"{everything / 1024:.0f}", f"{flops / 1e6:.2f}",
                f"{kept / base['kept']:.2f}", f"{flops / base['flops']:.2f}",
            ])  # fmt: skip
    return Report(
        "Memory of a step with one item of CIFAR-10's shape, one sample in flight",
        ["network", "rule", "kept, KiB", "all, KiB", "MFLOP", "kept / bp's", "MFLOP / bp's"],
        rows,
        [
            "Kept: an item itself and what stays of it between its passes. All: weights, momentum, feedback, what is "
            "kept, and a message in and out. Counted, not trained. Pau & Aymone (2023) compute the standard pass again "
            "to keep less.",
        ],
        lambda figure: _draw(figure, rows),
    )


def _counted(network: str, rule: str) -> tuple[int, int, int]:
    """Bytes kept of an item, bytes in all, and operations of a step."""
    job = read_job(None, {"dataset": f"random:{_SHAPE}", "network": network, "rule": rule, "dropout": 0.0}, [])
    data = load(job.dataset)
    settings: Options = checked(Options, {"batch_size": _BATCH, "optimizer": job.optimizer})
    works = counted(task_of(job.model(data), data, job.make_rule(), settings), _BATCH)
    flops = round(sum(part.flops for work in works for part in (work.standard, work.second, work.update)))
    return works[0].incoming + sum(work.kept for work in works), memory(works, 1), flops


def _draw(figure: Any, rows: Sequence[Sequence[Value]]) -> None:
    axes = figure.add_subplot()
    names = list(_NETWORKS)
    for number, rule in enumerate(_RULES):
        kept = [float(str(row[2])) for row in rows if row[1] == rule]
        axes.bar([place + 0.27 * (number - 1) for place in range(len(names))], kept, 0.25, label=rule)
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="kept of an item, KiB", yscale="log")
    axes.legend(fontsize=8, frameon=False)


MEMORY = Experiment(cells, report)
