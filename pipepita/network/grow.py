"""Puts modules into a network that is there already: normalisations, and the standardisation of its inputs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from pipepita.errors import UserError
from pipepita.network.modules import ACTIVATION, NORM, children, role
from pipepita.network.standardize import Standardize

Shape = tuple[int, ...]


def normalized(model: nn.Sequential, item_shape: Shape) -> nn.Sequential:
    """Puts an `nn.RMSNorm` without parameters after each hidden activation that has none yet, in place.

    It divides each item's hidden activity by its own root mean square. The other modules keep their names: a norm
    after child "1" is called "1_norm".

    Args:
        model: The network; it holds no other `nn.Sequential`.
        item_shape: The shape of one input item, without the batch.

    Returns:
        `model` itself.

    Raises:
        UserError: The model holds an `nn.Sequential`, or a module that pipepita cannot train; or items of this shape
            cannot pass through it.

    Example:
        >>> import pipepita as pp
        >>> model = pp.build("fc:8", (6,), 3)
        >>> [name for name, _ in normalized(model, (6,)).named_children()]
        ['0', '1', '1_norm', '2']
    """
    before, shapes = children(model), _sent(model, item_shape)
    rebuilt: list[tuple[str, nn.Module]] = []
    for position, (name, module) in enumerate(before):
        if isinstance(module, nn.Sequential):
            raise UserError(f"normalize: module {name} is an nn.Sequential: write out its modules, or add nn.RMSNorm")
        rebuilt.append((name, module))
        follower = before[position + 1][1] if position + 1 < len(before) else None
        if role(module, name) == ACTIVATION and follower is not None and role(follower, "") != NORM:
            rebuilt.append((f"{name}_norm", nn.RMSNorm(shapes[name], elementwise_affine=False)))
    for name, _ in before:
        delattr(model, name)
    for name, module in rebuilt:
        model.add_module(name, module)
    return model.train(model.training)  # the new modules, too


def _sent(model: nn.Sequential, item_shape: Shape) -> dict[str, torch.Size]:
    """The shape, without the batch, of what each child sends on."""
    x, shapes, was_training = torch.zeros(1, *item_shape), {}, model.training
    model.eval()
    try:
        with torch.inference_mode():
            for name, module in children(model):
                x = module(x)
                shapes[name] = x.shape[1:]
    except RuntimeError as error:
        why = str(error).splitlines()[0]
        raise UserError(f"items of shape {tuple(item_shape)} cannot pass through module {name}: {why}") from None
    finally:
        model.train(was_training)
    return shapes


def standardized(model: nn.Sequential, items: torch.Tensor | Iterable[torch.Tensor]) -> nn.Sequential:
    """Puts a `Standardize` with the figures of `items` in front of `model`, in place, under the name "standardize".

    Args:
        model: The network. If it begins with a `Standardize`, that one is replaced.
        items: The training items, (N, *item_shape), float32, or blocks of them as `Standardize.of` takes them.

    Returns:
        `model` itself.

    Example:
        >>> import pipepita as pp
        >>> model = standardized(pp.build("fc:8", (6,), 3), torch.rand(20, 6))
        >>> [name for name, _ in model.named_children()]
        ['standardize', '0', '1', '2']
    """
    before = [(name, module) for name, module in children(model) if not isinstance(module, Standardize)]
    for name, _ in children(model):
        delattr(model, name)
    for name, module in [("standardize", Standardize.of(items)), *before]:
        model.add_module(name, module)
    return model
