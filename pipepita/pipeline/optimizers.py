"""Optimizers turn a layer's local product into new weights. There is one per layer.

`sgd` (with momentum) is our own: it adds the product directly to the velocity, which saves one pass over the weights
compared with `.grad` and `torch.optim.SGD`. Up to rounding it equals the latter. Every other optimizer of `torch.optim`
works through `.grad`, with torch's fused kernel if there is one.

    sgd | sgd:momentum=0.5 | adam | adamw:weight_decay=0.01 | sgd:momentum=0.9,nesterov=true | adam:betas=[0.9,0.99]
"""

from __future__ import annotations

import inspect
import json
import re
from typing import Any, Protocol

import torch
from torch import Tensor

from pipepita.errors import UserError, unknown
from pipepita.rules.learner import Product


class Accumulates(Protocol):
    """What turns products into updates."""

    def accumulate(self, post: Tensor, pre: Tensor, into: list[Tensor], decay: float, scale: float) -> None:
        """into <- decay * into + scale * product, as `Synapse.accumulate` describes."""


class Trainable(Protocol):
    """What an optimizer updates: a layer, a head's map, or the scale and shift of a normalisation.

    Attributes:
        frozen: Whether it is never updated.
    """

    frozen: bool

    @property
    def name(self) -> str:
        """The state_dict prefix of its tensors."""

    @property
    def synapse(self) -> Accumulates:
        """What turns products into updates of the parameters."""

    @property
    def parameters(self) -> list[Tensor]:
        """[weight] or [weight, bias]."""


class Optimizer(Protocol):
    """Updates the weights of one layer in place.

    Attributes:
        lr: The learning rate, which may be changed between updates.

    Example:
        >>> import pipepita as pp
        >>> from pipepita.network.cut import cut
        >>> layer = cut(pp.build("fc:5", (4,), 3), (4,), 3)[0]
        >>> optimizer = make("sgd:momentum=0.5", layer, lr=0.1)
        >>> before = layer.parameters[0].clone()
        >>> optimizer.step(Product(post=torch.ones(8, 5), pre=torch.ones(8, 4), scale=1.0))
        >>> torch.allclose(before - layer.parameters[0], torch.tensor(0.1))
        True
        >>> optimizer.state()["weight.velocity"].shape
        torch.Size([5, 4])
    """

    lr: float

    def step(self, product: Product) -> None:
        """Applies one update.

        Args:
            product: The update, which is averaged over the batch.
        """

    def state(self) -> dict[str, Tensor]:
        """The optimizer's own tensors, by names like "weight.velocity". They are not copies."""

    def load(self, state: dict[str, Tensor]) -> None:
        """Continues from a state.

        Args:
            state: What `state` of an optimizer of the same kind returned for the same layer.

        Raises:
            KeyError: A tensor is missing.
        """


class MomentumSGD:
    """SGD as in torch: v <- momentum v + dW, W <- W - lr v."""

    def __init__(self, layer: Trainable, lr: float, momentum: float = 0.9) -> None:
        self.lr, self._momentum, self._synapse, self._parameters = lr, momentum, layer.synapse, layer.parameters
        self._velocities = [torch.zeros_like(parameter) for parameter in self._parameters]

    def step(self, product: Product) -> None:
        post, pre, scale = product
        self._synapse.accumulate(post, pre, self._velocities, self._momentum, scale)
        for parameter, velocity in zip(self._parameters, self._velocities, strict=True):
            parameter.add_(velocity, alpha=-self.lr)

    def state(self) -> dict[str, Tensor]:
        return {f"{key}.velocity": v for key, v in zip(("weight", "bias"), self._velocities, strict=False)}

    def load(self, state: dict[str, Tensor]) -> None:
        for key, velocity in self.state().items():
            velocity.copy_(state[key])


