"""Devices that slow down, pause, or die and come back, and links that are cut: at given times, or at random ones.

    slow=4@10-20:2      device 2 takes four times as long from second 10 to 20
    pause@30-35         every device stands still; what it was doing goes on afterwards
    die@40-60:1         device 1 is off; what it was doing is lost, and begins again once the device is back
    cut@10-12:2         nothing is sent between devices 2 and 3 (from the last one: on the way back)
    die~600/30:1        at random: every 600 s on average, for 30 s on average

What a device has learnt survives its death, unless it is told to `forget` (`die!@40-60:1`): then it comes back with the
weights that it had at the start.
"""

from __future__ import annotations

import bisect
import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipepita.errors import RunError, UserError, unknown
from pipepita.pipeline.emulation import Undisturbed

KINDS = ("slow", "pause", "die", "die!", "cut")
_MOST_FACTOR, _MOST_SECONDS, _LEAST_MEAN, _MOST_DEATHS = 1e6, 1e9, 1e-3, 10_000
_FORM = re.compile(
    r"(?P<kind>[a-z!]+)(=(?P<value>[\d.e+-]+))?"
    r"(@(?P<begin>[\d.]+)-(?P<end>[\d.]+)|~(?P<every>[\d.]+)/(?P<lasting>[\d.]+))(:(?P<place>\d+))?"
)


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble.

    Attributes:
        kind: One of `KINDS`.
        factor: How many times as slow a device becomes.
        between: From when to when, in seconds; None for random times.
        at_random: The mean seconds until the next one, and the mean seconds that it lasts.
        place: Which device or link, from 1; None means each of them.
        number: Its place in the list of troubles.
        drawn_at: The place for which its random times are drawn, if that is another one.
    """

    kind: str
    factor: float = 0.0
    between: tuple[float, float] | None = None
    at_random: tuple[float, float] = (0.0, 0.0)
    place: int | None = None
    number: int = 0
    drawn_at: int | None = None


def parse(text: str, devices: int) -> list[Trouble]:
    """Troubles written as above, separated by commas; `UserError` if they cannot be read.

    Example:
        >>> [trouble.kind for trouble in parse("slow=4@10-20:2,die~600/30", devices=2)]
        ['slow', 'die']
    """
    return [_parse(part.strip(), number, devices) for number, part in enumerate(text.split(","))] if text else []


def _parse(text: str, number: int, devices: int) -> Trouble:
    match = _FORM.fullmatch(text)
    if match is None:
        raise UserError(f"trouble {text!r} cannot be read: write it like slow=4@10-20:2, pause@30-35 or die~600/30:1")
    kind, place = match["kind"], int(match["place"]) if match["place"] else None
    if kind not in KINDS:
        raise unknown("trouble", kind, KINDS)
    try:
        value = float(match["value"]) if match["value"] else 0.0
        times = [float(match[name] or 0) for name in ("begin", "end", "every", "lasting")]
    except ValueError:
        raise UserError(f"trouble {text!r}: a number in it cannot be read") from None
    if (kind == "slow") != bool(match["value"]) or (kind == "slow" and not 1 < value <= _MOST_FACTOR):
        raise UserError(
            f"trouble {text!r}: slow, and only slow, needs a factor above 1, up to {_MOST_FACTOR:g}: slow=4@10-20"
        )
    begin, end, every, lasting = times
    if max(times) > _MOST_SECONDS:
        raise UserError(f"trouble {text!r}: {_MOST_SECONDS:g} seconds are the most that a time can be")
    if match["begin"] and begin >= end:
        raise UserError(f"trouble {text!r} ends at {end:g} s, not after its beginning at {begin:g} s")
    if not match["begin"] and min(every, lasting) < _LEAST_MEAN:
        raise UserError(f"trouble {text!r}: EVERY and LASTING must each be at least {_LEAST_MEAN:g} seconds")
    if place is not None and not 1 <= place <= devices:
        raise UserError(f"trouble {text!r}: {_nowhere(kind, place, devices)}")
    if kind == "cut" and devices == 1:
        raise UserError(f"trouble {text!r}: one device has no link that could be cut")
    return Trouble(kind, value, (begin, end) if match["begin"] else None, (every, lasting), place, number)


def _nowhere(kind: str, place: int, devices: int) -> str:
    if kind == "cut":
        return f"there is no link {place} in a chain of {devices}: 1 leaves device 1, {devices} is the way back"
    return f"there is no device {place} in a chain of {devices}"


class Fate(Undisturbed):
    """What happens to one device or link over time. The same seed gives the same troubles. Can be pickled before use.

    troubles: only those of `kinds` at `place` (from 0) matter.
    """

    def __init__(self, troubles: Sequence[Trouble], kinds: Sequence[str], place: int, seed: int) -> None:
        self._mine = [
            _Series(
                trouble, f"{seed} trouble {trouble.number} {place if trouble.drawn_at is None else trouble.drawn_at}"
            )
            for trouble in troubles
            if trouble.kind in kinds and trouble.place in (None, place + 1)
        ]

    @property
    def eventful(self) -> bool:
        """Whether anything happens to it at all."""
        return bool(self._mine)

    @property
    def forgetful(self) -> bool:
        """Whether a death here takes what was learnt."""
        return any(series.kind == "die!" for series in self._mine)

    def finish(self, begin: float, work: float) -> float:
        """When work that begins at `begin` and takes `work` undisturbed seconds is done.

        Raises:
            RunError: The device dies so often that it is never done.
        """
        if not self._mine:
            return begin + work
        now, left, deaths = begin, work, 0
        while True:
            speed, until, _ = self._condition(now)
            if speed and now + left / speed <= until:
                return now + left / speed
            left -= speed * (until - now)
            now = until
            if self._condition(now)[2]:  # a death: all work so far is lost
                left, deaths = work, deaths + 1
                if deaths > _MOST_DEATHS:
                    raise RunError(f"a device never finishes a pass of {work:g} s: it died {deaths} times meanwhile")

    def standstill(self, begin: float, end: float) -> float:
        """For how many of the seconds from `begin` to `end` it stood still or was off."""
        now, still = begin, 0.0
        while now < end and self._mine:
            speed, until, _ = self._condition(now)
            still += min(until, end) - now if speed == 0 else 0.0
            now = until
        return still

    def _condition(self, now: float) -> tuple[float, float, bool]:
        """(speed, until when, whether it is off) at `now`. If troubles overlap, the worst counts."""
        speed, until, off = 1.0, math.inf, False
        for series in self._mine:
            here, change = series.at(now)
            until = min(until, change)
            if here is not None:
                speed, off = min(speed, here.speed), off or series.kind.startswith("die")
        return speed, until, off

    def outage(self, now: float) -> float | None:
        """Until when nothing moves, if nothing moves at `now`; else None."""
        speed, until, _ = self._condition(now)
        return until if speed == 0 else None

    def forgets(self, after: float, until: float) -> bool:
        """Whether the device died in (after, until] and forgot what it had learnt."""
        return any(series.begins(after, until) for series in self._mine if series.kind == "die!")


@dataclass(frozen=True)
class Spell:
    """One spell of trouble, from `begin` to `end` in seconds.

    Attributes:
        speed: The share of its normal speed that is left.
    """

    begin: float
    end: float
    speed: float


class _Series:
    """The spells of one trouble at one place, one after the other, computed only as far as they are needed."""

    def __init__(self, trouble: Trouble, name: str) -> None:
        self.kind, self._trouble, self._name = trouble.kind, trouble, name
        self._source: Iterator[Spell] | None = None
        self._begins: list[float] = []
        self._spells: list[Spell] = []

    def at(self, now: float) -> tuple[Spell | None, float]:
        """(the spell at `now`, or None; when that changes)."""
        place = self._place(now)
        if place and now < self._spells[place - 1].end:
            return self._spells[place - 1], self._spells[place - 1].end
        return None, self._begins[place] if place < len(self._begins) else math.inf

    def begins(self, after: float, until: float) -> bool:
        """Whether a spell begins in (after, until]."""
        return self._place(until) > self._place(after)

    def _place(self, now: float) -> int:
        """How many spells begin up to `now`. Afterwards the next one is known, too, if there is one."""
        if self._source is None:
            self._source = _spells(self._trouble, random.Random(self._name))
        while not self._begins or self._begins[-1] <= now:
            spell = next(self._source, None)
            if spell is None:
                break
            self._begins.append(spell.begin)
            self._spells.append(spell)
        return bisect.bisect_right(self._begins, now)


def _spells(trouble: Trouble, draw: random.Random) -> Iterator[Spell]:
    speed = 1 / trouble.factor if trouble.kind == "slow" else 0.0
    if trouble.between is not None:
        yield Spell(*trouble.between, speed)
        return
    now, (every, lasting) = 0.0, trouble.at_random
    while True:
        now += draw.expovariate(1 / every)
        end = now + draw.expovariate(1 / lasting)
        yield Spell(now, end, speed)
        now = end
