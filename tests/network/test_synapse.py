"""Local products against explicit loops, for whatever `nn.Conv2d` takes."""

import copy
import itertools

import pytest
import torch
from torch import nn

from pipepita.network.synapse import ConvSynapse, LinearSynapse

CONVS = {
    "plain": {},
    "stride": {"stride": (2, 3)},
    "padding": {"padding": (2, 1)},
    "same, even kernel": {"kernel_size": (4, 2), "padding": "same"},
    "valid": {"padding": "valid"},
    "dilation": {"dilation": 2},
    "groups": {"groups": 2},
    "depthwise": {"groups": 4, "out_channels": 8},
    "reflect": {"padding": 2, "padding_mode": "reflect"},
    "circular, stride": {"padding": 1, "padding_mode": "circular", "stride": 2},
    "replicate, same": {"padding": "same", "padding_mode": "replicate", "dilation": 2},
    "everything": {"stride": 2, "padding": 2, "dilation": 2, "groups": 2, "kernel_size": (3, 2)},
    "one channel out": {"out_channels": 1},
    "no bias": {"bias": False},
}


def conv(**options) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(4, **{"out_channels": 6, "kernel_size": 3, **options}).requires_grad_(False)


def looped(module: nn.Conv2d, post: torch.Tensor, pre: torch.Tensor) -> torch.Tensor:
    """Section 3.3, patch by patch: the sum over positions divided by their number, averaged over the batch."""
    kernel = module.kernel_size
    sides = [(0, 0), (0, 0)]
    if module.padding == "same":
        totals = [d * (k - 1) for d, k in zip(module.dilation, kernel, strict=True)]
        sides = [(t // 2, t - t // 2) for t in totals]
    elif not isinstance(module.padding, str):
        sides = [(p, p) for p in module.padding]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = nn.functional.pad(pre, [*sides[1], *sides[0]], mode=mode)
    total = torch.zeros_like(module.weight)
    out_group, in_group = module.out_channels // module.groups, module.in_channels // module.groups
    height, width = post.shape[2:]
    for item, i, j, o in itertools.product(range(len(post)), range(height), range(width), range(module.out_channels)):
        first = (o // out_group) * in_group
        rows = [i * module.stride[0] + a * module.dilation[0] for a in range(kernel[0])]
        columns = [j * module.stride[1] + b * module.dilation[1] for b in range(kernel[1])]
        patch = padded[item, first : first + in_group][:, rows][:, :, columns]
        total[o] += post[item, o, i, j] * patch
    return total / (height * width) / len(post)


@pytest.mark.parametrize("name", CONVS)
def test_convolution(name):
    module = conv(**CONVS[name])
    original = copy.deepcopy(module)
    synapse, pre = ConvSynapse(module), torch.randn(3, 4, 9, 8)
    torch.testing.assert_close(synapse.forward(pre), original(pre))
    post = torch.randn_like(original(pre))
    into = [torch.zeros_like(parameter) for parameter in module.parameters()]
    synapse.accumulate(post, pre, into, 0.0, -1.0)
    torch.testing.assert_close(into[0], -looped(original, post, pre), atol=1e-5, rtol=1e-4)
    if module.bias is not None:
        torch.testing.assert_close(into[1], -post.mean((0, 2, 3)))


@pytest.mark.parametrize("name", CONVS)
def test_convolution_of_a_mixture(name):
    module = conv(**CONVS[name])
    synapse, x, basis, shares = ConvSynapse(module), torch.randn(7, 4, 9, 8), torch.randn(5, 4, 9, 8), torch.randn(7, 5)
    mixture = (shares @ basis.flatten(1)).view_as(x)
    expected = synapse.forward(x + mixture)
    preactivation, through = synapse.forward_and_through(x, basis)
    torch.testing.assert_close(preactivation, synapse.forward(x))
    torch.testing.assert_close(synapse.mix(shares, through, preactivation), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(synapse.drive(mixture, synapse.forward(x)), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias):
    module = nn.Linear(5, 3, bias=bias).requires_grad_(False)
    original = copy.deepcopy(module)
    synapse = LinearSynapse(module)
    x, basis, shares, post = torch.randn(7, 5), torch.randn(4, 5), torch.randn(7, 4), torch.randn(7, 3)
    torch.testing.assert_close(synapse.forward(x), original(x))
    expected = original(x + shares @ basis)
    preactivation, through = synapse.forward_and_through(x, basis)
    torch.testing.assert_close(through, synapse.through(basis))
    torch.testing.assert_close(synapse.mix(shares, through, preactivation), expected)
    torch.testing.assert_close(synapse.drive(shares @ basis, synapse.forward(x)), expected)
    start = [torch.randn_like(parameter) for parameter in module.parameters()]
    into = [value.clone() for value in start]
    synapse.accumulate(post, x, into, 0.9, 1.0)
    torch.testing.assert_close(into[0], 0.9 * start[0] + post.t() @ x / 7)
    if bias:
        torch.testing.assert_close(into[1], 0.9 * start[1] + post.mean(0))


def test_decay_zero_ignores_what_was_there():
    synapse = LinearSynapse(nn.Linear(5, 3).requires_grad_(False))
    into = [torch.full((3, 5), float("nan")), torch.full((3,), float("nan"))]
    synapse.accumulate(torch.ones(2, 3), torch.ones(2, 5), into, 0.0, 1.0)
    assert torch.equal(into[0], torch.ones(3, 5))
    assert torch.equal(into[1], torch.ones(3))
