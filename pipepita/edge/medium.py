"""Air that several links share: it carries one message at a time, and the more want to send, the less it carries.

    n devices want to send     each tries in a slot with probability t = 2 / (W + 1)
    a try succeeds             if no other tries: with probability (1 - t)^(n - 1)
    so a message takes         (1 - t)^-(n - 1) times as long as with the air to itself

This is Bianchi's model of 802.11 (2000) without its backoff: W = 16 slots, the smallest contention window. Two senders
take 1.13 times as long, four 1.46 times.
"""

from __future__ import annotations

from bisect import bisect_right

_TRIES = 2 / (16 + 1)
_MOST = 20_000  # messages that are remembered; then the earlier half is forgotten


def slowdown(senders: int) -> float:
    """How many times as long a message takes if so many devices want to send.

    >>> [round(slowdown(senders), 2) for senders in (1, 2, 4)]
    [1.0, 1.13, 1.46]
    """
    return float((1 - _TRIES) ** (1 - senders))


class Medium:
    """The messages on the air.

    A simulation gets to messages in the order in which stages work on them, which is nearly that of time. A message
    takes the first gap that is long enough, so an earlier one that comes later may still fit in.
    """

    def __init__(self) -> None:
        self._begins: list[float] = []
        self._ends: list[float] = []
        self._senders: list[int] = []

    def carry(self, sender: int, ready: float, seconds: float) -> float:
        """When a message has been sent that device `sender` wants to send from `ready` on.

        seconds: how long that takes with the air to itself.
        """
        place = bisect_right(self._ends, ready)  # what ends before does not matter
        waiting = {sender, *self._senders[place:]}
        seconds *= slowdown(len(waiting))
        begin = ready
        while place < len(self._ends) and self._begins[place] < begin + seconds:
            begin = max(begin, self._ends[place])
            place += 1
        for figures, value in ((self._begins, begin), (self._ends, begin + seconds)):
            figures.insert(place, value)
        self._senders.insert(place, sender)
        if len(self._ends) > _MOST:
            for kept in (self._begins, self._ends, self._senders):
                del kept[: _MOST // 2]
        return begin + seconds
