import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.optimizers import MomentumSGD, TorchOptimizer, make, parse
from pipepita.rules.learner import Product


def layer():
    torch.manual_seed(0)
    return cut(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)), (2, 4, 4), 3)[0]


PRODUCTS = [Product(torch.randn(5, 4, 2, 2), torch.randn(5, 2, 4, 4), sign) for sign in (1.0, -1.0, 1.0, 1.0)]


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_sgd_is_torchs_sgd(momentum):
    ours, theirs = layer(), layer()
    one = make(f"sgd:momentum={momentum}", ours, 0.1)
    other = TorchOptimizer(theirs, 0.1, torch.optim.SGD, {"momentum": momentum})
    assert isinstance(one, MomentumSGD)
    for product in PRODUCTS:
        one.step(product)
        other.step(product)
    for a, b, start in zip(ours.parameters, theirs.parameters, layer().parameters, strict=True):
        torch.testing.assert_close(a, b)
        assert not torch.equal(a, start)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "adagrad", "nadam", "sgd:weight_decay=0.1"])
def test_torch_optimizers_run_without_autograd_and_follow_the_rate(name):
    with torch.inference_mode():
        moved = []
        for rate in (0.1, 0.0):
            block = layer()
            optimizer = make(name, block, 0.5)
            optimizer.lr = rate
            assert optimizer.lr == rate
            optimizer.step(PRODUCTS[0])
            moved.append(float((block.parameters[0] - layer().parameters[0]).abs().max()))
    assert moved[0] > 0
    assert moved[1] == 0
    assert optimizer.state() or name == "sgd:weight_decay=0.1"


def test_momentum_of_sgd_is_the_papers_unless_given():
    assert parse("sgd") == ("sgd", {"momentum": 0.9})
    assert parse("SGD:momentum=0.5,nesterov=true") == ("sgd", {"momentum": 0.5, "nesterov": True})
    assert parse("adam") == ("adam", {})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("adm", "unknown optimizer 'adm'.*did you mean 'adam'"),
        ("lbfgs", "unknown optimizer 'lbfgs'"),
        ("sgd:momentum", "cannot use 'momentum'"),
        ("sgd:lr=1", "the rate is --lr"),
        ("sgd:momentum=1.5", r"momentum 1.5 is not in \[0, 1\)"),
        ("sgd:momentum=1", r"momentum 1 is not in \[0, 1\)"),
        ("sgd:momentum=1.5,nesterov=true", r"momentum 1.5 is not in \[0, 1\)"),
        ('sgd:momentum="a"', "momentum a is not in"),
        ("sgd:maximize=true", "maximize has no meaning"),
        ("adam:capturable=true", "capturable has no meaning"),
        ("adam:momentum=0.5", "unknown option of optimizer adam 'momentum': one of amsgrad, betas"),
        ("adam:betas=0.9", r"'adam:betas=0.9' cannot be made: .*; torch's own are betas=\[0.9, 0.999\]$"),
        ("adam:weight_decay=-1", "weight_decay"),
    ],
)
def test_refuses(spec, words):
    with pytest.raises(pp.UserError, match=words):
        make(spec, layer(), 0.1)
