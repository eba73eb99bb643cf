"""Normalisations: their statistics, which a sample meets in all of its passes, and their trainable scales and shifts.

    x --normalize--> n --scale and shift--> y          y = scale * n + shift

Batch normalisation takes its statistics once per sample, in the standard pass, and uses them again in the sample's
other passes, as a dropout mask is. Its running statistics move in the standard pass, too: once per sample, in order.

To add a normalisation, write one function here and one entry in `_PLAIN`, and its entry in `modules.KINDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipepita.errors import UserError

BATCH = (nn.BatchNorm1d, nn.BatchNorm2d)


class NormPass:
    """What one sample meets at one normalisation, and what it leaves there.

    Attributes:
        statistics: Mean and inverse standard deviation of each channel or feature in the batch, once they are known;
            of batch normalisation only.
        normalized: n of the sample's latest pass, (B, ...), without a graph.
        output: y of the sample's latest pass, with the graph that it was computed in.
    """

    __slots__ = ("normalized", "output", "statistics")

    def __init__(self, statistics: tuple[Tensor, Tensor] | None = None) -> None:
        self.statistics = statistics
        self.normalized: Tensor | None = None
        self.output: Tensor | None = None

    def again(self) -> NormPass:
        """For another pass of the same sample."""
        return NormPass(self.statistics)

    def copied(self) -> NormPass:
        """The same, with statistics of its own."""
        return NormPass(self.statistics and (self.statistics[0].clone(), self.statistics[1].clone()))


class Affine:
    """The scale and the shift of a normalisation, as an optimizer updates them: like a layer.

    Args:
        name: The state_dict prefix of the normalisation.
        module: The normalisation.
        frozen: Whether they are never updated.

    Attributes:
        name: As above.
        module: As above.
        frozen: As above.
    """

    def __init__(self, name: str, module: nn.Module, *, frozen: bool) -> None:
        self.name, self.module, self.frozen = name, module, frozen

    @property
    def synapse(self) -> Affine:
        """What accumulates products: itself."""
        return self

    @property
    def parameters(self) -> list[Tensor]:
        """[scale] or [scale, shift]."""
        return [parameter for parameter in (self.module.weight, _shift(self.module)) if parameter is not None]  # type: ignore[misc]

    def _shared(self, y: Tensor) -> list[int]:
        return [dim for dim, size in enumerate(_view(self.module, y)) if size == 1 and dim > 0]

    def positions(self, y: Tensor) -> int:
        """How many positions of `y`, (B, ...), share a scale: those of an image, if there is one scale per channel."""
        return math.prod(y.shape[dim] for dim in self._shared(y))

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        """into <- decay * into + scale * (post * pre and post, averaged over the batch), in place.

        post: (B, *shape of y), the postsynaptic factor. pre: n. For images with one scale per channel they are averaged
        over the positions, too, as for a convolution.
        """
        dims = self._shared(post)
        scale /= len(post) * self.positions(post)
        for tensor, product in zip(into, (post * pre, post), strict=False):
            change = product.sum([0, *dims]).view_as(tensor)
            if decay == 0:
                torch.mul(change, scale, out=tensor)
            else:
                tensor.mul_(decay).add_(change, alpha=scale)


def needs_pass(module: nn.Module) -> bool:
    """Whether a sample leaves something at this module: it takes statistics, or has a scale (even a frozen one)."""
    return isinstance(module, BATCH) or is_affine(module)


def is_affine(module: nn.Module) -> bool:
    """Whether this module is a normalisation with a scale."""
    return isinstance(module, (*BATCH, *_PLAIN)) and module.weight is not None


def normalize(module: nn.Module, x: Tensor, meets: NormPass | None) -> Tensor:
    """The module's output for `x`, (B, ...). Without a `NormPass` it is that of an evaluation."""
    normalized = _batch(module, x, meets) if isinstance(module, BATCH) else _PLAIN[type(module)](module, x)
    weight, bias = cast("Tensor | None", module.weight), _shift(module)
    output = normalized
    if weight is not None:
        view = _view(module, x)
        # copies, because the tensors are updated in place while the sample is in flight
        weight = weight.clone().view(view)
        output = normalized * weight if bias is None else torch.addcmul(bias.clone().view(view), normalized, weight)
    if meets is not None:
        meets.normalized, meets.output = normalized.detach(), output
    return output


