"""The shortest possible period of a schedule, from its order of work and from the work that the cores have to do.

    locked     L (s + m)          relaxed    L s + m          streaming, K >= (L + 1) / 2    s + m

This holds for L equal stages on L devices, where a standard pass takes s and a modulated pass with its update takes m.
`clock` computes it for unequal stages. With a backward pass, relaxed is no faster than locked, and streaming needs
K = L. Without a second pass, relaxed takes s. No period is shorter than the work per sample divided by the cores.
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
    """The shortest time from one sample to the next that `schedule` allows.

    Args:
        schedule: The schedule.
        costs: What each layer takes, in any unit of time.
        cores: How many cores or devices the stages share.
        route: As in `clock.events`.
        parts: As in `clock.events`.
        hop: As in `clock.events`.

    Returns:
        The time in the unit of the costs.

    Raises:
        UserError: There is no layer.

    Example:
        >>> from pipepita.schedule import locked, relaxed, streaming
        >>> [period(schedule, [Cost()] * 8, cores=8) for schedule in (locked(), relaxed(), streaming(5))]
        [16.0, 9.0, 2.0]
    """
    work = sum(cost.total for cost in costs) / cores
    return max(settled_period(schedule, costs, route=route, parts=parts, hop=hop), work)
