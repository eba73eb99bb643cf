"""Local losses: their gradients are autograd's, and no sample in flight changes anything."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.stage import compute_mode, stages
from pipepita.pipeline.task import Task
from pipepita.rules.losses import Prediction, _pooling, _similarity


def similarity(x):
    """As in the published code."""
    if x.dim() == 4:
        x = x.flatten(2).std(2)
    centred = x - x.mean(1, keepdim=True)
    unit = centred / (1e-8 + centred.square().sum(1, keepdim=True).sqrt())
    return unit.matmul(unit.t()).clamp(-1, 1)


@pytest.mark.parametrize("loss", ["pred", "sim", "predsim"])
@pytest.mark.parametrize("network", ["fc:40x2", "conv:6,3/pool:2/fc:20"])
def test_the_updates_are_the_gradients_of_the_loss(network, loss):
    model = pp.build(network, (1, 8, 8), 10, normal=True)
    pp.initialise(model, 0)
    layers = cut(model, (1, 8, 8), 10)
    rule = pp.LocalLoss(loss=loss, beta=0.7)
    task = Task(layers, 10, rule, "sgd:momentum=0", 0.1)
    one = stages(task, task.whole)[0].build()
    x, labels = torch.rand(16, 1, 8, 8), torch.arange(16) % 10
    target = torch.eye(10)[labels]
    with compute_mode(1):
        one.begin(0.1)
        for head in (head for trainer in one.trainers for head in trainer.learner.heads):
            head.weight.add_(torch.rand_like(head.weight) * 0.1)  # at zero a read-out gives no gradient
        first = one.trainers[0]
        before = [first.layer.parameters[0].clone(), *(head.weight.clone() for head in first.learner.heads)]
        one.standard(0, x, target)
        one.update(0, name="standard")
        after = [first.layer.parameters[0].clone(), *(head.weight.clone() for head in first.learner.heads)]
    copies = [tensor.clone().requires_grad_() for tensor in before]
    conv = isinstance(model[0], nn.Conv2d)
    activity = F.relu(F.conv2d(x, copies[0]) if conv else x.flatten(1) @ copies[0].t())
    activity = activity / (activity.flatten(1).square().mean(1) + torch.finfo(torch.float32).eps).sqrt().view(
        -1, *(1,) * (activity.ndim - 1)
    )
    total = torch.zeros(())
    heads = iter(copies[1:])
    if loss != "sim":
        readout = F.cross_entropy(activity.flatten(1) @ next(heads).t(), labels)
        total = total + readout * (1 if loss == "pred" else 0.3)
    if loss != "pred":
        head = next(heads)
        features = F.conv2d(activity, head, padding=1) if conv else activity @ head.t()
        total = total + F.mse_loss(similarity(features), similarity(target)) * (1 if loss == "sim" else 0.7)
    total.backward()
    for was, is_now, copy in zip(before, after, copies, strict=True):
        torch.testing.assert_close(was - is_now, 0.1 * copy.grad, rtol=1e-3, atol=1e-6)


def test_a_read_out_sees_at_most_2048_numbers():
    assert _pooling((40,)) is None
    assert _pooling((32, 8, 8)) == (1, 1)
    assert _pooling((32, 16, 16)) == (2, 2)
    assert _pooling((64, 16, 8)) == (2, 2)
    assert _pooling((128, 32, 32)) == (8, 8)
    assert _pooling((4096, 2, 2)) == (2, 2)


@pytest.mark.parametrize("shape", [(6, 8, 8), (32, 16, 16), (48, 9, 15), (4096, 2, 3)])
def test_the_gradient_of_a_pooled_read_out_is_that_of_autograd(shape):
    layer = cut(pp.build(f"conv:{shape[0]},1", (1, *shape[1:]), 3), (1, *shape[1:]), 3)[0]
    loss = Prediction(layer, 3, share=1.0, rate=1.0)
    loss.head.weight.add_(torch.rand_like(loss.head.weight))
    activity, target = (
        torch.rand(5, *shape).contiguous(memory_format=torch.channels_last),
        torch.eye(3)[[0, 1, 2, 0, 1]],
    )
    taught = loss.teaching(activity, target)
    activity.requires_grad_()
    pooled = F.avg_pool2d(activity, _pooling(shape), ceil_mode=True).flatten(1)
    assert torch.equal(taught.product.pre, pooled)
    (signal,) = torch.autograd.grad(pooled, activity, taught.product.post @ loss.head.weight)
    assert torch.equal(taught.signal, signal)
    assert taught.signal.is_contiguous(memory_format=torch.channels_last)


def test_similarities_of_few_channels_are_of_all_values():
    few = torch.rand(5, 3, 4, 4)
    flat = few.flatten(1) - few.flatten(1).mean(1, keepdim=True)
    torch.testing.assert_close(_similarity(few), F.cosine_similarity(flat[:, None], flat[None], dim=2))


@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 3, 3)])
def test_an_item_that_a_layer_makes_nothing_of_has_a_gradient_of_zero(shape):
    features = torch.randn(shape)
    features[2] = 0
    features.requires_grad_()
    found = _similarity(features)
    (gradient,) = torch.autograd.grad((found - torch.eye(6)).square().mean(), features)
    assert gradient.isfinite().all() and not gradient[2].any() and gradient[[0, 1, 3, 4, 5]].any()
    assert not found[2].any()
    others = [0, 1, 3, 4, 5]
    assert torch.equal(found[others][:, others], similarity(features[others]))


def test_single_items_teach_nothing_by_similarity():
    layer = cut(pp.build("fc:5", (4,), 3), (4,), 3)[0]
    learner = pp.LocalLoss(loss="sim").learner(layer, 2, 3, 0)
    with torch.inference_mode():
        learner.standard(0, torch.rand(1, 4), torch.eye(3)[:1])
        assert float(learner.product(0).post.abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beta": 1.5}, "beta 1.5 is not a share from 0 to 1"),
        ({"head_rate": float("inf")}, "head_rate inf is not a finite number"),
        ({"loss": "mse"}, "unknown loss 'mse': one of pred, predsim, sim"),
    ],
)
def test_what_cannot_be(options, words):
    with pytest.raises(pp.UserError, match=words):
        pp.LocalLoss(**options)


def test_its_own_maps_are_part_of_a_snapshot_and_not_of_the_network(few_digits):
    model = pp.build("fc:24", few_digits.item_shape, 10)
    task = Task(cut(model, few_digits.item_shape, 10), 10, pp.LocalLoss(loss="predsim"))
    state = stages(task, task.whole)[0].build().state()
    assert sorted(state.memory) == ["1.readout.weight", "1.similarity.weight"]
    assert sorted(state.optimizer) == [
        "1.readout.weight.velocity", "1.similarity.weight.velocity", "1.weight.velocity", "3.weight.velocity",
    ]  # fmt: skip
    assert sorted(state.weights) == sorted(model.state_dict())
