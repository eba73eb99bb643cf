"""Normalisations: equal to torch's own, with statistics that a sample meets in all of its passes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.network.norms import NormPass, function, normalize
from pipepita.pipeline.source import batches, shuffled
from pipepita.pipeline.stage import compute_mode, stages
from pipepita.pipeline.task import Task

KINDS = {
    "batch, flat": (nn.BatchNorm1d(6), (9, 6)),
    "batch, images": (nn.BatchNorm2d(6), (9, 6, 4, 5)),
    "layer": (nn.LayerNorm(6), (9, 6)),
    "layer, images": (nn.LayerNorm((6, 4, 5)), (9, 6, 4, 5)),
    "layer without shift": (nn.LayerNorm(6, bias=False), (9, 6)),
    "group": (nn.GroupNorm(3, 6), (9, 6, 4, 5)),
    "rms": (nn.RMSNorm(6), (9, 6)),
    "rms, images": (nn.RMSNorm((6, 4, 5)), (9, 6, 4, 5)),
    "batch without scale": (nn.BatchNorm2d(6, affine=False), (9, 6, 4, 5)),
    "batch, averaged": (nn.BatchNorm1d(6, momentum=None), (9, 6)),
}


@pytest.mark.parametrize("shape", [(6,), (6, 4, 5)])
@pytest.mark.parametrize("eps", [None, 0.1])
def test_the_gradient_of_the_root_mean_square_is_torchs(shape, eps):
    module, x = nn.RMSNorm(shape, eps=eps, elementwise_affine=False), torch.randn(9, *shape, requires_grad=True)
    change = torch.randn(9, *shape)
    normalized = function(module)(x)
    assert torch.equal(normalized, module(x))
    ours, torchs = (torch.autograd.grad(y, x, change)[0] for y in (normalized, module(x)))
    torch.testing.assert_close(ours, torchs)


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_torchs(kind):
    module, shape = copy.deepcopy(KINDS[kind])
    for parameter in module.parameters():
        parameter.data.uniform_(-2, 2)
    reference = copy.deepcopy(module).train()
    for _ in range(3):
        x = torch.randn(shape) * 3 + 1
        torch.testing.assert_close(normalize(module, x, NormPass()), reference(x))
    for mine, theirs in zip(module.buffers(), reference.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(normalize(module, x, None), reference.eval()(x))


def test_a_second_pass_meets_the_statistics_of_the_first():
    module, meets = nn.BatchNorm1d(4, affine=False), NormPass()
    x = torch.randn(20, 4)
    first = normalize(module, x, meets)
    running = module.running_mean.clone()
    moved = normalize(module, x + 1, meets)
    torch.testing.assert_close(moved, first + 1 / (x.var(0, correction=0) + module.eps).sqrt())
    assert torch.equal(module.running_mean, running)
    assert int(module.num_batches_tracked) == 1


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1, bias=False),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.RMSNorm((8, 2, 2)),
        nn.Flatten(),
        nn.Linear(32, 20),
        nn.BatchNorm1d(20),
        nn.Tanh(),
        nn.LayerNorm(20),
        nn.Linear(20, 10),
    )


def test_backpropagation_is_that_of_autograd_and_torch_optim(few_digits):
    """Weights, scales, shifts and running statistics, over two epochs."""
    torch.manual_seed(0)
    ours, theirs = network(), None
    for parameter in ours.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    theirs = copy.deepcopy(ours).train()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    for epoch in (1, 2):
        order = shuffled(len(few_digits.x_train), 0, epoch)
        for x, y in batches(few_digits.x_train, few_digits.y_train, order, 32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(theirs(x), y).backward()
            optimizer.step()
    pp.train(
        ours, few_digits, engine="local", rule=pp.Backprop(), init="keep", lr=0.05, optimizer="sgd:momentum=0.9",
        epochs=2, batch_size=32,
    )  # fmt: skip
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-3, atol=1e-4, msg=key)


def after_one_sample(model: nn.Sequential, form: str) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """A sample's items, the modulated ones, the first layer's weights before, and all weights after its update."""
    task = Task(cut(model, (1, 8, 8), 10), 10, pp.Pepita(modulate="all", form=form), "sgd:momentum=0", 0.1)
    one = stages(task, task.whole)[0].build()
    one.begin(0.1)
    x, target = torch.rand(16, 1, 8, 8), torch.eye(10)[torch.arange(16) % 10]
    with compute_mode(1):
        feedback = one.trainers[0].learner._perturbation.feedback
        weight = one.trainers[0].layer.parameters[0].clone()
        error = one.standard(0, x) - target
        one.second(0, None, error)
        one.update(0)
        state = one.state().weights
    return x, x + (error @ feedback).view_as(x), weight, state


@pytest.mark.parametrize("form", ["difference", "textbook", "stash", "recompute"])
def test_pepitas_scales_learn_by_the_difference_of_activities(form):
    """d scale = (h - m) n_m and d shift = h - m, averaged over items and positions."""
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10, bias=False)
    )
    x, modulated, weight, state = after_one_sample(model, form)
    first = nn.functional.conv2d(x, weight)
    second = nn.functional.conv2d(modulated, weight)
    var, mean = torch.var_mean(first, (0, 2, 3), correction=0, keepdim=True)
    normal_first, normal_second = ((a - mean) / (var + 1e-5).sqrt() for a in (first, second))
    change = normal_first.relu() - normal_second.relu()
    torch.testing.assert_close(state["1.bias"], -0.1 * change.mean((0, 2, 3)), rtol=1e-3, atol=1e-7)
    torch.testing.assert_close(
        state["1.weight"], 1 - 0.1 * (change * normal_second).mean((0, 2, 3)), rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("form", ["difference", "textbook", "stash", "recompute"])
def test_behind_pooling_pepitas_scales_learn_by_the_difference_of_what_is_sent(form):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(36, 10)
    )
    x, modulated, weight, state = after_one_sample(model, form)
    first, second = (
        nn.functional.group_norm(nn.functional.avg_pool2d(nn.functional.conv2d(items, weight).relu(), 2), 2)
        for items in (x, modulated)
    )
    change = first - second
    torch.testing.assert_close(state["3.bias"], -0.1 * change.mean((0, 2, 3)), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(state["3.weight"], 1 - 0.1 * (change * second).mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    assert state["3.bias"].abs().max() > 1e-5


def test_a_frozen_normalisation_keeps_its_scale(few_digits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 10))
    model[2].requires_grad_(False)
    pp.train(model, few_digits, engine="local", rule=pp.Backprop(), epochs=1, batch_size=32)
    assert torch.equal(model[2].weight, torch.ones(20))
    assert int(model[2].num_batches_tracked) == 5


def test_a_run_goes_on_in_the_middle_of_an_epoch(few_digits, tmp_path):
    options = {
        "rule": pp.Pepita(modulate="all"), "engine": "local", "batch_size": 8, "schedule": "streaming", "window": 3,
        "snapshot_every": 5, "checkpoint_every": 0, "lr": 0.02, "epochs": 2,
    }  # fmt: skip
    whole = pp.train(network(), few_digits, **options)
    seen = []

    def stop():
        seen.append(1)
        return len(seen) > 12

    pp.train(network(), few_digits, run_dir=tmp_path / "run", stop=stop, **options)
    again = pp.resume(tmp_path / "run", few_digits)
    assert again.weights_sha256 == whole.weights_sha256
    assert pp.evaluate(tmp_path / "run", few_digits)["test_accuracy"] == whole.test_accuracy


def test_the_trained_model_is_evaluated_as_by_torch(few_digits):
    model = network()
    result = pp.train(model, few_digits, engine="local", rule=pp.Backprop(), epochs=3, batch_size=32)
    with torch.inference_mode():
        right = model.eval()(few_digits.x_test).argmax(1) == few_digits.y_test
    assert 100 * float(right.float().mean()) == pytest.approx(result.test_accuracy, abs=1e-3)


@pytest.mark.parametrize(
    ("batch_size", "words"),
    [
        (1, "batch_size 1: module 1 is BatchNorm2d, which a single item says nothing to; use nn.RMSNorm"),
        (149, "batch_size 149: the last of 150 items is a batch of its own.*module 1"),
    ],
)
def test_a_batch_of_one_item_is_refused(few_digits, batch_size, words):
    with pytest.raises(pp.UserError, match=words):
        pp.train(network(), few_digits, engine="local", batch_size=batch_size)
    rms = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.RMSNorm(20), nn.Linear(20, 10))
    pp.train(rms, few_digits, engine="local", batch_size=batch_size, epochs=1)


def test_own_normalisations_are_enough(few_digits):
    """`normalize="auto"` puts none into a network that has some."""
    model = network()
    before = [name for name, _ in model.named_children()]
    pp.train(model, few_digits, engine="local", epochs=1)
    assert [name for name, _ in model.named_children()] == before
