"""An order that is decided as samples arrive: a sample that waits enters; if none waits, one in flight is finished.

    a sample arrives     0           1  2  3                 4
    window 3             S0    M0    S1 S2 S3 M1 M2 M3       S4    M4
    window 1             S0    M0    S1 M1 S2 M2 S3 M3       S4    M4

With a fixed order of `window` samples in flight, a sample is learnt from once window - 1 later ones have arrived. Here
it never has to wait for them, and if samples are always waiting, the order is the same as that of `streaming`.

The order helps to decide the weights. So it is kept: one bit per action, 1 for a sample that enters and 0 for one that
is finished. A run that is given the bits of another one repeats its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pipepita.errors import UserError
from pipepita.schedule.order import Action


class Order:
    """The decisions of a run, in order. Those that it finds are repeated, and later ones are made when they are due.

    Args:
        decided: What to repeat: true if a sample enters, false if one is finished.

    Example:
        >>> order = Order([True, False])
        >>> def arrived() -> bool:
        ...     return True
        >>> [order.enters(in_flight, window=2, arrived=arrived) for in_flight in (0, 1, 0, 1, 2)]
        [True, False, True, True, False]
        >>> order.again()  # after a fault: everything since the last `mark` is repeated
        >>> [order.enters(in_flight, window=2, arrived=arrived) for in_flight in (0, 1, 0)]
        [True, False, True]
    """

    def __init__(self, decided: Iterable[bool] = ()) -> None:
        self._decided, self._at, self._before = [*decided], 0, 0
        self._new = True  # whether the last decision was made here, and not found
        self._in_flight = 0  # when it was made

    def enters(self, in_flight: int, window: int, arrived: Callable[[], bool]) -> bool:
        """Decides what is next.

        Args:
            in_flight: How many samples are in flight.
            window: How many may be.
            arrived: Waits until a sample or an output has arrived, and returns whether it is a sample. It is asked only
                if there is a choice.

        Returns:
            Whether a sample enters; else the first one in flight is finished.

        Raises:
            UserError: The decision that is to be repeated is not possible.
        """
        self._new, self._in_flight = self._at == len(self._decided), in_flight
        if self._new:
            self._decided.append(in_flight == 0 or (in_flight < window and arrived()))
        decision = self._decided[self._at]
        self._at += 1
        if in_flight >= window if decision else in_flight == 0:
            what = f"enters, while {in_flight} are in flight" if decision else "is finished, while none is in flight"
            raise UserError(
                f"order: by action {self._before + self._at} a sample {what}: it is the order of a run with another "
                "window or another number of samples"
            )
        return decision

    @property
    def may_pause(self) -> bool:
        """Whether what is in flight may be finished now, before another sample enters.

        Nothing was in flight before the last decision, or no decision is repeated.
        """
        return self._new or self._in_flight == 0

    def withdraw(self) -> None:
        """Takes back the last decision: there was no sample that could enter."""
        self._at -= 1
        if self._new:
            self._decided.pop()

    def again(self) -> None:
        """Goes back to the last `mark`."""
        self._at = 0

    def mark(self) -> list[bool]:
        """Forgets what was decided since the last mark, and returns it: it need not be repeated any more."""
        done, self._decided = self._decided[: self._at], self._decided[self._at :]
        self._before, self._at = self._before + self._at, 0
        return done


class Decided:
    """The actions of a run whose order is decided on the way. It is used like `Actions`.

    Args:
        window: How many samples may be in flight.
        first: The number of the first sample.
        passes: The names of a sample's first and second pass.
        order: Decides.
        arrived: As `Order.enters` takes it.
    """

    def __init__(
        self, window: int, first: int, passes: tuple[str, ...], order: Order, arrived: Callable[[], bool]
    ) -> None:
        self._window, self._first, self._passes = window, first, passes
        self._order, self._arrived = order, arrived
        self._ended = self._withdrawn = False

    def end(self, step: int) -> None:
        """There is no sample `step`, which was to enter."""
        self._ended = True
        self.withdraw()

    def withdraw(self) -> None:
        """The sample that was to enter just now does not count: it is not learnt from."""
        self._withdrawn = True
        self._order.withdraw()

    def __iter__(self) -> Iterator[Action]:
        admit, answer = self._passes
        entered = finished = self._first
        while not self._ended or finished < entered:
            # after the end there is no choice, but the decisions are kept all the same
            window = 0 if self._ended else self._window
            if self._order.enters(entered - finished, window, self._arrived):
                self._withdrawn = False
                yield Action(admit, entered)
                entered += not self._withdrawn
            else:
                yield Action(answer, finished)
                finished += 1
