"""Numbers are standardised as river's `TargetStandardScaler` does it, with what is known at the time."""

import json
import random

import pytest
import torch
from river import linear_model, preprocessing

from pipepita.streams.targets import NumberTargets, targets_of


class Listening(linear_model.LinearRegression):
    """A regressor that keeps the numbers that it is taught, and predicts 0.25."""

    def __init__(self):
        super().__init__()
        self.taught: list[float] = []

    def learn_one(self, x, y, w=1.0):
        self.taught.append(y)

    def predict_one(self, x):
        return 0.25


def test_as_river_does_it():
    draw = random.Random(0)
    labels = [1000 + draw.gauss(0, 3) for _ in range(200)]
    inner = Listening()
    rivers, targets = preprocessing.TargetStandardScaler(inner), NumberTargets(1)
    for place, label in enumerate(labels):
        said = targets.read(torch.tensor([[0.25]]), targets.scale())[0]
        assert said == pytest.approx(rivers.predict_one({"a": 1.0}))
        rivers.learn_one({"a": 1.0}, label)
        assert targets.teach([(label,)]).item() == pytest.approx(rivers.regressor.taught[place], abs=1e-6)


def test_several_numbers_and_items_and_a_state_of_json():
    one, other = NumberTargets(2), NumberTargets(2)
    labels = [(1.0, -5.0), (2.0, -5.0), (4.0, -5.0), (8.0, 3.0)]
    together = one.teach(labels)
    apart = []
    for label in labels:
        again = NumberTargets(2)
        again.load(json.loads(json.dumps(other.state())))
        apart.append(again.teach([label]))
        other = again
    assert torch.equal(together, torch.cat(apart)) and together.dtype == torch.float32
    assert together[:3, 1].tolist() == [0, 0, 0]  # labels that are all alike have no spread
    assert one.read(torch.zeros(1, 2), one.scale()) == [[3.75, -3.0]]


def test_classes_stay_as_they_are():
    targets = targets_of(False, 3)
    assert targets.teach([2, 0]).tolist() == [2, 0] and targets.teach([1]).dtype == torch.int64
    assert targets.read(torch.tensor([[0.1, 0.7, 0.2]]), targets.scale()) == [1]
