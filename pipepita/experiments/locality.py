"""Every rule on equal terms: the same tries, epochs and items for each, on fully connected and convolutional networks.

tries       each rule with each of its rates, judged on training items that are held out     `tried_cells`
results     each rule with the rate that ended best, over some seeds                      `results`
costs       what each rule takes here, on CIFAR-10's shape                                `locality_costs`
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from pipepita.experiments import depth_conv, tries
from pipepita.experiments.cell import Cell, Items, Outcome
from pipepita.experiments.experiment import Experiment, Place, Scale
from pipepita.experiments.locality_costs import Costs, measured
from pipepita.experiments.report import Group, difference, grouped, what_ran
from pipepita.report import Report, Value

_PEPITA = "pepita:f_scale=0.05"
_ALL = f"{_PEPITA},modulate=all"
RULES = {
    "bp": "bp",
    "fa": "fa",
    "usf": "usf",
    "dfa, fixed": "dfa:feedback=fixed",
    "dfa, learned": "dfa:feedback=learned",
    "drtp": "drtp",
    "dni": "dni",
    "gevb": "gevb",
    "local, pred": "local:loss=pred",
    "local, predsim": "local:loss=predsim",
    "pepita, input": f"{_PEPITA},modulate=input,feedback=fixed",
    "pepita, all fixed": f"{_ALL},feedback=fixed",
    "pepita, learned": f"{_ALL},feedback=learned",
    "pepita, local error": f"{_ALL},feedback=fixed,error=local",
    "pepita, product": f"{_ALL},feedback=product",
    "F = 0": "pepita:f_scale=0,modulate=all,feedback=fixed",
}
BP, NOTHING = "bp", "F = 0"  # what the others are compared with
CONV = depth_conv.network(4)
NETWORKS = {"fc": "fc:256x8", "conv": CONV}
DATASETS = ("mnist", "fashion-mnist", "cifar10", "cifar100")
RATES = (0.0003, 0.001, 0.003)
SEEDS = {"fc": (0, 1, 2), "conv": (0,)}  # a convolutional cell takes minutes
# gevb's units hold one number per class, so it takes a hundred times the time and memory on CIFAR-100
LONG = {  # half an hour per seed on CIFAR-100, and minutes to test it once; with convolutions its costs take longest
    ("fc", "cifar100", "gevb"),
    *(("conv", dataset, "gevb") for dataset in DATASETS if dataset != "cifar100"),
}
_TOO_LONG = {("conv", "cifar100", "gevb")}  # more than half a day, and gigabytes per layer
_NOT_FOR = {("conv", "pepita, product")}  # its projections are products of matrices
_TRIED, _LEARNT = (10_000, 2), (20_000, 3)  # items and epochs
_QUICK_TRIED, _QUICK_LEARNT = (1_000, 1), (2_000, 2)
_SHARES = (0.9, 0.98)  # of backpropagation's accuracy


def options(network: str, dataset: str, rule: str, lr: float) -> dict[str, Any]:
    """Fields of `Job` for one rule on one network: what `depth-conv` trains with; tanh under drtp, norms on fc."""
    spec = RULES[rule]
    if network == "conv" and spec.startswith("pepita"):
        spec += ",compare=sent"  # the convolutions are pooled
    norms = {} if network == "conv" else {"normalize": True}
    activation = "tanh" if rule == "drtp" else "relu"
    common = depth_conv.COMMON | {"activation": activation} | norms
    return {**common, "dataset": dataset, "network": NETWORKS[network], "rule": spec, "lr": lr}


def _cell(network: str, dataset: str, rule: str, lr: float, items: Items, seed: int, epochs: int) -> Cell:
    column = f"{network} {dataset}"
    column = tries.label(column, lr) if items.held_out else column
    return Cell(rule, column, options(network, dataset, rule, lr), epochs, seed, items)


def _places() -> list[tuple[str, str]]:
    return [(network, dataset) for network in NETWORKS for dataset in DATASETS]


def left_out(network: str, dataset: str, rule: str, *, quick: bool = False) -> bool:
    """Whether a rule is not trained here, because it takes too long or is not for such networks."""
    return (network, dataset, rule) in (_TOO_LONG | LONG if quick else _TOO_LONG) or (network, rule) in _NOT_FOR


def tried_cells(scale: Scale) -> list[Cell]:
    """Each rule with each rate, with another seed."""
    first, epochs = _QUICK_TRIED if scale.quick else _TRIED
    rates = RATES[1:] if scale.quick else RATES
    return [
        _cell(*place, rule, lr, tries.items(first), tries.SEED, scale.epochs or epochs)
        for place in _places()
        for rule in RULES
        for lr in rates
        if not left_out(*place, rule, quick=scale.quick)
    ]


def results(scale: Scale, tried: Sequence[Outcome]) -> list[Cell]:
    """Each rule with the rate that ended best, with every seed."""
    first, epochs = _QUICK_LEARNT if scale.quick else _LEARNT
    usual = scale.seeds == (0,) and not scale.quick
    found = []
    for (rule, column), lr in tries.best(tried).items():
        network, dataset = column.split()
        seeds = (0,) if (network, dataset, rule) in LONG else SEEDS[network]
        seeds = seeds if usual else scale.seeds
        found += [_cell(network, dataset, rule, lr, Items(first), seed, scale.epochs or epochs) for seed in seeds]
    return found


def report(outcomes: Sequence[Outcome], place: Place) -> Report:
    """One row per network, data set and rule."""
    tried, learnt = tries.separated(outcomes)
    groups = {(group.column, group.row): group for group in grouped(learnt or tried)}
    jobs = {(column.split()[0], row): group.cell.options for (column, row), group in groups.items()}
    costs = measured(jobs, place.kept, place.progress, quick=place.quick)
    rows = [_row(group, groups, costs[column.split()[0], row]) for (column, row), group in groups.items()]
    return Report(
        "Rules on equal terms: test accuracy, and what they cost here",
        [
            "network, data", "rule", "lr", "test %", "over bp", "over F = 0", "s to 90 % of bp", "s to 98 %",
            "items/s, one process", "items/s, two stages", "lock, ms: locked", "relaxed", "streaming",
            "kept of a sample, KiB", "weights and more of a stage, KiB", "staleness",
        ],
        rows,
        [
            f"{what_ran(learnt)} {_seeds(learnt)} Without a spread: one seed.",
            tries.note(tried),
            "Seconds: the epochs that a rule took to 90 % and 98 % of backpropagation's last accuracy, times how long "
            "an epoch takes it in one process on one thread. Staleness: the updates that a streaming standard pass "
            "misses.",
            "F = 0: only the output layer learns. Costs are for items of CIFAR's shape; with --quick, of one round.",
            f"Left out: {_named(_TOO_LONG)} (more than half a day); with --quick, {_named(LONG)}, too; pepita with "
            "products of weights on conv (they are products of matrices).",
        ],
        lambda figure: _draw(figure, groups),
    )  # fmt: skip


def _named(places: set[tuple[str, str, str]]) -> str:
    return ", ".join(" ".join(place) for place in sorted(places))


def _seeds(learnt: Sequence[Outcome]) -> str:
    """How many seeds each network has: "Seeds: 3 of fc, 1 of conv."."""
    seeds: dict[str, set[int]] = {}
    for outcome in learnt:
        seeds.setdefault(outcome.cell.column.split()[0], set()).add(outcome.cell.seed)
    return f"Seeds: {', '.join(f'{len(those)} of {network}' for network, those in seeds.items())}." if seeds else ""


def _row(group: Group, groups: dict[tuple[str, str], Group], costs: Costs) -> list[Value]:
    others = [groups.get((group.column, rule)) for rule in (BP, NOTHING)]
    bp, nothing = (None if other is None else other.mean for other in others)
    return [
        group.column, group.row, f"{group.cell.options['lr']:g}", group.words,
        difference(group.mean, bp), difference(group.mean, nothing),
        *(_seconds(group, bp, share, costs.one_process) for share in _SHARES),
        round(costs.one_process), round(costs.two_stages), *costs.lock_ms,
        round(costs.kept / 1024, 1), round(costs.fixed / 1024), costs.staleness,
    ]  # fmt: skip


def _seconds(group: Group, target: float | None, share: float, items_per_second: float) -> Value:
    """Until it had `share` of `target`: the median of the seeds; None if one never had."""
    if target is None:
        return None
    epochs = []
    for outcome in group.outcomes:
        reached = [epoch for epoch, accuracy in enumerate(outcome.accuracies, 1) if accuracy >= share * target]
        if not reached:
            return None
        epochs.append(reached[0])
    return round(statistics.median(epochs) * group.cell.items.first / items_per_second, 1)


def _draw(figure: Any, groups: dict[tuple[str, str], Group]) -> None:
    """One panel per network and data set: a point per rule, with its spread, and a line at backpropagation's."""
    columns = list(dict.fromkeys(column for column, _ in groups))
    networks = list(dict.fromkeys(column.split()[0] for column in columns))
    most = max((sum(column.startswith(network) for column in columns) for network in networks), default=1)
    panels = figure.subplots(max(1, len(networks)), most, squeeze=False, sharey=True)
    rules = [rule for rule in RULES if any((column, rule) in groups for column in columns)]
    panels[0, 0].set_yticks(range(len(rules)), rules)
    panels[0, 0].invert_yaxis()
    for network, row in zip(networks, panels, strict=False):
        here = [column for column in columns if column.startswith(network)]
        for axes in row[len(here) :]:
            axes.set_axis_off()
        for column, axes in zip(here, row, strict=False):
            for place, rule in enumerate(rules):
                group = groups.get((column, rule))
                if group is not None and group.mean is not None:
                    axes.errorbar(
                        group.mean, place, xerr=group.spread, fmt="o", color="C0", markersize=3, linewidth=0.8
                    )
                    if rule == BP:
                        axes.axvline(group.mean, color="grey", linewidth=0.8)
            axes.set_title(column, fontsize=7)
            axes.tick_params(labelsize=6)
            axes.set_xlabel("test accuracy, %", fontsize=6)


LOCALITY = Experiment(tried_cells, report, results)
