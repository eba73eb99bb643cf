"""Prequential figures are those of river's own evaluation, with the same network that learns one item at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from river import base, evaluate, metrics, preprocessing

import pipepita as pp
from pipepita.live.counts import Counts
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.source import Stored
from pipepita.pipeline.stage import stages
from pipepita.pipeline.wiring import Plan
from pipepita.runs.options.job import Options
from pipepita.runs.options.settled import settle
from pipepita.streams import ClassPrequential, NumberPrequential, Stream, open_stream

OPTIONS = {"schedule": "relaxed", "batch_size": 1, "lr": 0.01}


class Network:
    """A network that predicts with a forward pass of torch, and learns in one stage."""

    def __init__(self, stream: Stream, options: dict) -> None:
        model = self.model = network(stream)
        settled = settle(
            model, stream.item_shape, stream.classes, pp.Pepita(), Options(**options), regression=stream.regression
        )
        task = self._task = settled.task
        pipeline = self._pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, task.whole), settled.schedule, 1))
        self._coordinator = Coordinator(pipeline, settled.schedule, task.rule.passes, batch_size=1)
        self._lr = task.lr

    def output(self, x):
        self.model.load_state_dict(self._task.weights(self._pipeline.state()))
        with torch.no_grad():
            return self.model.eval()(_tensor(x))

    def learn(self, x, y):
        self._coordinator.train(Stored(_tensor(x), y, torch.tensor([0]), 1), self._lr)


class Classifier(base.Classifier):
    """The same as river sees a classifier."""

    _multiclass = True

    def __init__(self, network: Network) -> None:
        self.network = network

    def predict_one(self, x):
        return int(self.network.output(x).argmax())

    def predict_proba_one(self, x):
        return {self.predict_one(x): 1.0}

    def learn_one(self, x, y):
        self.network.learn(x, torch.tensor([y]))


class Regressor(base.Regressor):
    """The same as river sees a regressor."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def predict_one(self, x):
        return float(self.network.output(x))

    def learn_one(self, x, y):
        self.network.learn(x, torch.tensor([[y]], dtype=torch.float32))


def network(stream: Stream) -> torch.nn.Sequential:
    model = pp.build("fc:12x2", stream.item_shape, stream.classes, normal=True)
    pp.initialise(model, 4)
    return model


def _tensor(x: dict) -> torch.Tensor:
    return torch.from_numpy(np.array([[*x.values()]], dtype=np.float32))


@pytest.mark.parametrize("name", ["Phishing", "Bananas", "ImageSegments"])
def test_accuracy_is_that_of_progressive_val_score(name):
    stream = open_stream(f"river:{name}", length=600)
    counts = Counts(ClassPrequential())
    for _ in pp.online(network(stream), stream, counts=counts, **OPTIONS):
        pass
    items = [(dict(enumerate(x.tolist())), y) for x, y in stream]
    rivers = Classifier(Network(stream, OPTIONS))
    found = evaluate.progressive_val_score(items, rivers, metrics.Accuracy())
    assert counts.score.accuracy == pytest.approx(100 * found.get()) and counts.learnt == 600
    assert counts.score.accuracy > 100 / stream.classes  # it does learn


@pytest.mark.parametrize("name", ["TrumpApproval", "ChickWeights", "Friedman"])
def test_errors_are_those_of_progressive_val_score(name):
    """With targets that river's own scaler standardises."""
    stream, options = open_stream(f"river:{name}", length=500), OPTIONS | {"lr": 0.001}
    counts, said = Counts(NumberPrequential()), []
    for prediction in pp.online(network(stream), stream, counts=counts, **options):
        said.append(prediction.prediction)
        assert prediction.probabilities is None
    items = [(dict(enumerate(x.tolist())), y) for x, (y,) in stream]
    for metric, figure in ((metrics.MAE(), "mae"), (metrics.RMSE(), "rmse"), (metrics.R2(), "r2")):
        rivers = preprocessing.TargetStandardScaler(Regressor(Network(stream, options)))
        found = evaluate.progressive_val_score(items, rivers, metric)
        assert counts.score.figures()[figure] == pytest.approx(found.get(), rel=1e-3), figure
    assert len(said) == counts.learnt == 500
    assert counts.scale.mean == pytest.approx(np.mean([y for _, y in items]))
