"""Networks that predict numbers: the error is the output minus the number, and half the squared error is the loss."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.source import Stored
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.rules import read
from pipepita.schedule import relaxed

BATCH, LR, STEPS = 10, 0.05, 12
RULES = (
    "bp", "fa", "usf", "brsf", "frsf", "dfa", "dfa:feedback=learned", "dni", "local", "gevb", "pepita:feedback=fixed",
    "pepita:modulate=all,feedback=learned", "pepita:error=local,modulate=all,feedback=fixed",
    "pepita:feedback=product,refresh=50", "pepita:perturbation=sign,feedback=fixed", "pepita:form=textbook",
)  # fmt: skip


def items(count: int = 1, size: int = BATCH * STEPS) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(size, 6, generator=source)
    weights = torch.randn(6, count, generator=source)
    return x, (x @ weights) / 2 + torch.sin(x[:, :1])


def learn(model: nn.Sequential, rule: pp.Rule, x: torch.Tensor, y: torch.Tensor, lr: float = LR):
    """(weights, outputs) of one stage in this process, which learns from all items once, in their order."""
    layers = cut(model, (6,), y.shape[1], regression=True)
    task = Task(layers, y.shape[1], rule.settled(len(layers)), "sgd:momentum=0.9", lr)
    pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, task.whole), relaxed(), BATCH))
    outputs: list[torch.Tensor] = []

    class Listening(Stored):
        def answer(self, step, output, there):
            outputs.append(output.clone())

    coordinator = Coordinator(pipeline, relaxed(), rule.passes, batch_size=BATCH)
    coordinator.align(1)
    coordinator.train(Listening(x, y, torch.arange(len(x)), BATCH), lr)
    return task.weights(pipeline.state()), torch.cat(outputs)


@pytest.mark.parametrize("count", [1, 3])
def test_bp_agrees_with_autograd(count):
    model = spec.build("fc:12x2", (6,), count, activation="tanh")
    spec.initialise(model, 1)
    x, y = items(count)
    weights, outputs = learn(model, pp.Backprop(), x, y)
    own = copy.deepcopy(model)
    optimizer = torch.optim.SGD(own.parameters(), LR, momentum=0.9)
    expected = []
    for one, numbers in zip(x.split(BATCH), y.split(BATCH), strict=True):
        expected.append(own(one))
        optimizer.zero_grad()
        (0.5 * (expected[-1] - numbers).square().sum(1)).mean().backward()
        optimizer.step()
    assert torch.allclose(outputs, torch.cat(expected), atol=1e-5)
    for name, weight in own.state_dict().items():
        assert torch.allclose(weights[name], weight, atol=1e-5), name
    assert float((outputs.sum(1) - 1).abs().max()) > 0.1  # no softmax


def test_a_local_loss_is_that_of_its_read_out():
    model = spec.build("fc:12", (6,), 2, activation="tanh")
    spec.initialise(model, 1)
    x, y = items(2, BATCH)
    weights, _ = learn(model, pp.LocalLoss(), x, y)
    # the read-out is zero at first, so the hidden layer does not move in the first step
    assert torch.equal(weights["0.weight"], model.state_dict()["0.weight"])
    own, head = copy.deepcopy(model), torch.zeros(2, 12, requires_grad=True)
    x, y = items(2, 2 * BATCH)
    weights, _ = learn(model, pp.LocalLoss(), x, y)
    optimizer = torch.optim.SGD([*own.parameters(), head], LR, momentum=0.9)
    for one, numbers in zip(x.split(BATCH), y.split(BATCH), strict=True):
        hidden = own[:2](one)
        loss = (hidden @ head.t() - numbers).square().sum(1).mean() + (own[2:](hidden.detach()) - numbers).square().sum(
            1
        ).mean()
        optimizer.zero_grad()
        (0.5 * loss).backward()
        optimizer.step()
    for name, weight in own.state_dict().items():
        assert torch.allclose(weights[name], weight, atol=1e-5), name


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.filterwarnings("ignore:gevb")
def test_every_rule_learns(rule):
    rule = read(rule)
    model = rule.network(spec.build("fc:24x2", (6,), 1, normal=True), 1)
    spec.initialise(model, 1)
    x, y = items(1, 1500)
    _, outputs = learn(model, rule, x, y, 0.01)
    last = slice(1000, None)
    assert float((outputs[last] - y[last]).square().mean()) < 0.6 * float(y[last].var())


@pytest.mark.parametrize(
    ("rule", "count", "words"),
    [
        ("drtp", 1, "rule drtp cannot teach a network to predict numbers: .*take dfa"),
        ("local:loss=sim", 1, "loss=sim compares items by the direction of their targets"),
        ("local:loss=predsim", 1, "one number has none: loss=pred"),
    ],
)
def test_rules_for_classes_say_why(rule, count, words):
    layers = cut(spec.build("fc:8", (6,), count), (6,), count, regression=True)
    with pytest.raises(pp.UserError, match=words):
        Task(layers, count, read(rule))
    Task(cut(spec.build("fc:8", (6,), 2), (6,), 2), 2, read(rule))


def test_a_model_must_end_with_its_numbers():
    with pytest.raises(pp.UserError, match=r"output layer \(0\) has 3 units but the data 1 number to predict"):
        cut(nn.Sequential(nn.Linear(6, 3)), (6,), 1, regression=True)
    with pytest.raises(pp.UserError, match="module 1 is a Softmax, but numbers are to be predicted"):
        cut(nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), (6,), 3, regression=True)
