"""Every experiment: its cells differ, its report stands whatever came of them, and figures are what they should be."""

from __future__ import annotations

import csv
import itertools
import math

import numpy as np
import pytest
import torch

import pipepita as pp
from pipepita.experiments import locality
from pipepita.experiments.catalogue import EXPERIMENTS, experiment
from pipepita.experiments.cell import Outcome
from pipepita.experiments.experiment import Place, Scale
from pipepita.experiments.locality_costs import Costs
from pipepita.experiments.probes import alignment
from pipepita.experiments.settings import CONV, DATASETS, FC, TABLE1
from pipepita.experiments.slowness import slowness
from pipepita.experiments.tsne import purity
from pipepita.experiments.weights import fits
from pipepita.experiments.whiten import whitened
from pipepita.measurement.subject import task_of
from pipepita.network import spec
from pipepita.pipeline.stage import StageSpec
from pipepita.rules import options_of
from pipepita.runs.options.reading import read_job

CASES = ("good", "one diverged", "one absent", "all absent")
COSTS = Costs((3.0, 2.0, 1.0), 1000, 2000, 500.0, 900.0, 1)  # takes minutes to measure
NEEDS_WEIGHTS = ("tsne",)  # its report embeds real activities: `test_reproduce` runs it


def good(cell, rng) -> Outcome:
    accuracies = list(
        np.round(90 * np.arange(1, cell.epochs + 1) / (np.arange(1, cell.epochs + 1) + 0.3) + rng.random(), 2)
    )
    probes = [{"degrees": 89.0 + epoch, "norms": [1.0 + epoch, 2.0]} for epoch in range(cell.epochs + 1)]
    weights = {when: {"1.weight": torch.tensor(rng.standard_normal((40, 50)))} for when in ("before", "after")}
    return Outcome(cell, accuracies, probes if cell.probe else [], weights=weights if cell.keep else {})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_cells_differ_and_their_options_are_options(name):
    for scale in (Scale(), Scale(quick=True, seeds=(0, 3)), Scale(epochs=7)):
        cells = experiment(name).cells(scale)
        assert len({(cell.row, cell.column, cell.seed) for cell in cells}) == len(cells)
        assert len({cell.key for cell in cells}) == len(cells)
        for cell in cells:
            job = read_job(None, cell.options, [])
            with torch.device("meta"):
                spec.build(
                    job.network, (3, 32, 32) if "cifar" in job.dataset else (1, 28, 28), 10, normal=job.normalize
                )
        assert scale.epochs is None or {cell.epochs for cell in cells} <= {7}  # memory trains nothing


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_rules_fit_the_networks_of_cells(name):
    """A cell that is refused would end its experiment, perhaps hours after the beginning."""
    names = ("network", "dataset", "rule", "normalize")
    for options in {tuple(cell.options.get(name) for name in names) for cell in experiment(name).cells(Scale())}:
        given = {name: value for name, value in zip(names, options, strict=True) if value is not None}
        job = read_job(None, given, [])
        x, y = torch.zeros(2, *((3, 32, 32) if "cifar" in job.dataset else (1, 28, 28))), torch.tensor([0, 9])
        data = pp.Data(x, y, x, y)
        task = task_of(job.model(data), data, job.make_rule(), job.options())
        StageSpec(task, task.whole, 0).build()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_cells_leave_nothing_to_defaults_that_depend_on_rule_or_depth(name):
    for cell in experiment(name).cells(Scale(quick=True)):
        job = read_job(None, cell.options, [])
        assert isinstance(job.normalize, bool), cell.name
        assert None not in (job.lr, job.optimizer, job.activation), cell.name
        assert "auto" not in options_of(job.make_rule()).values(), cell.name


@pytest.mark.parametrize("quick", [False, True])
def test_what_is_left_out_is_named(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(locality, "measured", lambda jobs, *rest, **quick: dict.fromkeys(jobs, COSTS))
    cells = experiment("locality").cells(Scale(quick=quick))
    tried = {(*cell.column.split()[:2], cell.row) for cell in cells}
    every = set(itertools.product(("fc", "conv"), locality.DATASETS, locality.RULES))
    products = {("conv", dataset, "pepita, product") for dataset in locality.DATASETS}
    convolutions = {("conv", dataset, "gevb") for dataset in locality.DATASETS}
    long = {("fc", "cifar100", "gevb"), *convolutions} if quick else {("conv", "cifar100", "gevb")}
    assert every - tried == products | long
    notes = experiment("locality").report([Outcome(cell, [50.0]) for cell in cells], Place(None, tmp_path)).notes
    assert "conv cifar100 gevb (more than half a day); with --quick, conv cifar10 gevb, " in notes[-1]
    assert "fc cifar100 gevb, too" in notes[-1]
    assert "products of weights on conv" in notes[-1]


def test_the_depths_that_were_trained_before_the_new_defaults_are_trained_again():
    cells = {(cell.row, cell.column): cell for cell in experiment("depth").cells(Scale())}
    plain = read_job(None, cells["pepita", "8 hidden"].options, [])
    assert (plain.normalize, plain.lr) == (False, 0.01)
    assert plain.make_rule() == pp.Pepita(modulate="input", f_scale=0.05, feedback="fixed")
    everywhere = read_job(None, cells["normalize all", "8 hidden"].options, [])
    assert (everywhere.normalize, everywhere.lr) == (True, 0.1)
    assert everywhere.make_rule() == pp.Pepita(modulate="all", f_scale=0.05, feedback="fixed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, marks=[pytest.mark.rest] if (number + place) % len(CASES) else [])
        for number, name in enumerate(name for name in EXPERIMENTS if name not in {*NEEDS_WEIGHTS, "memory"})
        for place, case in enumerate(CASES)
    ],
)
def test_reports_stand_whatever_came_of_the_cells(name, case, tmp_path, monkeypatch):
    monkeypatch.setattr(locality, "measured", lambda jobs, *rest, **quick: dict.fromkeys(jobs, COSTS))
    rng, scale = np.random.default_rng(0), Scale(epochs=3, seeds=(0, 1))
    found = [good(cell, rng) for cell in experiment(name).cells(scale)]
    if (then := experiment(name).then) is not None:
        found = [good(cell, rng) for cell in then(scale, found)] + found
    if case == "one diverged":
        found[0] = Outcome(found[0].cell, diverged="diverged at step 3")
    if case == "one absent":
        found[:2] = [Outcome(one.cell, absent="mnist is not in data") for one in found[:2]]
    if case == "all absent":
        found = [Outcome(one.cell, absent="not there") for one in found]
    report = experiment(name).report(found, Place(None, tmp_path))
    paths = report.write(tmp_path, name)
    assert [path.name for path in paths] == [f"{name}.csv", f"{name}.md", f"{name}.png"]
    rows = list(csv.reader(paths[0].open()))
    assert rows[0] == report.columns
    assert all(len(row) == len(report.columns) for row in rows)
    assert len(rows) > 1
    text = paths[1].read_text()
    assert ("diverged" in text) == (case == "one diverged")
    assert ("no data" in text) == ("absent" in case)
    assert paths[2].stat().st_size > 5000
    report.show()


