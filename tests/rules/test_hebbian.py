"""What is compared between the two passes, against autograd on the whole layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.rules.learner import Learner

CLASSES, BATCH = 3, 6


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.RMSNorm((4, 3, 3), elementwise_affine=False),
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(36, CLASSES),
    )  # fmt: skip


def first_learner(**options) -> Learner:
    torch.manual_seed(5)
    layers = cut(network(), (2, 6, 6), CLASSES)
    return pp.Pepita(modulate="all", f_scale=3.0, compare="sent", **options).learner(layers[0], 2, CLASSES, seed=1)


def inputs_and_error() -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(2)
    return torch.randn(BATCH, 2, 6, 6, generator=source), torch.randn(BATCH, CLASSES, generator=source)


@pytest.mark.parametrize("form", ["difference", "textbook", "stash"])
@pytest.mark.parametrize("presynaptic", ["modulated", "standard"])
def test_what_is_sent_is_compared(form, presynaptic):
    learner = first_learner(form=form, presynaptic=presynaptic)
    x, error = inputs_and_error()
    (mask,) = learner.layer.masks(BATCH, 0)
    with torch.inference_mode():
        learner.standard(0, x)
        learner.second(0, None, error)
        product = learner.product(0)

    weight, bias = learner.layer.parameters
    modulated_inputs = x + (error @ learner.fixed()["0.feedback"]).view_as(x)

    def sent(activity):
        return F.rms_norm(F.max_pool2d(activity, 2), (4, 3, 3)) * mask

    activity = F.conv2d(x, weight, bias, padding=1).relu().requires_grad_()
    modulated = F.conv2d(modulated_inputs, weight, bias, padding=1).relu()
    clean = sent(activity)
    (expected,) = torch.autograd.grad(clean, activity, (clean - sent(modulated)).detach())
    assert torch.allclose(product.post * product.scale, expected, atol=1e-5)
    assert torch.equal(product.pre, x if presynaptic == "standard" else modulated_inputs)
    assert 0 < (expected != 0).float().mean() < 0.3  # only what wins the pooling


@pytest.mark.parametrize("options", [{"form": "difference"}, {"form": "textbook"}, {"error": "local"}])
def test_without_an_activation_function_what_is_sent_is_compared_too(options):
    torch.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, CLASSES))
    layer = cut(model, (2, 6, 6), CLASSES)[0]
    rule = pp.Pepita(modulate="all", f_scale=3.0, compare="sent", **options)
    learner = rule.learner(layer, 2, CLASSES, seed=1)
    x, error = inputs_and_error()
    with torch.inference_mode():
        sent = learner.standard(0, x, torch.eye(CLASSES)[torch.arange(BATCH) % CLASSES])
        if len(rule.passes) > 1:
            learner.second(0, None, error)
        product = learner.product(0)
    weight, bias = layer.parameters
    activity = F.conv2d(x, weight, bias).requires_grad_()
    clean = F.max_pool2d(activity, 2).flatten(1)
    modulated = F.max_pool2d(F.conv2d(product.pre.clone(), weight, bias), 2).flatten(1)
    (expected,) = torch.autograd.grad(clean, activity, (clean - modulated).detach())
    assert not sent.requires_grad
    assert torch.equal(sent, clean)
    assert torch.allclose(product.post * product.scale, expected, atol=1e-5)


def test_without_pooling_it_is_the_activity():
    torch.manual_seed(5)
    layer = cut(nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, CLASSES)), (8,), CLASSES)[0]
    x, error = torch.randn(BATCH, 8), torch.randn(BATCH, CLASSES)
    products = []
    for compare in ("activity", "sent"):
        learner = pp.Pepita(modulate="all", compare=compare).learner(layer, 2, CLASSES, seed=1)
        with torch.inference_mode():
            learner.standard(0, x)
            learner.second(0, None, error)
            products.append(learner.product(0))
    activity, sent = products
    assert torch.equal(activity.post * activity.scale, sent.post * sent.scale)


@pytest.mark.parametrize("presynaptic", ["own", "two-step"])
def test_two_products_have_nothing_to_bring_back(presynaptic):
    with pytest.raises(pp.UserError, match=f"compare sent needs presynaptic modulated or standard, not {presynaptic}"):
        pp.Pepita(presynaptic=presynaptic, compare="sent")