class FrozenOptimizer:
    """The optimizer of a frozen layer, which changes nothing."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def step(self, product: Product) -> None:
        """The weights stay as they are."""

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """There is nothing to load."""


class TorchOptimizer:
    """Any `torch.optim` optimizer, through `.grad`."""

    def __init__(self, layer: Trainable, lr: float, kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> None:
        self._layer = layer
        for parameter in layer.parameters:
            parameter.grad = torch.zeros_like(parameter)
        self._grads = [parameter.grad for parameter in layer.parameters if parameter.grad is not None]
        if layer.parameters[0].device.type == "cpu":  # on a GPU torch chooses well
            options = _fused(kind, options)
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
        tensors: dict[str, Tensor] = {}
        for key, parameter in zip(("weight", "bias"), self._layer.parameters, strict=False):
            for name, value in self._inner.state[parameter].items():
                if value is not None:
                    tensors[f"{key}.{name}"] = value if isinstance(value, Tensor) else torch.tensor(value)
        return tensors

    def load(self, state: dict[str, Tensor]) -> None:
        by_parameter: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            place = ("weight", "bias").index(kind)
            parameter = self._layer.parameters[place]
            # copies with the memory layout of the weights, which may be transposed: fused kernels rely on equal layouts
            own = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value.clone()
            by_parameter.setdefault(place, {})[name] = own
        self._inner.load_state_dict({**self._inner.state_dict(), "state": by_parameter})


def _fused(kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> dict[str, Any]:
    """The options, with torch's fused kernel if there is one and they do not say how: one pass over the memory."""
    choosable = {"fused", "foreach"} <= set(inspect.signature(kind).parameters)
    return options if not choosable or {"fused", "foreach"} & set(options) else {**options, "fused": True}


def _known() -> dict[str, type[torch.optim.Optimizer]]:
    # LBFGS needs a closure that evaluates the loss again, and SparseAdam needs sparse gradients: neither exists here
    return {
        name.lower(): kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type)
        and issubclass(kind, torch.optim.Optimizer)
        and name not in ("Optimizer", "LBFGS", "SparseAdam")
    }


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """Reads an optimizer's text.

    Args:
        spec: A name and perhaps options, like "adam:weight_decay=0.1". SGD's momentum is 0.9 (as in the paper) unless
            it is given.

    Returns:
        The name in lower case, and the options.

    Raises:
        UserError: The name is unknown, an option cannot be read, or one is "lr". `check` says whether they make sense.

    Example:
        >>> parse("adam:betas=[0.9,0.99],weight_decay=0.1"), parse("sgd")
        (('adam', {'betas': [0.9, 0.99], 'weight_decay': 0.1}), ('sgd', {'momentum': 0.9}))
    """
    name, _, rest = spec.partition(":")
    name, options = name.strip().lower(), {}
    if name not in _known():
        raise unknown("optimizer", name, _known())
    for part in filter(None, re.split(r",(?![^[]*\])", rest)):  # not at commas within brackets
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
    """The momentum of SGD; 0 for another optimizer. Raises `UserError` as `parse` does."""
    name, options = parse(spec)
    return float(options.get("momentum", 0.0)) if name == "sgd" else 0.0


def check(spec: str) -> None:
    """Raises `UserError` unless `spec` is an optimizer with options that it takes and that make sense here."""
    name, options = parse(spec)
    momentum = options.get("momentum", 0.0)
    if isinstance(momentum, bool) or not isinstance(momentum, int | float) or not 0 <= momentum < 1:
        raise UserError(f"optimizer {spec!r}: momentum {momentum} is not in [0, 1)")
    for option in ("maximize", "differentiable", "capturable"):
        if options.get(option):
            raise UserError(f"optimizer {spec!r}: {option} has no meaning for local updates")
    if _ours(name, options):
        return  # one of torch would import its compiler, which takes seconds and makes a temporary folder
    defaults = {
        option: parameter.default
        for option, parameter in inspect.signature(_known()[name]).parameters.items()
        if option not in ("self", "params", "lr")
    }
    if strange := next((option for option in options if option not in defaults), None):
        raise unknown(f"option of optimizer {name}", strange, defaults)
    try:
        _known()[name]([torch.zeros(2, 2)], lr=0.1, **options)  # type: ignore[call-arg]
    except (TypeError, ValueError, RuntimeError, AssertionError, LookupError, ArithmeticError, RecursionError) as error:
        usual = ", ".join(f"{option}={json.dumps(defaults[option])}" for option in options)
        raise UserError(
            f"optimizer {spec!r} cannot be made: {' '.join(str(error).split())}; torch's own are {usual}"
        ) from None


def _ours(name: str, options: dict[str, Any]) -> bool:
    """Whether these are for `MomentumSGD`."""
    return name == "sgd" and set(options) == {"momentum"}


def make(spec: str, layer: Trainable, lr: float) -> Optimizer:
    """Makes the optimizer `spec` for `layer`. Raises `UserError` if it is unknown or does not take the options."""
    check(spec)
    name, options = parse(spec)
    if layer.frozen:
        return FrozenOptimizer(lr)
    if _ours(name, options):
        return MomentumSGD(layer, lr, options["momentum"])
    try:
        return TorchOptimizer(layer, lr, _known()[name], options)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer {spec!r}: {error}") from None
