"""What a learning rule says, so that stages, wiring and schedules can serve any of them. It needs no torch for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from pipepita.rules import options
from pipepita.rules.defaults import Defaults
from pipepita.schedule import BACKWARD, BROADCAST, MODULATED, STANDARD, Flow
from pipepita.schedule.topology import Reads

if TYPE_CHECKING:
    from pipepita.network.layer import Layer
    from pipepita.rules.learner import Learner

__all__ = ["Reads", "Rule"]

_PASSES = {
    Flow.UP: (STANDARD, MODULATED),
    Flow.DOWN: (STANDARD, BACKWARD),
    Flow.ALL: (STANDARD, BROADCAST),
    Flow.NONE: (STANDARD,),
}


class Rule(Protocol):
    """A learning rule: which passes a sample makes, how they travel, and who learns in them.

    Write a rule as a frozen dataclass that inherits from this class. It must say its `flow` and make its `learner`;
    everything else has a default. The fields of the dataclass are the rule's options: `--rule NAME:option=value` sets
    them, checked against their types. A rule is plain data: it is printed, compared, sent to other processes and built
    anew when a run is resumed. A `__post_init__` of your own may raise `UserError` for a value that cannot be; let it
    call `super().__post_init__()`, which checks the types.

    `pipepita check-rule` and `pipepita.testing.check_rule` hold a rule to the contract. A complete example is
    `scripts/examples/my_rule.py`.

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
        """Checks the fields against their types, `Literal` ones against their values; raises `UserError`."""
        options.check(self)

    @property
    def flow(self) -> Flow:
        """How the second pass travels: up the layers, down them, to all of them at once; or there is none."""

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """`layer` under this rule.

        Args:
            layer: The layer, with its weights; it knows its `number` (from 1) and its shapes.
            layers: How many layers the whole network has.
            classes: How many classes there are, which is the width of the output, the target and the error.
            seed: What the learner draws comes from `pipepita.randomness.generator(seed, purpose, layer.number, ...)`:
                never from a global generator, so that it does not depend on who draws when.

        Raises:
            UserError: The rule cannot serve this layer, like a convolution.
        """

    @property
    def name(self) -> str:
        """A short name for tables and progress lines; the class's own by default."""
        return type(self).__name__

    @property
    def passes(self) -> tuple[str, ...]:
        """The passes that a sample makes: the first one, and what follows it, if anything does.

        By default "standard", and then "modulated", "backward" or "broadcast", as `flow` suggests. Any two names will
        do but "evaluate", "end" and "done".
        """
        return _PASSES[self.flow]

    @property
    def updates(self) -> tuple[str, ...]:
        """After which of the passes a layer updates itself: by default after the last one, which must be among them."""
        return (self.passes[-1],)

    @property
    def rows(self) -> int:
        """How many rows of a message between layers an item takes at most: 1 for one activity (default), 2 for two."""
        return 1

    @property
    def aligns(self) -> bool:
        """Whether `Learner.align` is to be called before each epoch; False by default."""
        return False

    def settled(self, layers: int) -> Self:
        """This rule for a network of `layers` layers, output layer included: with its "auto" options chosen.

        By default itself. Whoever trains calls it once, before anything else is asked.
        """
        return self

    def defaults(self, layers: int) -> Defaults:
        """What a network of `layers` layers is trained with under this rule, unless somebody says otherwise."""
        return Defaults()

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """What layer `number` needs for pass `name`.

        By default the first pass runs up the layers, and where it is the only one each layer is also told the target.
        A second pass that goes up begins at the first layer, with the error, which the output layer is told too; one
        that goes down begins at the output layer with the error; one that goes to all brings the error to each layer.

        Args:
            name: One of `passes`.
            number: The layer's place in the network, from 1.
            layers: How many layers the network has.
        """
        first, last = number == 1, number == layers
        if name == self.passes[0]:
            return Reads(upstream=True, signal=self.flow is Flow.NONE)
        if self.flow is Flow.UP:
            return Reads(upstream=not first, signal=first or last)
        if self.flow is Flow.DOWN:
            return Reads(downstream=not last, signal=last)
        return Reads(signal=True)
