"""Figures of outputs, added some at a time, against scikit-learn's of all together."""

import json
import math

import pytest
import torch
from sklearn import metrics
from torch import Tensor

from pipepita.pipeline.scores import ClassScores, NumberScores, headline, rounded
from pipepita.pipeline.tally import Tally


def parts(outputs: Tensor, labels: Tensor, tally: Tally) -> Tally:
    for output, label in zip(outputs.split(7), labels.split(7), strict=True):
        tally.add(output, label)
    return tally


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("offset", [0.0, 30_000.0])
def test_numbers(count, offset):
    source = torch.Generator().manual_seed(count)
    labels = offset + torch.randn(900, count, generator=source)
    outputs = labels + torch.randn(900, count, generator=source) / 2
    found = parts(outputs, labels, Tally()).figures()
    one, other = labels.double().numpy(), outputs.double().numpy()
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(one, other))
    assert found["rmse"] == pytest.approx(metrics.mean_squared_error(one, other) ** 0.5)
    assert found["r2"] == pytest.approx(metrics.r2_score(one, other))
    assert found["loss"] == pytest.approx(count * metrics.mean_squared_error(one, other) / 2)


@pytest.mark.parametrize("classes", [True, False])
def test_a_tally_goes_on_from_its_sums(classes):
    source = torch.Generator().manual_seed(1)
    outputs = torch.rand(300, 4, generator=source)
    labels = torch.randint(4, (300,), generator=source) if classes else torch.rand(300, 4, generator=source)
    whole = parts(outputs, labels, Tally())
    half = parts(outputs[:140], labels[:140], Tally())
    for again in (half.copy(), Tally.of(json.loads(json.dumps(half.sums())))):
        assert parts(outputs[140:], labels[140:], again).figures() == pytest.approx(whole.figures())
        assert again.items == 300
    assert half.items == 140 and half.figures() != whole.figures()  # a copy is one
    assert math.isnan(whole.accuracy) is not classes


def test_nothing_is_not_a_number():
    assert rounded(ClassScores().figures()) == {"loss": None, "accuracy": None}
    assert rounded(NumberScores().figures()) == {"loss": None, "mae": None, "rmse": None, "r2": None}
    assert headline({"accuracy": None}) == "-" and headline({"train_r2": 0.5}, "train_") == "R2 0.500"
    same = NumberScores()
    same.add(torch.ones(3, 1), torch.zeros(3, 1))
    assert rounded(same.figures())["r2"] is None and rounded(same.figures())["mae"] == 1  # all labels are alike
