"""The torch modules that a network may hold: which role each plays, and how to write it down as data.

There is one entry per module type. Its arguments are names of both constructor arguments and attributes of the module,
so a network can be stored as JSON and rebuilt without pickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from pipepita.errors import UserError, unknown
from pipepita.network.shared import Gate, SharedConv2d, SharedLinear
from pipepita.network.standardize import Standardize

INPUT, SYNAPSE, ACTIVATION, NORM, DROPOUT, POOL, SHAPE, SOFTMAX = (
    "input",  # before the first layer
    "synapse",  # the trainable linear map that begins a layer
    "activation",
    "norm",
    "dropout",
    "pool",
    "shape",
    "softmax",  # only after the output layer, where the rule applies it anyway
)


@dataclass(frozen=True)
class Kind:
    """The role that a module type plays in a layer, and the arguments that rebuild it."""

    role: str
    arguments: tuple[str, ...] = ()


_CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")

KINDS: dict[type[nn.Module], Kind] = {
    Standardize: Kind(INPUT, ("shape",)),
    nn.Linear: Kind(SYNAPSE, ("in_features", "out_features", "bias")),
    nn.Conv2d: Kind(SYNAPSE, (*_CONV, "padding_mode")),
    SharedLinear: Kind(SYNAPSE, ("classes", "inputs", "units")),
    SharedConv2d: Kind(SYNAPSE, ("classes", "inputs", "units", "kernel_size", "stride", "padding", "dilation")),
    Gate: Kind(ACTIVATION, ("classes", "units")),
    nn.Identity: Kind(ACTIVATION),
    nn.ReLU: Kind(ACTIVATION),
    nn.ReLU6: Kind(ACTIVATION),
    nn.LeakyReLU: Kind(ACTIVATION, ("negative_slope",)),
    nn.ELU: Kind(ACTIVATION, ("alpha",)),
    nn.CELU: Kind(ACTIVATION, ("alpha",)),
    nn.SELU: Kind(ACTIVATION),
    nn.GELU: Kind(ACTIVATION, ("approximate",)),
    nn.SiLU: Kind(ACTIVATION),
    nn.Mish: Kind(ACTIVATION),
    nn.Hardswish: Kind(ACTIVATION),
    nn.Hardsigmoid: Kind(ACTIVATION),
    nn.Hardtanh: Kind(ACTIVATION, ("min_val", "max_val")),
    nn.Sigmoid: Kind(ACTIVATION),
    nn.LogSigmoid: Kind(ACTIVATION),
    nn.Tanh: Kind(ACTIVATION),
    nn.Softplus: Kind(ACTIVATION, ("beta", "threshold")),
    nn.Softsign: Kind(ACTIVATION),
    nn.BatchNorm1d: Kind(NORM, ("num_features", "eps", "momentum", "affine", "track_running_stats")),
    nn.BatchNorm2d: Kind(NORM, ("num_features", "eps", "momentum", "affine", "track_running_stats")),
    nn.LayerNorm: Kind(NORM, ("normalized_shape", "eps", "elementwise_affine", "bias")),
    nn.GroupNorm: Kind(NORM, ("num_groups", "num_channels", "eps", "affine")),
    nn.RMSNorm: Kind(NORM, ("normalized_shape", "eps", "elementwise_affine")),
    nn.Dropout: Kind(DROPOUT, ("p",)),
    nn.Dropout2d: Kind(DROPOUT, ("p",)),
    nn.MaxPool2d: Kind(POOL, ("kernel_size", "stride", "padding", "dilation", "ceil_mode")),
    nn.AvgPool2d: Kind(
        POOL, ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    ),
    nn.AdaptiveMaxPool2d: Kind(POOL, ("output_size",)),
    nn.AdaptiveAvgPool2d: Kind(POOL, ("output_size",)),
    nn.Flatten: Kind(SHAPE, ("start_dim", "end_dim")),
    nn.Softmax: Kind(SOFTMAX, ("dim",)),
}
_NAMES = {kind.__name__: kind for kind in KINDS}
# What the command line's `--activation` may name: the activations that need no argument.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    t.__name__.lower(): t for t, kind in KINDS.items() if kind.role == ACTIVATION and t is not Gate
}


def role(module: nn.Module, name: str) -> str:
    """The role that `module` plays. Raises `UserError` if no rule can train a network that holds it."""
    kind = KINDS.get(type(module))
    if kind is None:
        raise UserError(
            f"module {name} is {type(module).__name__}, which pipepita cannot train: "
            f"it takes {', '.join(sorted(_NAMES))}"
        )
    return kind.role


def children(model: nn.Sequential) -> list[tuple[str, nn.Module]]:
    """The direct children in order. (`named_children` would leave out a module that occurs a second time.)"""
    return [(name, module) for name, module in model._modules.items() if module is not None]


def leaves(model: nn.Sequential, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """The modules of `model` in order, with their state_dict prefixes; those of a nested `nn.Sequential` too."""
    modules: list[tuple[str, nn.Module]] = []
    for name, module in children(model):
        if isinstance(module, nn.Sequential):
            modules += leaves(module, f"{prefix}{name}.")
        else:
            modules.append((f"{prefix}{name}", module))
    return modules


def describe(model: nn.Sequential) -> list[dict[str, Any]]:
    """`model` as JSON data, without its weights: one dict per child, with its type and arguments.

    A nested `nn.Sequential` has its own children instead. Raises `UserError` for a module that pipepita cannot train.

    Example:
        >>> describe(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))[0]
        {'name': '0', 'type': 'Linear', 'in_features': 3, 'out_features': 2, 'bias': True}
        >>> rebuild(describe(nn.Sequential(nn.Linear(3, 2), nn.ReLU())))[1]
        ReLU()
    """
    return [{"name": name, **_describe(module, name)} for name, module in children(model)]


def _describe(module: nn.Module, name: str) -> dict[str, Any]:
    if isinstance(module, nn.Sequential):
        return {"children": describe(module)}
    role(module, name)
    arguments = {key: getattr(module, key) for key in KINDS[type(module)].arguments}
    if "bias" in arguments:
        arguments["bias"] = arguments["bias"] is not None
    if frozen(module, name):
        arguments["frozen"] = True
    return {"type": type(module).__name__, **arguments}


def frozen(module: nn.Module, name: str) -> bool:
    """Whether the weights of `module` are frozen (`requires_grad_(False)`). Raises `UserError` if only some are.

    A layer with frozen weights takes part in every pass, and is never updated.
    """
    wants = {parameter.requires_grad for parameter in module.parameters()}
    if len(wants) > 1:
        raise UserError(f"module {name} has frozen and other weights: freeze all of them or none (requires_grad_)")
    return wants == {False}


def rebuild(description: list[dict[str, Any]]) -> nn.Sequential:
    """The inverse of `describe`, with weights as torch draws them. Raises `UserError` for a type that is not known."""
    model = nn.Sequential()
    for entry in description:
        arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
        name = str(arguments.pop("name"))
        if "children" in arguments:
            model.add_module(name, rebuild(entry["children"]))
            continue
        kind, is_frozen = arguments.pop("type"), arguments.pop("frozen", False)
        if kind not in _NAMES:
            raise unknown("module type", kind, _NAMES)
        model.add_module(name, _NAMES[kind](**arguments).requires_grad_(not is_frozen))
    return model
