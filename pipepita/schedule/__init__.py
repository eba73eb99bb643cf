"""Schedules: the order in which passes enter the pipeline, and when each stage then works. Pure Python, no torch."""

from pipepita.schedule.order import (
    BACKWARD,
    BROADCAST,
    MAX_WINDOW,
    MODULATED,
    SCHEDULES,
    STANDARD,
    Action,
    Actions,
    Flow,
    Group,
    Schedule,
    locked,
    make,
    relaxed,
    streaming,
)

__all__ = [
    "BACKWARD",
    "BROADCAST",
    "MAX_WINDOW",
    "MODULATED",
    "SCHEDULES",
    "STANDARD",
    "Action",
    "Actions",
    "Flow",
    "Group",
    "Schedule",
    "locked",
    "make",
    "relaxed",
    "streaming",
]
