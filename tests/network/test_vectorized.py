"""Vectorised networks: what they compute, how they begin, and that every synapse is torch's own map."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.network.modules import describe, rebuild
from pipepita.network.shared import Gate, SharedConv2d, SharedLinear
from pipepita.network.synapses import synapse
from pipepita.network.vectorized import vectorized

CLASSES = 3


def made(spec: str, shape=(1, 8, 8), **options) -> nn.Sequential:
    model = vectorized(pp.build(spec, shape, CLASSES, **options), CLASSES)
    pp.initialise(model, 4)
    return model


def test_it_computes_at_first_what_an_ordinary_network_of_half_the_units_does():
    model = made("fc:8x2", (5,))
    x = torch.randn(7, 5)
    first, second, last = (module.weight for module in model if isinstance(module, nn.Linear))
    gates = [module.signs[:, ::2] for module in model if isinstance(module, Gate)]

    def gated(a, signs):  # (items, classes, units)
        return a * ((a * signs).sum(1, keepdim=True) >= 0)

    half = first.view(CLASSES, 8, 5)[:, ::2]
    h = gated(torch.einsum("kun,bn->bku", half, x), gates[0])
    h = gated(h @ (second[::2, ::2] - second[::2, 1::2]).t(), gates[1])
    expected = (h @ (last[:, ::2] - last[:, 1::2]).t()).squeeze(2)
    assert torch.allclose(model(x), expected, atol=1e-5)
    assert all(bool((weight >= 0).all()) for weight in (second, last)) and bool((first < 0).any())


def test_a_gate_lets_pass_what_is_exactly_on_its_edge():
    gate = Gate(2, 2)
    gate.signs.copy_(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
    a = torch.tensor([[3.0, 1.0, 3.0, 2.0]])  # class by class: t . a is 0 for the first unit, -1 for the second
    assert torch.equal(gate(a), torch.tensor([[3.0, 0.0, 3.0, 0.0]]))


def test_weights_between_pairs_have_the_size_of_those_of_an_ordinary_network():
    """He's: a variance of 2 over the inputs, of which an ordinary network has half as many."""
    first, shared, last = (
        module.weight.detach() for module in made("fc:400x2", (50,)) if isinstance(module, nn.Linear)
    )
    assert float(first.std()) == pytest.approx(50**-0.5, rel=0.03)
    for weight in (shared[::2], last):
        ordinary = weight[:, ::2] - weight[:, 1::2]
        assert float(ordinary.square().mean()) == pytest.approx(2 / 200, rel=0.25)


def test_behind_flatten_a_pair_is_two_channels():
    model = made("conv:4,3/pool:2/fc:6", (1, 6, 6))
    pooled = model[:-3](torch.rand(5, 1, 6, 6))  # (5, classes * 4 * 2 * 2)
    shared = model[-3]
    ordinary = shared.weight.view(6, 2, 2, 4)  # units, pairs, on and off, positions
    ordinary = (ordinary[:, :, 0] - ordinary[:, :, 1]).flatten(1)
    on = pooled.view(5, CLASSES, 2, 2, 4)[:, :, :, 0].flatten(2)
    off = pooled.view(5, CLASSES, 2, 2, 4)[:, :, :, 1].flatten(2)
    assert torch.allclose(on, -off, atol=1e-6) and bool(on.any())
    assert torch.allclose(shared(pooled), (on @ ordinary.t()).flatten(1), atol=1e-5)


def test_modules_have_their_counterparts():
    model = made("conv:4,3/pool:2/conv:6,3/fc:10", dropout=0.1, normal=True)
    kinds = " ".join(type(module).__name__ for module in model)
    assert kinds == (
        "Conv2d Gate RMSNorm Dropout AvgPool2d SharedConv2d Gate RMSNorm Dropout Flatten SharedLinear Gate RMSNorm "
        "Dropout SharedLinear"
    )
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, CLASSES)
    assert vectorized(model, CLASSES) is model
    again = rebuild(describe(model))
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(torch.ones(2, 1, 8, 8)), model.eval()(torch.ones(2, 1, 8, 8)))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("fc:7", "module 1 has 7 units: a vectorised network needs an even number"),
        ("fc:8/norm:batch", "module 2 is BatchNorm1d, which has no counterpart"),
        ("conv:8,3/norm:rms", "module 1 is RMSNorm, which has no counterpart"),
        (nn.RMSNorm((6,), elementwise_affine=False), "module 1 is RMSNorm, which has no counterpart"),
        (nn.MaxPool2d(2, dilation=2), "module 1 is MaxPool2d, which has no counterpart"),
    ],
)
def test_what_has_no_counterpart_is_named(spec, words):
    with pytest.raises(pp.UserError, match=words):
        if isinstance(spec, str):
            made(spec)
        else:
            vectorized(nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), spec, nn.Flatten(), nn.Linear(8, 3)), CLASSES)


@pytest.mark.parametrize(
    "module",
    [SharedLinear(CLASSES, 4, 6), SharedConv2d(CLASSES, 4, 6, (3, 3), (2, 2), (1, 1), (1, 1))],
    ids=["linear", "convolution"],
)
def test_synapses_are_torchs_maps(module):
    torch.manual_seed(1)
    shape = (CLASSES * 4, 5, 5) if isinstance(module, SharedConv2d) else (CLASSES * 4,)
    x, basis = torch.randn(2, *shape), torch.randn(3, *shape)
    shares = torch.randn(2, 3)
    with torch.no_grad():
        made = synapse(module)
        out = made.forward(x)
        assert torch.allclose(out, module(x), atol=1e-5)
        assert torch.allclose(made.drive(x, out.clone()), 2 * out, atol=1e-5)
        mixed = made.mix(shares, made.through(basis), torch.zeros_like(out))
        assert torch.allclose(mixed, module((shares @ basis.flatten(1)).view_as(x)), atol=1e-4)
        assert made.check(shape) is None and made.check((3, *shape[1:])) is not None
    x.requires_grad_()
    post = torch.randn_like(out)
    weight_gradient, gradient = torch.autograd.grad(module(x), (module.weight, x), post)
    with torch.no_grad():
        update = [torch.empty_like(module.weight)]
        made.accumulate(post, x.detach(), update, 0.0, 1.0)
        positions = post[0, 0].numel()
        assert torch.allclose(update[0], weight_gradient / (2 * positions), atol=1e-5)
        assert torch.allclose(made.back(post, module.weight, tuple(x.shape)), gradient, atol=1e-5)


def test_it_is_cut_into_layers_of_as_many_numbers_per_unit_as_there_are_classes():
    layers = cut(made("conv:4,3/pool:2/fc:10"), (1, 8, 8), CLASSES)
    assert [layer.out_shape for layer in layers] == [(12 * 3 * 3,), (30,), (3,)]
    assert [layer.cost for layer in layers] == [12 * 9 * 36, 3 * 36 * 10, 3 * 10]
