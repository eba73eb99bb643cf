import numpy as np
import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.network.standardize import Standardize
from pipepita.pipeline.task import Task
from pipepita.planning.costs import measured_costs, median_ms
from pipepita.timeline import recorder


@pytest.mark.parametrize("optimizer", ["sgd", "adamw:weight_decay=0.5"])
def test_every_layer_has_a_cost_and_stays_as_it_was(optimizer):
    model = spec.build("conv:4,3/pool:2/fc:16x2", (1, 12, 12), 10, normal=True)
    spec.initialise(model, 0)
    layers = cut(model, (1, 12, 12), 10)
    before = [[p.clone() for p in layer.parameters] for layer in layers]
    costs = measured_costs(Task(layers, 10, pp.Pepita(), optimizer), 16, samples=4)
    assert len(costs) == 4
    assert all(cost.standard > 0 and cost.modulated > 0 and cost.update > 0 for cost in costs)
    for layer, parameters in zip(layers, before, strict=True):
        assert all(torch.equal(now, then) for now, then in zip(layer.parameters, parameters, strict=True))


def test_items_are_standardized_and_flattened_first():
    layers = cut(nn.Sequential(Standardize((1, 8, 8)), *spec.build("fc:5", (1, 8, 8), 10)), (1, 8, 8), 10)
    assert len(measured_costs(Task(layers, 10, pp.Pepita(), "sgd"), 3, samples=2)) == 2


def test_a_median_is_of_the_samples_behind_the_warm_up():
    rows = np.zeros(5, recorder._DTYPE)
    rows["phase"], rows["step"], rows["begin"] = recorder.PASS, range(5), 1_000_000
    rows["end"] = [10_000_000, 9_000_000, 2_000_000, 4_000_000, 7_000_000]
    spans = recorder.Spans(("standard",), rows)
    assert median_ms(spans, recorder.PASS, "standard", first=2) == 3.0
    assert median_ms(spans, recorder.PASS, "standard", first=0) == 6.0