def test_table1_puts_the_paper_next_to_it(tmp_path):
    cells = experiment("table1").cells(Scale(seeds=(0, 1)))
    report = experiment("table1").report([Outcome(cell, [50.0 + cell.seed]) for cell in cells], Place(None, tmp_path))
    rows = {(row[0], row[1]): row for row in report.rows}
    assert rows["fc mnist", "pepita"][2:5] == ["50.50 ± 0.71", 98.01, "-47.51"]
    assert rows["fc cifar100", "fa"][3:5] == [None, None]
    assert len(report.rows) == 2 * 3 * 4
    assert {(network, dataset) for network, dataset, _ in TABLE1} == {(n, d) for n in (FC, CONV) for d in DATASETS}


@pytest.mark.parametrize(("plateau", "s"), [(98.0, 0.03), (55.0, 0.5), (27.0, 4.0)])
def test_slowness_finds_the_curve_it_is_given(plateau, s):
    accuracies = [plateau * t / (t + s) for t in range(1, 1000)]
    a, found = slowness(accuracies[:60])
    assert (a, found) == (pytest.approx(plateau, rel=1e-3), pytest.approx(s, rel=1e-3))
    assert slowness([*accuracies[:60], 0.0, 0.0]) == (a, found)  # later epochs do not count


@pytest.mark.parametrize("accuracies", [[], [97.0], [20.0, 45.0], [10.0, 20.0, 45.0], [1.0, 10.0, 100.0, 1000.0]])
def test_slowness_of_what_is_no_plateau(accuracies):
    found = slowness(accuracies)
    assert found is None or (found[0] <= 100 and found[1] < 1000)
    assert found is None or len(accuracies) >= 3


def test_a_curve_that_never_bends_has_no_slowness():
    assert slowness([0.05 * epoch for epoch in range(1, 31)]) is None


def test_whitening_takes_correlations_away(digits):
    white = whitened(digits, smallest=1e-4)
    flat = white.x_train.flatten(1).double()
    covariance = flat.T @ flat / len(flat)
    spread = torch.linalg.eigvalsh(covariance)
    assert float(flat.mean(0).abs().max()) < 1e-5
    assert float(spread.max()) == pytest.approx(1, abs=1e-3)
    assert int((spread > 0.9).sum()) >= 50
    assert white.x_test.shape == digits.x_test.shape
    assert torch.equal(white.y_train, digits.y_train)


def test_alignment_is_the_angle_between_f_and_the_weights_product(digits):
    model = pp.build("fc:20", digits.item_shape, 10)
    spec.initialise(model, 4)
    probe = alignment(model, digits, pp.Pepita(), 4)
    weights = model.state_dict()
    first, second = weights.values()
    feedback = pp.Pepita().learner(_layers(model)[0], 2, 10, 4).fixed()["1.feedback"]
    found = probe(weights)
    product = (second @ first).flatten().double()
    cosine = float(product @ feedback.flatten().double() / (product.norm() * feedback.norm()))
    assert found["degrees"] == pytest.approx(math.degrees(math.acos(cosine)), abs=0.01)
    assert found["norms"] == pytest.approx([float(first.norm()), float(second.norm())], abs=1e-3)
    inverse = torch.linalg.pinv(first)
    aligned = {"1.weight": first, "3.weight": feedback @ inverse}
    assert probe(aligned)["degrees"] < 89


def _layers(model):
    from pipepita.network.cut import cut

    return cut(model, (1, 8, 8), 10)


@pytest.mark.slow
def test_fits_tell_heavy_tails_from_normal_ones():
    rng = np.random.default_rng(0)
    normal, heavy = fits(rng.standard_normal((100, 150))), fits(rng.standard_t(3, (100, 150)))
    assert normal["degrees"] > 50
    assert abs(normal["gain"]) < 1e-3
    assert heavy["degrees"] == pytest.approx(3, abs=0.3)
    assert heavy["gain"] > 0.02
    assert normal["std"] == pytest.approx(1, abs=0.02)


def test_purity():
    points = np.array([[0.0, i] for i in range(20)] + [[100.0, i] for i in range(20)])
    labels = np.array([0] * 20 + [1] * 20)
    assert purity(points, labels) == 100
    assert purity(points, np.arange(40) % 2) < 60
