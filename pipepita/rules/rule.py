"""The protocol of a learning rule, by which stages, wiring and schedules serve any rule. It needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from pipepita.rules import options
from pipepita.rules.defaults import Defaults
from pipepita.schedule import BACKWARD, BROADCAST, MODULATED, STANDARD, Flow
from pipepita.schedule.topology import Reads

if TYPE_CHECKING:
    from torch import nn

    from pipepita.network.layer import Layer
    from pipepita.rules.conditions import Conditions
    from pipepita.rules.learner import Learner

__all__ = ["Reads", "Rule"]

_PASSES = {
    Flow.UP: (STANDARD, MODULATED),
    Flow.DOWN: (STANDARD, BACKWARD),
    Flow.ALL: (STANDARD, BROADCAST),
    Flow.NONE: (STANDARD,),
}


class Rule(Protocol):
    """A learning rule: which passes a sample makes, how they travel, and what a layer does in them.

    Write a rule as a frozen dataclass that inherits from this class. It must define `flow` and `learner`; everything
    else has a default. The fields of the dataclass are the rule's options. `--rule NAME:option=value` sets them, and
    their values are checked against their types. A rule is plain data: it is printed, compared, sent to other
    processes, and made again when a run is resumed. Your own `__post_init__` may raise `UserError` for a value that is
    not allowed. Let it call `super().__post_init__()`, which checks the types.

    `pipepita check-rule` and `pipepita.testing.check_rule` check that a rule keeps this contract. A complete example is
    `scripts/examples/my_rule.py`.

    Raises:
        UserError: The value of an option is not of its type.

    Example:
        >>> from dataclasses import dataclass
        >>> import pipepita as pp
        >>> @dataclass(frozen=True)
        ... class Broadcast(pp.Rule):
        ...     scale: float = 1.0
        ...     flow = pp.Flow.ALL
        ...     def learner(self, layer, layers, classes, seed):
        ...         raise NotImplementedError
        >>> rule = Broadcast(scale=0.5)
        >>> rule.name, rule.passes, rule.updates
        ('Broadcast', ('standard', 'broadcast'), ('broadcast',))
        >>> rule.reads("broadcast", number=2, layers=3)
        Reads(upstream=False, downstream=False, signal=True)
    """

    def __post_init__(self) -> None:
        """Checks each field against its type (a `Literal` one against its values), and raises `UserError`."""
        options.check(self)

    @property
    def flow(self) -> Flow:
        """How the second pass travels: up the layers, down the layers, or to all at once; or that there is none."""

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """Makes the learner of one layer.

        Args:
            layer: The layer, with its weights, its `number` (from 1) and its shapes.
            layers: How many layers the whole network has.
            classes: How many classes there are, which is the width of the output, the target and the error.
            seed: Draw random numbers only from `pipepita.randomness.generator(seed, purpose, layer.number, ...)`, never
                from a global generator: they must not depend on the order in which layers draw.

        Returns:
            The learner, which holds `layer`.

        Raises:
            UserError: The rule cannot train this layer, for example because it is a convolution.
        """

    def network(self, model: nn.Sequential, classes: int) -> nn.Sequential:
        """The network that the rule trains in the place of `model`. By default `model` itself.

        It is called before the weights are drawn. What it returned once, it must return as it is.

        Args:
            model: The user's network.
            classes: How many classes there are.

        Raises:
            UserError: There is no such network for `model`.
        """
        return model

    def unfit_for_numbers(self, count: int) -> str | None:
        """Why the rule cannot teach a network to predict numbers instead of classes, in a few words.

        By default it can (None): the error is the output minus the target in both cases.

        Args:
            count: How many numbers there are for each item.
        """
        return None

    def warning(self, conditions: Conditions) -> str | None:
        """What a user should know before such a run starts, in one line. By default nothing.

        Args:
            conditions: The network, and how it will be trained.
        """
        return None

    @property
    def name(self) -> str:
        """A short name for tables and progress lines. By default that of the class."""
        return type(self).__name__

    @property
    def passes(self) -> tuple[str, ...]:
        """The names of the one or two passes that a sample makes, in order.

        By default "standard", and then "modulated", "backward" or "broadcast", depending on `flow`. Other names are
        allowed, except "evaluate", "end", "done", and those that begin with "next-".
        """
        return _PASSES[self.flow]

    @property
    def updates(self) -> tuple[str, ...]:
        """The passes after which a layer updates itself. By default the last one, which must be among them."""
        return (self.passes[-1],)

    @property
    def rows(self) -> int:
        """How many rows per item a message between layers has at most: 1 for one activity (default), 2 for two."""
        return 1

    @property
    def aligns(self) -> bool:
        """Whether `Learner.align` is called before each epoch. False by default."""
        return False

    @property
    def align_every(self) -> int:
        """If the rule aligns: after how many samples it does so again. 0 (the default) means before each epoch only.

        The pipeline drains for it, so with samples in flight it helps to decide the bits.
        """
        return 0

    def settled(self, layers: int) -> Self:
        """This rule with its "auto" options replaced by what suits the network. By default the rule itself.

        A run calls it once, before anything else.

        Args:
            layers: How many layers the network has, including the output layer.
        """
        return self

    def defaults(self, layers: int) -> Defaults:
        """The settings with which this rule trains a network if the user does not choose others.

        Args:
            layers: How many layers the network has, including the output layer.
        """
        return Defaults()

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """What layer `number` needs for pass `name`.

        By default the first pass runs up the layers; if it is the only one, each layer also gets the target. A second
        pass that goes up begins with the error at the first layer, and the output layer gets the error too. One that
        goes down begins with the error at the output layer. One that goes to all brings each layer the error.

        Args:
            name: One of `passes`.
            number: The layer's place in the network, from 1.
            layers: How many layers the network has, including the output layer.

        Returns:
            Which messages must have arrived.
        """
        first, last = number == 1, number == layers
        if name == self.passes[0]:
            return Reads(upstream=True, signal=self.flow is Flow.NONE)
        if self.flow is Flow.UP:
            return Reads(upstream=not first, signal=first or last)
        if self.flow is Flow.DOWN:
            return Reads(downstream=not last, signal=last)
        return Reads(signal=True)
