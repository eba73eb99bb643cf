"""What passes were measured to take on a device, instead of one rate and one bandwidth for all of them.

    seconds = what every pass takes (more at the first layer of a stage)  +  calls x what every tensor operation takes
              + bytes / bandwidth  +  products / rate(products)

Small layers take as long as their operations have to be called, whatever their size. The first layer of a stage takes
longer than the others, because the stage has just done something else, and its code is in no cache. Products of
matrices reach a rate that depends on how large they are. Between the sizes that were measured it is interpolated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

LINEAR, CONVOLUTION = "linear", "convolution"
PHASES = ("standard", "second", "update")
AHEAD = "ahead"  # what rates are called whose size is in bytes: those of predicting weights
BATCHES = (1, 8, 64)  # how many items the measured passes have


Phases = tuple[float, float, float]  # of a standard pass, a second pass and an update


class Overhead(NamedTuple):
    """What passes take besides products of matrices.

    Attributes:
        call: Seconds of each tensor operation, whatever its size.
        passes: Seconds of each standard pass, second pass and update besides.
        first: How much more at the first layer of a stage.
        bandwidth: Bytes per second.
    """

    call: float
    passes: Phases
    first: Phases
    bandwidth: float

    def seconds(self, work: Counted, place: int, *, first: bool) -> float:
        """Of a whole pass or update, which computes something. place: in `PHASES`."""
        return self.passes[place] + (self.first[place] if first else 0.0) + self.more(work)

    def more(self, work: Counted) -> float:
        """How much longer a pass takes that also computes this."""
        return self.call * work.calls + work.bytes / self.bandwidth


class Rate(NamedTuple):
    """What work of some size reaches: products of so many operations, in operations per second; or bytes."""

    size: float
    rate: float


class Coordinator(NamedTuple):
    """What the coordinator takes.

    Attributes:
        sample, item: Seconds that it works on each sample, and on each of its items.
        wake: Seconds until a sample enters that arrives while nothing is to do.
        cold: By which share the standard passes of such a sample take longer.
    """

    sample: float = 0.0
    item: float = 0.0
    wake: float = 0.0
    cold: float = 0.0

    def work(self, batch_size: int) -> float:
        """Seconds that it works on a sample."""
        return self.sample + self.item * batch_size


NO_TIME = Coordinator()


class Counted(Protocol):
    """What is to be computed; `work.Work` is one."""

    @property
    def bytes(self) -> float:
        """Read and written."""

    @property
    def calls(self) -> int:
        """How many tensor operations."""

    @property
    def products(self) -> float:
        """Floating-point operations of products of matrices."""


@dataclass(frozen=True)
class Measured:
    """A device's passes.

    Attributes:
        overheads: By the batch, one of `BATCHES`.
        rates: By `key` or `AHEAD`, rising in size.
        together: The coordinator in one process with all layers.
        apart: The coordinator in a process of its own.
        message: Seconds that a process works on each message that it sends or gets.
    """

    overheads: Mapping[int, Overhead]
    rates: Mapping[str, Sequence[Rate]] = field(default_factory=dict)
    together: Coordinator = NO_TIME
    apart: Coordinator = NO_TIME
    message: float = 0.0

    def seconds(self, work: Counted, kind: str, phase: str, batch: int, *, first: bool = False) -> float:
        """How long a pass or an update of `batch` items takes. Nothing if it computes nothing.

        first: whether it is that of the first layer of a stage.
        """
        besides = self.besides(work, phase, batch, first=first)
        found = {size: self.rates[key(kind, phase, size)] for size in BATCHES if key(kind, phase, size) in self.rates}
        if not found or not work.products:
            return besides
        # rates of the batches that were measured, as if each had these products; between them by the batch's logarithm
        reached = [(math.log(size), math.log(_rate(rates, work.products))) for size, rates in found.items()]
        return besides + work.products / math.exp(_between(reached, math.log(batch)))

    def besides(self, work: Counted, phase: str, batch: int, *, first: bool = False) -> float:
        """The part of it that is not spent on products."""
        if not work.calls:
            return 0.0
        place = PHASES.index(phase)
        return self._by_batch(batch, lambda overhead: overhead.seconds(work, place, first=first))

    def ahead(self, work: Counted, batch: int) -> float:
        """How much longer a sample takes at a layer that also computes this, to predict its weights.

        More memory is in use then. So it can take far longer than its bytes would by themselves.
        """
        rates = self.rates.get(AHEAD)
        if rates is None or not work.bytes:
            return self._by_batch(batch, lambda overhead: overhead.more(work))
        calls = self._by_batch(batch, lambda overhead: overhead.call * work.calls)
        return calls + work.bytes / _rate(rates, work.bytes)

    def _by_batch(self, batch: int, seconds: Callable[[Overhead], float]) -> float:
        points = [(math.log(size), seconds(overhead)) for size, overhead in sorted(self.overheads.items())]
        return _between(points, math.log(batch))


def _rate(rates: Sequence[Rate], size: float) -> float:
    known = [(math.log(one.size), math.log(one.rate)) for one in rates]
    return math.exp(_between(known, math.log(size)))


def _between(points: Sequence[tuple[float, float]], x: float) -> float:
    """The height at `x` of the line through points from left to right, which is level beyond its ends."""
    if x <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in itertools.pairwise(points):
        if x <= right:
            return low + (high - low) * (x - left) / (right - left)
    return points[-1][1]


def key(kind: str, phase: str, batch: int) -> str:
    """What the rates of such passes are called."""
    return f"{kind} {phase} {batch}"