def function(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """What computes `module`, at which a sample leaves nothing: the module itself, if it is no normalisation."""
    return partial(_PLAIN[type(module)], module) if type(module) in _PLAIN else module


def _shift(module: nn.Module) -> Tensor | None:
    return cast("Tensor | None", getattr(module, "bias", None))


def _view(module: nn.Module, x: Tensor) -> tuple[int, ...]:
    """The shape in which a scale meets `x`: with 1 where all positions share it."""
    shape = cast(Tensor, module.weight).shape
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return (1,) * (x.ndim - len(shape)) + tuple(shape)
    return (1, len(cast(Tensor, module.weight))) + (1,) * (x.ndim - 2)


def _batch(module: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor, meets: NormPass | None) -> Tensor:
    running_mean, running_var, seen = module.running_mean, module.running_var, module.num_batches_tracked
    assert running_mean is not None and running_var is not None and seen is not None
    if meets is None:
        mean, inverse = running_mean, torch.rsqrt(running_var + module.eps)
    elif meets.statistics is not None:
        mean, inverse = meets.statistics
    else:
        seen.add_(1)
        share = 1 / float(seen) if module.momentum is None else module.momentum
        normalized, mean, inverse = torch.native_batch_norm(
            x, None, None, running_mean, running_var, True, share, module.eps
        )
        meets.statistics = mean.detach(), inverse.detach()
        if normalized.requires_grad:  # for the gradient through the statistics
            return normalized
    shape = (1, -1) + (1,) * (x.ndim - 2)
    # in every pass alike, so that equal activities stay equal to the bit
    return torch.addcmul((-mean * inverse).view(shape), x, inverse.view(shape))


def _layer(module: nn.LayerNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x, module.normalized_shape, eps=module.eps)


def _group(module: nn.GroupNorm, x: Tensor) -> Tensor:
    return F.group_norm(x, module.num_groups, eps=module.eps)


def _rms(module: nn.RMSNorm, x: Tensor) -> Tensor:
    if x.requires_grad:
        return cast(Tensor, _RootMeanSquare.apply(x, module.normalized_shape, module.eps))
    return F.rms_norm(x, module.normalized_shape, eps=module.eps)


class _RootMeanSquare(torch.autograd.Function):
    """`F.rms_norm` with a gradient that takes a third of the time of torch's: n = r x, dx = r (dn - n mean(n dn))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shape: tuple[int, ...], eps: float | None) -> Tensor:
        normalized = F.rms_norm(x, shape, eps=eps)
        ctx.save_for_backward(x, normalized)
        ctx.dims, ctx.eps = list(range(-len(shape), 0)), torch.finfo(x.dtype).eps if eps is None else eps
        return normalized

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (change,), (x, normalized) = gradients, ctx.saved_tensors
        inverse = x.square().mean(ctx.dims, keepdim=True).add_(ctx.eps).rsqrt_()
        along = (change * normalized).mean(ctx.dims, keepdim=True)
        return torch.addcmul(change, normalized, along, value=-1).mul_(inverse), None, None


_PLAIN: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.LayerNorm: _layer,
    nn.GroupNorm: _group,
    nn.RMSNorm: _rms,
}


def check_norm(name: str, module: nn.Module) -> None:
    """Raises `UserError` if batch normalisation keeps no running statistics, which an evaluation needs."""
    if isinstance(module, BATCH) and module.running_mean is None:
        raise UserError(f"module {name} is {type(module).__name__} without running statistics: evaluations need them")


def check_batches(modules: list[tuple[str, nn.Module]], items: int, batch_size: int) -> None:
    """Raises `UserError` if batch normalisation would meet a batch of one item.

    modules: with their names. items: how many there are; 0 if that is not known.
    """
    for name, module in modules:
        if not isinstance(module, BATCH):
            continue
        kind = type(module).__name__
        cure = "use nn.RMSNorm, which normalises each item by itself"
        if batch_size == 1:
            raise UserError(f"batch_size 1: module {name} is {kind}, which a single item says nothing to; {cure}")
        if items and items % batch_size == 1:
            raise UserError(
                f"batch_size {batch_size}: the last of {items} items is a batch of its own, which says nothing to "
                f"module {name} ({kind}); take another batch size, or {cure}"
            )
