"""A stage computes with the threads that its task says, leaves torch as it was, and knows what belongs to it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.stage import compute_mode, stages
from pipepita.pipeline.state import State
from pipepita.pipeline.task import Task


def test_compute_mode_puts_threads_and_autograd_back_even_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), compute_mode(before + 2):
        assert torch.get_num_threads() == before + 2
        assert not torch.is_grad_enabled()
        raise KeyError
    assert torch.get_num_threads() == before
    assert torch.is_grad_enabled()


def test_a_weight_beside_a_layer_is_looked_at_too():
    """One of the layer's normalisation, and one of its projection that learns."""
    layers = cut(pp.build("fc:6/norm:layer", (4,), 3), (4,), 3)
    task = Task(layers, 3, pp.Pepita(modulate="all", feedback="learned"))
    stage = stages(task, task.whole)[0].build()
    trainer = stage.trainers[0]
    assert stage.non_finite() is None
    for weight in (trainer.layer.affines[0].parameters[1], trainer.learner.heads[0].weight):
        place, kept = (0,) * weight.ndim, weight.clone()
        weight.data[place] = torch.inf
        assert stage.non_finite() == "layer 1 (module 0)"
        weight.data.copy_(kept)
    assert stage.non_finite() is None


def test_the_state_of_a_layer_is_not_that_of_another_whose_name_begins_alike():
    keys = ["1.weight", "1.bias", "10.weight", "11.0.weight"]
    whole = State(*({key: torch.zeros(1) for key in keys} for _ in range(3)))
    assert [list(part) for part in whole.of([SimpleNamespace(names=["1"])])] == [["1.weight", "1.bias"]] * 3
