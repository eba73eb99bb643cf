"""One layer: a trainable linear map with what follows it, and the pieces of its forward pass that a rule combines.

    x --incoming--> x --synapse--> a --activity--> h --outgoing--> what the next layer gets
      (flatten)       (W x + b)      (activation,    (pooling and
                                      norm, dropout)  what follows it)

A rule's update uses the activity h: after the activation function and before pooling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pipepita.errors import UserError
from pipepita.network.norms import BATCH, Affine, NormPass, function, is_affine, needs_pass, normalize
from pipepita.network.shared import Gate, SharedConv2d, SharedLinear
from pipepita.network.standardize import Standardize
from pipepita.network.synapse import Shape, Synapse
from pipepita.network.synapses import synapse
from pipepita.randomness import generator

# what a sample meets in each of its passes: a mask for each dropout, a `NormPass` for each normalisation that needs one
Masks = Sequence[Tensor | NormPass]

Named = tuple[str, nn.Module]


class Layer:
    """A linear or convolutional map with the modules that follow it. No parameter of it requires a gradient.

    All activities are float32. A rule may begin an autograd graph at the pre-activation or at the activity.

    Args:
        number: The layer's place in the network, from 1.
        trainable: The linear map, with its state_dict prefix.
        activity: The modules that make the activity h, with their state_dict prefixes.
        outgoing: The modules between h and the next layer, with their state_dict prefixes.
        incoming: The modules in front of the linear map, with their state_dict prefixes. Only the first layer has any.
        seed: Dropout masks are drawn from (seed, "dropout", number, step).

    Attributes:
        number: As above.
        seed: As above.
        frozen: Whether the weights are never updated.
        regression: Whether the network predicts numbers instead of classes: see `answer`.
        affines: The scales and shifts of the normalisations that have some.
        looks_ahead: Whether the linear map has other weights than the layer's own right now: see `meanwhile`.
        name: The state_dict prefix of the linear map.
        synapse: The linear map.
        item_shape: The shape of one arriving item, before `incoming` flattens it.
        in_shape: The shape of one item that the linear map takes.
        activity_shape: The shape of the activity h of one item.
        out_shape: The shape of one item that the next layer gets.
        cost: Multiplications of one item's forward pass.
    """

    def __init__(
        self,
        number: int,
        trainable: Named,
        activity: Sequence[Named] = (),
        outgoing: Sequence[Named] = (),
        incoming: Sequence[Named] = (),
        seed: int = 0,
    ) -> None:
        self.number, self.seed = number, seed
        self.frozen = self.looks_ahead = self.regression = False
        self.name, module = trainable
        self.synapse: Synapse = synapse(module)
        self._incoming, self._activity, self._outgoing = list(incoming), list(activity), list(outgoing)
        # these run twice per sample, so what does not change is found out once
        self._run_incoming, self._run_activity, self._run_outgoing = map(_Run, (incoming, activity, outgoing))
        self._mask_shapes: list[tuple[Shape, float] | None] = []  # None for a normalisation
        self._activity_masks = sum(_meets(module) for _, module in activity)
        self.affines = [
            Affine(name, module, frozen=not module.weight.requires_grad)
            for name, module in (*activity, *outgoing)
            if is_affine(module)
        ]
        for _, module in (*activity, *outgoing):
            module.requires_grad_(False)  # until here it said whether they are frozen
        self.item_shape: Shape = ()
        self.in_shape: Shape = ()
        self.activity_shape: Shape = ()
        self.out_shape: Shape = ()
        self.cost = 0

    def fit(self, shape: Shape) -> Shape:
        """Checks that items of `shape` can pass through, notes all shapes on the way, and returns the outgoing shape.

        Raises:
            UserError: A module cannot take items of the shape that it gets.
        """
        self.item_shape = tuple(shape)
        with torch.inference_mode():
            x, name = torch.zeros(1, *shape), self.name
            self._mask_shapes = []
            try:
                for name, module in self._incoming:
                    if isinstance(module, Standardize):
                        module.check(tuple(x.shape[1:]), name)
                    x = _Run([(name, module)])(x, ())
                self.in_shape, name = tuple(x.shape[1:]), self.name
                if wrong := self.synapse.check(self.in_shape):
                    raise UserError(f"module {self.name} ({type(self.synapse.module).__name__}) {wrong}")
                x = self.synapse.forward(x)
                self.cost = self.synapse.multiplications(tuple(x.shape[1:]))
                for modules in (self._activity, self._outgoing):
                    for name, module in modules:
                        if _drops(module):
                            self._mask_shapes.append((_mask_shape(module, x), float(module.p)))  # type: ignore[arg-type]
                            continue
                        if isinstance(module, BATCH):
                            module._check_input_dim(x)
                        if needs_pass(module):
                            self._mask_shapes.append(None)
                        x = _Run([(name, module)])(x, ())
                    if modules is self._activity:
                        self.activity_shape = tuple(x.shape[1:])
            except (RuntimeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise UserError(f"module {name} does not fit items of shape {tuple(x.shape[1:])}: {reason}") from None
            self.out_shape = tuple(x.shape[1:])
        return self.out_shape

    @property
    def names(self) -> list[str]:
        """The state_dict prefixes of all its modules, also of those without tensors."""
        return [name for name, _ in self._modules]

    @property
    def parameters(self) -> list[Tensor]:
        """[weight] or [weight, bias], as the optimizer updates them."""
        module = self.synapse.module
        return [module.weight] if module.bias is None else [module.weight, module.bias]

    @property
    def state(self) -> dict[str, Tensor]:
        """All tensors that belong to the layer, under the model's state_dict keys and in their order."""
        tensors: dict[str, Tensor] = {}
        for name, module in self._modules:
            if module is self.synapse.module:
                own = zip(("weight", "bias"), self.parameters, strict=False)
                tensors |= {f"{name}.{key}": value for key, value in own}
            else:
                both = (*module.named_parameters(), *module.named_buffers())
                tensors |= {f"{name}.{key}": value.detach() for key, value in both}
        return tensors

    @property
    def _modules(self) -> list[Named]:
        return [*self._incoming, (self.name, self.synapse.module), *self._activity, *self._outgoing]

    @property
    def pools(self) -> bool:
        """Whether the next layer gets something else than the activity: pooled or flattened, for example."""
        return bool(self._outgoing)

    @contextmanager
    def meanwhile(self, synapse: Synapse) -> Iterator[None]:
        """Computes with `synapse` instead of the layer's own linear map: with other weights of the same shapes."""
        own, self.synapse, self.looks_ahead = self.synapse, synapse, True
        try:
            yield
        finally:
            self.synapse, self.looks_ahead = own, False

    def to(self, device: torch.device) -> None:
        """Moves all tensors to `device`."""
        for _, module in self._modules:
            module.to(device)

    def masks(self, batch: int, step: int) -> list[Tensor | NormPass]:
        """What one sample meets in each of its passes: the dropout masks, and empty statistics.

        An entry of a mask is 0, or 1 divided by the probability of not being dropped. A mask has the shape of what it
        multiplies, (batch, ...); that of an `nn.Dropout2d` is (batch, channels, 1, 1).
        """
        device = self.parameters[0].device
        source = generator(self.seed, "dropout", self.number, step, device=device) if self._mask_shapes else None

        def drawn(shape: Shape, p: float) -> Tensor:
            return torch.empty(batch, *shape, device=device).bernoulli_(1 - p, generator=source).div_(1 - p)

        return [NormPass() if shape is None else drawn(*shape) for shape in self._mask_shapes]

    @property
    def leaves_behind_activity(self) -> bool:
        """Whether a sample leaves something at a normalisation behind the activity: see `norms.needs_pass`."""
        return any(needs_pass(module) for _, module in self._outgoing)

    def affine_passes(self, masks: Masks) -> list[NormPass]:
        """Those of `masks` that belong to the `affines`, in their order."""
        meeting = [module for _, module in (*self._activity, *self._outgoing) if _meets(module)]
        return [
            meets
            for module, meets in zip(meeting, masks, strict=True)
            if is_affine(module) and isinstance(meets, NormPass)
        ]

    @property
    def inner_affines(self) -> int:
        """How many of the `affines` are part of the activity: the first ones."""
        return sum(is_affine(module) for _, module in self._activity)

    def arrive(self, x: Tensor) -> Tensor:
        """`x`, (B, *item_shape), as the linear map takes it, (B, *in_shape): standardised and flattened, if need be."""
        return self._run_incoming(x, ())

    def activity(self, preactivation: Tensor, masks: Masks = ()) -> Tensor:
        """The activity h, (B, *activity_shape), before pooling. Without masks it is that of an evaluation."""
        return self._run_activity(preactivation, masks[: self._activity_masks])

    def outgoing(self, activity: Tensor, masks: Masks = ()) -> Tensor:
        """What the next layer gets, (B, *out_shape): `activity` after pooling and all that follows it."""
        return self._run_outgoing(activity, masks[self._activity_masks :])

    def pulled_back(self, activity: Tensor, change: Tensor, masks: Masks) -> Tensor:
        """The transposed derivative of `outgoing` at `activity`: what a change of what is sent says of the activity.

        Args:
            activity: (B, *activity_shape).
            change: (B, *out_shape).
            masks: What the sample met. They are left as they are.

        Returns:
            (B, *activity_shape).
        """
        with torch.inference_mode(False), torch.enable_grad():
            # autograd cannot use tensors that were made in inference mode, so these are copies
            start = activity.clone().requires_grad_()
            own = [meets.clone() if isinstance(meets, Tensor) else meets.copied() for meets in masks]
            return torch.autograd.grad(self.outgoing(start, own), start, change.clone())[0]

    def answer(self, scores: Tensor) -> Tensor:
        """What the network says, of the output layer's scores, or those of a read-out at this layer.

        Their softmax; or the scores themselves, if it predicts numbers. In both cases the gradient of the loss with
        respect to the scores (cross-entropy, or half the squared error) is the answer minus the target.

        Args:
            scores: (B, classes).

        Returns:
            (B, classes).
        """
        return scores if self.regression else scores.softmax(1)

    def evaluate(self, x: Tensor) -> Tensor:
        """The layer's forward pass without dropout: (B, *item_shape) to (B, *out_shape)."""
        return self.outgoing(self.activity(self.synapse.forward(self.arrive(x))))

    @property
    def vectorized(self) -> bool:
        """Whether the linear map is that of a vectorised network, behind its first layer."""
        return isinstance(self.synapse.module, SharedLinear | SharedConv2d)

    @property
    def gated(self) -> bool:
        """Whether the activity passes the gates of a vectorised network."""
        return any(isinstance(module, Gate) for _, module in self._activity)

    @property
    def width(self) -> int:
        """How many floats one item has that the linear map takes."""
        return math.prod(self.in_shape)


