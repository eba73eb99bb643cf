"""Prequential accuracy is what river's own evaluation finds, with the same network that learns one item at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from river import base, evaluate, metrics

import pipepita as pp
from pipepita.live.counts import Counts
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.source import Stored
from pipepita.pipeline.stage import stages
from pipepita.pipeline.wiring import Plan
from pipepita.runs.job import Options
from pipepita.runs.settled import settle
from pipepita.streams import Prequential, open_stream

OPTIONS = {"schedule": "relaxed", "batch_size": 1, "lr": 0.01}


class Network(base.Classifier):
    """A network as river sees a classifier: it predicts with a forward pass of torch, and learns in one stage."""

    _multiclass = True

    def __init__(self, model: torch.nn.Sequential, item_shape: tuple[int, ...], classes: int) -> None:
        self.model = model
        settled = settle(model, item_shape, classes, pp.Pepita(), Options(**OPTIONS))
        task = self._task = settled.task
        pipeline = self._pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, task.whole), settled.schedule, 1))
        self._coordinator = Coordinator(pipeline, settled.schedule, task.rule.passes, batch_size=1)
        self._lr = task.lr

    def predict_one(self, x):
        self.model.load_state_dict(self._task.weights(self._pipeline.state()))
        with torch.no_grad():
            return int(self.model.eval()(_tensor(x)).argmax())

    def predict_proba_one(self, x):
        return {self.predict_one(x): 1.0}

    def learn_one(self, x, y):
        self._coordinator.train(Stored(_tensor(x), torch.tensor([y]), torch.tensor([0]), 1), self._lr)


def _tensor(x: dict) -> torch.Tensor:
    return torch.from_numpy(np.array([[*x.values()]], dtype=np.float32))


@pytest.mark.parametrize("name", ["Phishing", "Bananas", "ImageSegments"])
def test_accuracy_is_that_of_progressive_val_score(name):
    stream = open_stream(f"river:{name}", length=600)

    def network():
        model = pp.build("fc:12x2", stream.item_shape, stream.classes, normal=True)
        pp.initialise(model, 4)
        return model

    counts = Counts(Prequential())
    for _ in pp.online(network(), stream, counts=counts, **OPTIONS):
        pass
    items = [(dict(enumerate(x.tolist())), y) for x, y in stream]
    rivers = Network(network(), stream.item_shape, stream.classes)
    found = evaluate.progressive_val_score(items, rivers, metrics.Accuracy())
    assert counts.score.accuracy == pytest.approx(100 * found.get()) and counts.learnt == 600
    assert counts.score.accuracy > 100 / stream.classes  # it does learn
