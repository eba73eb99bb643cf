"""The forms of the modulated pass against each other, and what each keeps of the samples in flight."""

from __future__ import annotations

import gc

import pytest
import torch
from test_conformance import NETWORKS, Order, assert_all_differ, assert_equal, trained
from torch import Tensor, nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.rules.forms import FORMS
from pipepita.schedule import relaxed, streaming

BATCH, IN_FLIGHT = 8, 3


@pytest.mark.crossed(
    {
        "network": NETWORKS,
        "modulate": ("input", "all"),
        "presynaptic": ("modulated", "standard"),
        "form": ("stash", "recompute"),
    }
)
def test_at_window_one_it_is_textbook_to_the_bit(few_digits, network, modulate, presynaptic, form):
    engine = pp.LocalEngine("cpu")
    options = {"modulate": modulate, "presynaptic": presynaptic}
    textbook, other = pp.Pepita(form="textbook", **options), pp.Pepita(form=form, **options)
    assert_equal(*(trained(engine, network, rule, Order(relaxed()), few_digits, 1) for rule in (textbook, other)))
    stale = [trained(engine, network, rule, Order(streaming(2)), few_digits, 1)[0] for rule in (textbook, other)]
    assert_all_differ(*stale)  # with samples in flight


@pytest.mark.parametrize("modulate", ["input", "all"])
@pytest.mark.parametrize("form", FORMS)
def test_both_passes_drop_the_same(few_digits, form, modulate):
    """Without an error the modulated pass is the clean one again: no hidden weight moves."""
    model = pp.build("fc:32x2", few_digits.item_shape, 10, dropout=0.5)
    pp.initialise(model, 0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rule = pp.Pepita(form=form, modulate=modulate, f_scale=0)
    pp.train(model, few_digits, engine="local", rule=rule, init="keep", epochs=1)
    *hidden, last = before
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in hidden)
    assert not torch.equal(model.state_dict()[last], before[last])


class Chain:
    """The learners of a small network, called directly: there are no channels that would keep messages."""

    def __init__(self, form: str, modulate: str) -> None:
        model = pp.build("fc:20x2", (1, 8, 8), 10, dropout=0.1)
        pp.initialise(model, 0)
        layers = cut(model, (1, 8, 8), 10)
        rule = pp.Pepita(form=form, modulate=modulate)
        self.learners = [rule.learner(layer, len(layers), 10, 0) for layer in layers]

    def standard(self, step: int, x: Tensor) -> Tensor:
        for learner in self.learners:
            x = learner.standard(step, x)
        return x

    def second(self, step: int, error: Tensor) -> None:
        arriving = None
        for learner in self.learners:
            arriving = learner.second(step, arriving, error)
        for learner in self.learners:
            learner.product(step)


def shapes() -> list[tuple[int, ...]]:
    """Shapes of the tensors that came into being since `gc.freeze`."""
    gc.collect()
    return sorted(tuple(thing.shape) for thing in gc.get_objects() if type(thing) in (Tensor, nn.Parameter))


def kept_in_flight(form: str, modulate: str) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Shapes of the tensors that came into being: with `IN_FLIGHT` samples in flight, and once drained."""
    with torch.inference_mode():
        chain = Chain(form, modulate)
        gc.freeze()  # what is there now is not looked at
        try:
            for step in range(IN_FLIGHT):
                chain.standard(step, torch.rand(BATCH, 1, 8, 8))
            during = shapes()
            for step in range(IN_FLIGHT):
                chain.second(step, torch.rand(BATCH, 10))
            return during, shapes()
        finally:
            gc.unfreeze()


@pytest.mark.parametrize("modulate", ["input", "all"])
def test_recompute_keeps_the_input_and_the_output_and_nothing_between(modulate):
    during, after = kept_in_flight("recompute", modulate)
    assert during == sorted(IN_FLIGHT * [(BATCH, 64), (BATCH, 10)])
    assert not after


@pytest.mark.parametrize("modulate", ["input", "all"])
def test_stash_keeps_the_weights_of_each_sample_in_flight(modulate):
    textbook, _ = kept_in_flight("textbook", modulate)
    during, after = kept_in_flight("stash", modulate)
    for copied in IN_FLIGHT * [(20, 64), (20, 20), (10, 20)]:
        during.remove(copied)
    assert during == textbook
    assert not after


@pytest.mark.parametrize("form", FORMS)
def test_every_form_forgets_a_drained_sample(form):
    _, after = kept_in_flight(form, "input")
    assert not after


def test_the_second_half_of_a_message_is_aligned_before_it_is_multiplied():
    """Three items of 20 floats are 240 bytes, so the modulated half does not begin on a 64-byte boundary."""
    with torch.inference_mode():
        middle = Chain("recompute", "input").learners[1]
        middle.standard(0, torch.rand(3, 20))
        message = torch.rand(6, 20)
        assert message.chunk(2)[1].data_ptr() % 64
        middle.second(0, message, None)
        pre = middle.product(0).pre
    assert torch.equal(pre, message[3:])
    assert pre.data_ptr() % 64 == 0
