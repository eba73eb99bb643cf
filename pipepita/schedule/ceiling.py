"""The limit that no run can pass: the schedule's own recurrence, and the work that the cores have to do.

    locked     L (s + m)          relaxed    L s + m          streaming, K >= (L + 1) / 2    s + m

    (a backward pass: relaxed is no faster than locked, streaming needs K = L; no second pass: relaxed is s)

for L equal stages of s a standard and m a modulated pass (its update included), on a device each; `clock` has the same
recurrence for unequal ones. On fewer cores no period is shorter than the work of a sample over the cores.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipepita.schedule import Schedule
from pipepita.schedule.clock import settled_period
from pipepita.schedule.topology import Route, Travels
from pipepita.schedule.world import Cost


def period(
    schedule: Schedule,
    costs: Sequence[Cost],
    *,
    cores: int,
    route: Travels = Route(),
    parts: Sequence[range] | None = None,
    hop: float = 0,
) -> float:
    """The shortest time from one sample to the next that `schedule` allows for layers of these costs, in their unit.

    cores: or devices, that the stages share. route, parts, hop: as in `clock.events`.

    >>> from pipepita.schedule import locked, relaxed, streaming
    >>> [period(schedule, [Cost()] * 8, cores=8) for schedule in (locked(), relaxed(), streaming(5))]
    [16.0, 9.0, 2.0]
    """
    work = sum(cost.total for cost in costs) / cores
    return max(settled_period(schedule, costs, route=route, parts=parts, hop=hop), work)