def _drops(module: nn.Module) -> bool:
    return isinstance(module, nn.Dropout | nn.Dropout2d)


def _mask_shape(module: nn.Module, x: Tensor) -> Shape:
    shape = tuple(x.shape[1:])
    # Dropout2d drops whole channels of an image
    return (shape[0], *(1 for _ in shape[1:])) if isinstance(module, nn.Dropout2d) else shape


def _meets(module: nn.Module) -> bool:
    """Whether a sample has an entry of its own for this module in its `Masks`."""
    return _drops(module) or needs_pass(module)


class _Run:
    """Runs modules one after the other, each with its entry of the masks if it has one."""

    def __init__(self, modules: Sequence[Named]) -> None:
        self._steps = [(module, function(module), _meets(module), _drops(module)) for _, module in modules]

    def __call__(self, x: Tensor, masks: Masks) -> Tensor:
        remaining = iter(masks)
        for module, compute, meets, drops in self._steps:
            entry = next(remaining, None) if meets else None
            if not meets:
                x = compute(x)
            elif isinstance(entry, Tensor):
                x = x * entry
            elif not drops:
                x = normalize(module, x, entry)
        return x


def again(masks: Masks) -> list[Tensor | NormPass]:
    """`masks` for another pass of the same sample that must not touch what the first one left."""
    return [meets.again() if isinstance(meets, NormPass) else meets for meets in masks]
