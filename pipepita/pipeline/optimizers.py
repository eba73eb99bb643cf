"""Optimizers, one a layer: what turns a local product into new weights.

`sgd` (with momentum) is our own because the product can be summed straight into the velocity: one pass over the
weights less than `.grad` and `torch.optim.SGD`, to which it is equal up to rounding. Every other `torch.optim`
optimizer works through `.grad`.

    sgd | sgd:momentum=0.5 | adam | adamw:weight_decay=0.01 | sgd:momentum=0.9,nesterov=true
"""

from __future__ import annotations

import json
from typing import Any, Protocol

import torch
from torch import Tensor

from pipepita.errors import UserError, unknown
from pipepita.network.layer import Layer
from pipepita.rules.learner import Product


class Optimizer(Protocol):
    """Updates one layer in place."""

    lr: float

    def step(self, product: Product) -> None:
        """Applies one update from `product`, averaged over its batch."""

    def state(self) -> dict[str, Tensor]:
        """The optimizer's own tensors by name ("weight.velocity"), for checkpoints and comparisons."""

    def load(self, state: dict[str, Tensor]) -> None:
        """Goes on from what `state` gave, of an optimizer of this kind for this layer."""


class MomentumSGD:
    """SGD as in torch: v <- momentum v + dW, W <- W - lr v."""

    def __init__(self, layer: Layer, lr: float, momentum: float = 0.9) -> None:
        self.lr, self._momentum, self._layer = lr, momentum, layer
        self._velocities = [torch.zeros_like(parameter) for parameter in layer.parameters]

    def step(self, product: Product) -> None:
        post, pre, scale = product
        self._layer.synapse.accumulate(post, pre, self._velocities, self._momentum, scale)
        for parameter, velocity in zip(self._layer.parameters, self._velocities, strict=True):
            parameter.add_(velocity, alpha=-self.lr)

    def state(self) -> dict[str, Tensor]:
        return {f"{key}.velocity": v for key, v in zip(("weight", "bias"), self._velocities, strict=False)}

    def load(self, state: dict[str, Tensor]) -> None:
        for key, velocity in self.state().items():
            velocity.copy_(state[key])


class Still:
    """Of a frozen layer: changes nothing."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def step(self, product: Product) -> None:
        """The weights stay as they are."""

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """There is nothing to go on from."""


class TorchOptimizer:
    """Any `torch.optim` optimizer, through `.grad`."""

    def __init__(self, layer: Layer, lr: float, kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> None:
        self._layer = layer
        for parameter in layer.parameters:
            parameter.grad = torch.zeros_like(parameter)
        self._grads = [parameter.grad for parameter in layer.parameters if parameter.grad is not None]
        self._inner = kind(layer.parameters, lr=lr, **options)  # type: ignore[call-arg]

    @property
    def lr(self) -> float:
        return self._inner.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self._inner.param_groups:
            group["lr"] = value

    def step(self, product: Product) -> None:
        post, pre, scale = product
        self._layer.synapse.accumulate(post, pre, self._grads, 0.0, scale)
        self._inner.step()

    def state(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for key, parameter in zip(("weight", "bias"), self._layer.parameters, strict=False):
            for name, value in self._inner.state[parameter].items():
                if value is not None:
                    found[f"{key}.{name}"] = value if isinstance(value, Tensor) else torch.tensor(value)
        return found

    def load(self, state: dict[str, Tensor]) -> None:
        found: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            place = ("weight", "bias").index(kind)
            parameter = self._layer.parameters[place]
            # copies, and laid out like the weights, which may be transposed: a fused kernel pairs them as they lie
            own = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value.clone()
            found.setdefault(place, {})[name] = own
        self._inner.load_state_dict({**self._inner.state_dict(), "state": found})


def _known() -> dict[str, type[torch.optim.Optimizer]]:
    # LBFGS wants a closure that evaluates the loss again; SparseAdam wants sparse gradients: neither exists here
    return {
        name.lower(): kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type)
        and issubclass(kind, torch.optim.Optimizer)
        and name not in ("Optimizer", "LBFGS", "SparseAdam")
    }


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """`"adam:weight_decay=0.1"` -> `("adam", {"weight_decay": 0.1})`; `UserError` for what cannot be read.

    SGD's momentum is 0.9 unless it is given (the paper's, and the default).
    """
    name, _, rest = spec.partition(":")
    name, options = name.strip().lower(), {}
    if name not in _known():
        raise unknown("optimizer", name, _known())
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        try:
            options[key.strip()] = json.loads(value)
        except (ValueError, RecursionError):
            equals = ""
        if not equals or key.strip() == "lr":
            raise UserError(
                f"optimizer {spec!r}: cannot use {part!r}; write it like sgd:momentum=0.9 (the rate is --lr)"
            )
    if name == "sgd":
        options.setdefault("momentum", 0.9)
    return name, options


def momentum(spec: str) -> float:
    """How much of the last update an SGD of this spec keeps; 0 for another optimizer."""
    name, options = parse(spec)
    return float(options.get("momentum", 0.0)) if name == "sgd" else 0.0


def check(spec: str) -> None:
    """`UserError` unless `spec` names an optimizer with options that it takes and that make sense here."""
    name, options = parse(spec)
    momentum = options.get("momentum", 0.0)
    if isinstance(momentum, bool) or not isinstance(momentum, int | float) or not 0 <= momentum < 1:
        raise UserError(f"optimizer {spec!r}: momentum {momentum} is not in [0, 1)")
    for option in ("maximize", "differentiable", "capturable"):
        if options.get(option):
            raise UserError(f"optimizer {spec!r}: {option} has no meaning for local updates")
    if _ours(name, options):
        return  # torch's would import its compiler: seconds, and a folder in the temporary directory
    try:
        _known()[name]([torch.zeros(2, 2)], lr=0.1, **options)  # type: ignore[call-arg]
    except (TypeError, ValueError, RuntimeError, AssertionError, LookupError, ArithmeticError, RecursionError) as error:
        raise UserError(f"optimizer {spec!r} cannot be made: {error!r}") from None


def _ours(name: str, options: dict[str, Any]) -> bool:
    """Whether these are for `MomentumSGD`."""
    return name == "sgd" and set(options) == {"momentum"}


def make(spec: str, layer: Layer, lr: float) -> Optimizer:
    """The optimizer `spec` for `layer`; `UserError` for options that the torch optimizer does not take."""
    check(spec)
    name, options = parse(spec)
    if layer.frozen:
        return Still(lr)
    if _ours(name, options):
        return MomentumSGD(layer, lr, options["momentum"])
    try:
        return TorchOptimizer(layer, lr, _known()[name], options)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer {spec!r}: {error}") from None
