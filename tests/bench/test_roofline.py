"""What a step needs: as many operations as torch counts, and as many as the rule's own step makes."""

from __future__ import annotations

import pytest
import torch

import pipepita as pp
from bench.roofline import needs
from bench.roofline.measure import NETS, Net
from bench.roofline.split import ELEMENTWISE, MASKS, OPTIMIZER, PRODUCTS, split
from bench.step.measure import PepitaStep, backprop
from pipepita.edge.work import _Counter
from pipepita.network.cut import cut

SMALL = (
    Net("deep", "fc:64x3", (30,), everywhere=True),
    Net("flat", "fc:24", (30,)),
    Net("conv", "conv:6,3,1,1/pool:2/conv:4,3", (2, 8, 8)),
)


def counted(run) -> int:
    """The operations of the products that `run` makes."""
    counter = _Counter()
    with torch.inference_mode(False), counter:
        run()
    return counter.done.products


def needed(net: Net, rule: str, batch: int) -> list[needs.Product]:
    layers = cut(pp.build(net.spec, net.shape, 10), net.shape, 10)
    if rule == "bp":
        return needs.backpropagation(layers, batch)
    return needs.pepita(layers, batch, 10, net.everywhere)


@pytest.mark.parametrize("rule", ["bp", "pepita"])
@pytest.mark.parametrize("net", [*SMALL, NETS[2]], ids=lambda net: net.name)
@pytest.mark.parametrize("batch", [1, 16])
def test_products_have_the_operations_that_torch_counts(net, rule, batch):
    for product in needed(net, rule, batch):
        assert counted(product.run) == product.flops, product.kind
        assert product.bytes > 0


@pytest.mark.parametrize("net", SMALL, ids=lambda net: net.name)
def test_a_step_of_backpropagation_makes_no_fewer_products(net):
    x, y = torch.rand(16, *net.shape), torch.randint(0, 10, (16,))
    step = backprop(net.spec, net.shape, x, y)
    assert counted(step) == sum(product.flops for product in needed(net, "bp", 16))


@pytest.mark.parametrize("net", SMALL, ids=lambda net: net.name)
def test_a_step_of_pepita_makes_hardly_more(net):
    x, y = torch.rand(16, *net.shape), torch.randint(0, 10, (16,))
    step = PepitaStep(net.spec, net.shape, net.rule, "sgd", x, y)
    step()
    made = counted(step)  # the update of the sample before, and the passes of this one
    least = sum(product.flops for product in needed(net, "pepita", 16))
    assert least <= made <= 1.35 * least


def test_deep_networks_need_two_thirds_of_the_products():
    deep = Net("deep", "fc:512x8", (512,), everywhere=True)
    ours, bp = (sum(product.flops for product in needed(deep, rule, 64)) for rule in ("pepita", "bp"))
    assert 2 / 3 < ours / bp < 0.8


def test_the_parts_of_a_step():
    net = Net("masks", "fc:64/dropout:0.5", (50,))
    x, y = torch.rand(16, 50), torch.randint(0, 10, (16,))
    parts = split(PepitaStep(net.spec, net.shape, net.rule, "sgd", x, y))
    assert list(parts) == [PRODUCTS, ELEMENTWISE, OPTIMIZER, MASKS]
    assert min(parts.values()) > 0
    without = Net("no masks", "fc:64", (50,))
    parts = split(PepitaStep(without.spec, without.shape, without.rule, "sgd", x, y))
    assert parts[MASKS] == 0
