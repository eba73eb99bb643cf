"""`plan` on real actors; how near its predictions come is for `bench/plan`, that they are complete is for here."""

from __future__ import annotations

import json

import pytest
import torch

import pipepita as pp
from pipepita.measurement.show_plan import show
from pipepita.measurement.subject import task_of
from pipepita.network import spec
from pipepita.planning.probe import measure, probes
from pipepita.runs.options.job import Options
from pipepita.schedule import streaming

RULES = {"pepita": pp.Pepita(), "up": pp.Pepita(modulate="input"), "bp": pp.Backprop(), "drtp": pp.TargetProjection()}


@pytest.mark.parametrize("rule", RULES)
def test_everything_that_is_measured_has_a_figure(ray_engine, rule):
    model = spec.build("fc:16x2", (20,), 10)
    task = task_of(model, pp.load("random:20"), RULES[rule], Options(lr=0.01, optimizer="sgd"))
    before = [parameter.clone() for layer in task.layers for parameter in layer.parameters]
    found = measure(task, 4, streaming(3), ray_engine, counts=[2, 3], cores=2, seconds=0.02)
    after = [parameter for layer in task.layers for parameter in layer.parameters]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert found.crowded is not None
    for costs in (found.single.calm, found.roomy.calm, found.roomy.busy):
        assert len(costs) == 3
        assert all(cost.standard > 0 and cost.update > 0 for cost in costs)
        assert all((cost.modulated > 0) == (rule != "drtp") for cost in costs)
    assert found.alone > 0
    assert [len(terms.parts) for terms in (found.single, found.roomy, found.crowded)] == [1, 2, 3]
    for terms in (found.single, found.roomy, found.crowded):
        assert terms.took.calm > 0 and terms.took.busy > 0
        assert terms.message.send > 0 and terms.message.wake >= terms.message.receive > 0
        assert min(terms.coordination.prepare, terms.coordination.ahead, terms.coordination.answer) > 0


def test_one_or_two_pipelines_are_measured():
    for layers in range(2, 12):
        for cores in (1, 2, 3, 8):
            counts = probes(layers, cores)
            assert counts == sorted(set(counts)) and counts[0] >= 2 and counts[-1] <= layers
            # if there can be more stages than cores, one of the pipelines has them
            assert (counts[-1] > cores) == (layers > cores)


@pytest.fixture(scope="module")
def planned(ray_engine) -> pp.Planned:
    model = spec.build("fc:16x3", (20,), 10)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = pp.plan(model, "random:20", batch_size=4, window=3, engine=ray_engine, seconds=0.02)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    return found


def test_a_row_per_number_of_stages_and_the_choice(planned):
    summary = json.loads(json.dumps(planned.summary))
    assert summary["layers"] == 4
    assert summary["windows"] == {"locked": 1, "relaxed": 1, "streaming": 3}
    # as many as the engine has actors
    assert [row["stages"] for row in summary["stages"]] == [1, 2, 3]
    assert [sum(row["split"]) for row in summary["stages"]] == [4, 4, 4]
    cells = [row[name] for row in summary["stages"] for name in ("locked", "relaxed", "streaming")]
    assert all(cell["ms"] > 0 and cell["limit"] for cell in cells)
    choice = summary["choice"]
    assert choice["ms"] <= 1.03 * min(summary["one_process"]["ms"], *(cell["ms"] for cell in cells))
    assert summary["best"][choice["schedule"]]["ms"] == choice["ms"]
    assert summary["one_stage_per_layer"]["ms"] == summary["stages"][-1]["relaxed"]["ms"]


def test_the_table_fits_a_terminal_and_says_what_to_type(planned, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show({"network": "fc:16x3", **planned.summary})
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    for words in ("fc:16x3", "one process", "layers of each", "streaming, 3", "Fastest: ", "without --stages"):
        assert words in " ".join(printed.split())
    staged = {"engine": "ray", "schedule": "streaming", "stages": 2, "split": [1, 3], "ms": 2.0, "limit": "cores"}
    show({"network": "x", **planned.summary, "choice": {**staged, "times_one_process": 0.5}})
    assert "--engine ray --schedule streaming --stages 1,3, 2 ms" in " ".join(capsys.readouterr().out.split())


def test_the_schedule_that_was_asked_for(ray_engine):
    summary = pp.plan(
        spec.build("fc:16", (20,), 10), "random:20", batch_size=4, schedule="locked", engine=ray_engine, seconds=0.02
    ).summary
    assert summary["choice"]["schedule"] == summary["one_stage_per_layer"]["schedule"] == "locked"
    assert summary["choice"]["engine"] == "local"  # nothing is gained by waiting


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"schedule": "fast"}, "unknown schedule 'fast'"),
        ({"window": 0}, "window 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"stages": 2}, "unknown option 'stages'"),
        ({"optimizer": "sgd:speed=2"}, "speed"),
    ],
)
def test_what_cannot_be_planned(ray_engine, options, words):
    with pytest.raises(pp.UserError, match=words):
        pp.plan(spec.build("fc:8", (20,), 10), "random:20", engine=ray_engine, **options)


def test_one_layer_is_one_stage(ray_engine):
    model = torch.nn.Sequential(torch.nn.Linear(20, 10))
    with pytest.raises(pp.UserError, match="one layer has one stage: there is nothing to choose"):
        pp.plan(model, "random:20", engine=ray_engine)
