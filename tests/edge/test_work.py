"""Counted work and memory against what a hand computes from the shapes."""

import math

import pytest
import torch
from torch import nn

from pipepita import rules
from pipepita.edge.devices.profiles import DeviceProfile, Watts
from pipepita.edge.work import LayerWork, Work, counted, memory
from pipepita.network.cut import cut
from pipepita.network.spec import build
from pipepita.network.standardize import Standardize
from pipepita.pipeline.task import Task

IN, HIDDEN, CLASSES = 64, 48, 10
FLOAT = 4


def works(network=f"fc:{HIDDEN}", rule="pepita", batch=1, shape=(IN,), optimizer="sgd", **options) -> list[LayerWork]:
    model = build(network, shape, CLASSES)
    layers = cut(model, shape, CLASSES)
    return counted(Task(layers, CLASSES, rules.make(rule, options), optimizer), batch)


def test_products_are_counted_by_their_shapes():
    """A standard pass is 2 B in out and a comparison an output; a modulated one as much again, for its own input."""
    first, last = works(batch=3)
    assert first.standard.flops == 2 * 3 * IN * HIDDEN + 3 * HIDDEN
    assert first.second.flops == pytest.approx(2 * 3 * (IN * HIDDEN + 2 * IN * CLASSES), rel=0.05)  # F e: D_0, and m_0
    assert first.update.flops == 2 * 3 * IN * HIDDEN + IN * HIDDEN  # into the velocity, and onto the weights
    assert last.standard.flops == pytest.approx(2 * 3 * HIDDEN * CLASSES, rel=0.05)
    assert last.update.flops == 2 * 3 * HIDDEN * CLASSES + HIDDEN * CLASSES


def test_bytes_are_those_of_every_tensor_read_or_written():
    first, _ = works()
    product = FLOAT * (IN + IN * HIDDEN + HIDDEN)
    relu = FLOAT * (HIDDEN + HIDDEN)
    assert first.standard.bytes == product + relu
    velocity = FLOAT * (IN * HIDDEN + IN + HIDDEN + IN * HIDDEN)
    weights = FLOAT * (3 * IN * HIDDEN)
    assert first.update.bytes == velocity + weights


def test_w_f_e_is_cheap_where_items_outnumber_classes():
    """W (F e) = (W F) e: with more items than classes a first layer's modulated pass meets W once a class only."""
    first, _ = works(batch=32)
    assert first.second.flops < 0.6 * first.standard.flops
    assert first.standard.flops == pytest.approx(2 * (32 + CLASSES) * IN * HIDDEN, rel=0.05)


def test_convolutions_are_counted_by_their_positions():
    (conv, _) = works("conv:8,3/pool:2", shape=(2, 12, 12))
    assert conv.standard.flops == pytest.approx(2 * 8 * 2 * 9 * 100, rel=0.1)
    assert conv.update.flops == pytest.approx(2 * 8 * 2 * 9 * 100, rel=0.1)


def test_memory_is_weights_moments_feedback_and_what_is_in_flight():
    first, last = works(batch=5)
    weights = FLOAT * IN * HIDDEN
    assert first.fixed == weights + weights + FLOAT * IN * CLASSES  # and F
    assert last.fixed == 2 * FLOAT * HIDDEN * CLASSES
    assert first.kept == FLOAT * 5 * 2 * HIDDEN  # a_1 and h_1
    assert first.incoming == FLOAT * 5 * IN and first.outgoing == FLOAT * 5 * HIDDEN
    for window in (1, 4):
        alone = 2 * weights + FLOAT * IN * CLASSES + window * FLOAT * 5 * (IN + 2 * HIDDEN) + FLOAT * 5 * (IN + HIDDEN)
        assert memory([first], window) == alone
    assert memory([first, last], 2) == (
        first.fixed + last.fixed + 2 * (first.incoming + first.kept + last.kept) + first.incoming + last.outgoing
    )


def test_stashed_weights_and_other_optimizers_are_seen():
    plain, stashed = works()[0], works(form="stash")[0]
    assert stashed.kept == plain.kept - FLOAT * HIDDEN + FLOAT * IN * HIDDEN  # no a_1, but a copy of W_1
    adam = works(optimizer="adam")[0]
    assert adam.fixed - plain.fixed == pytest.approx(2 * FLOAT * IN * HIDDEN, abs=64)  # grad and two moments, less one


@pytest.mark.parametrize(("rule", "cheaper"), [("dfa", True), ("bp", True), ("pepita", False)])
def test_rules_differ_in_their_second_pass(rule, cheaper):
    """The first layer's: bp need not go further down, dfa projects an error, pepita runs forward again."""
    first, _ = works(rule=rule)
    assert (first.second.flops < 0.5 * first.standard.flops) == cheaper


def test_a_rule_of_one_pass_has_no_second():
    assert all(layer.second == Work() for layer in works(rule="drtp"))


def test_the_layers_stay_as_they_are():
    model = build(f"fc:{HIDDEN}", (IN,), CLASSES)
    before = [parameter.clone() for parameter in model.parameters()]
    layers = cut(model, (IN,), CLASSES)
    counted(Task(layers, CLASSES, rules.make("pepita", {})), 4)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_the_slower_of_computing_and_memory_decides():
    device = DeviceProfile("d", "d", flops=1e6, bandwidth=1e3, ram=1, watts=Watts(0, 1))
    assert Work(2e6, 1e3).seconds(device) == 2
    assert Work(1e6, 3e3).seconds(device) == 3
    assert math.isclose(works()[0].cost(device).standard, works()[0].standard.bytes / 1e3)


def test_looking_ahead_reads_old_and_new_weights_and_writes_the_predicted_ones():
    model = build(f"fc:{HIDDEN}", (IN,), CLASSES)
    layers = cut(model, (IN,), CLASSES)
    task = Task(layers, CLASSES, rules.make("pepita", {}), "sgd", look_ahead=True)
    without, found = works()[0], counted(task, 1)[0]
    assert without.ahead == Work() and found.standard == without.standard
    weights = FLOAT * IN * HIDDEN
    assert found.ahead.bytes == 3 * weights
    assert found.ahead.products == 0 and found.fixed == without.fixed + 2 * weights
    device = DeviceProfile("d", "d", flops=1e9, bandwidth=1e3, ram=1, watts=Watts(0, 1))
    assert found.cost(device).ahead == found.ahead.bytes / device.bandwidth


def test_items_are_standardized_and_flattened_first():
    model = nn.Sequential(Standardize((1, 8, 8)), *build("fc:5", (1, 8, 8), CLASSES))
    layers = cut(model, (1, 8, 8), CLASSES)
    found = counted(Task(layers, CLASSES, rules.make("pepita", {}), "sgd"), 2)
    assert [work.standard.products for work in found] == [2 * 2 * 64 * 5, 2 * 2 * 5 * CLASSES]
