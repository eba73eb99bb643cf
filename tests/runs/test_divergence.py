"""A run whose weights become infinite: what its error says, and what is left."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.runs.display import Observer
from pipepita.runs.store.checkpoint import weights_sha256
from pipepita.runs.store.folder import last_checkpoint


def small(data: pp.Data) -> nn.Sequential:
    return pp.build("fc:64", data.item_shape, 10, dropout=0.1)


@pytest.mark.parametrize("form", ["difference", "textbook", "stash", "recompute"])
def test_divergence_names_step_and_layer_and_keeps_the_last_good_checkpoint(few_digits, tmp_path, form):
    data = pp.Data(few_digits.x_train * 1e18, few_digits.y_train, few_digits.x_test, few_digits.y_test, 10)
    model = small(data)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(
        pp.Diverged,
        match=r"diverged at step \d+.*layer \d \(module \d\).*epoch 1; the last good checkpoint is .*step-00000000",
    ):
        pp.train(model, data, engine="local", rule=pp.Pepita(form=form), lr=1e18, epochs=3, run_dir=tmp_path / "run")
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    checkpoint, _ = last_checkpoint(tmp_path / "run")
    first = small(data)
    pp.initialise(first, 0)
    assert checkpoint.about["weights_sha256"] == weights_sha256(first.state_dict())


def test_divergence_after_a_good_epoch(few_digits, tmp_path):
    class Sabotage(Observer):
        def epoch_ends(self, line):
            if line["epoch"] == 2:
                pipeline = self.engine.pipeline
                pipeline._stages[0].spec.layers[1].parameters[0][3, 3] = float("nan")

    class Engine(pp.LocalEngine):
        def open(self, plan):
            self.pipeline = super().open(plan)
            return self.pipeline

    observer = Sabotage()
    observer.engine = Engine("cpu")
    good = tmp_path / "run" / "checkpoints" / "step-00000006"
    with pytest.raises(
        pp.Diverged, match=rf"at step 6: layer 2 \(module 4\).*epoch 3; the last good checkpoint is {good}"
    ):
        pp.train(
            small(few_digits), few_digits, engine=observer.engine, observer=observer, run_dir=tmp_path / "run", epochs=5
        )
    assert good.is_dir()
