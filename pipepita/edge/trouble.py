"""Devices that slow down, pause, or die and come back, and links that are cut: at given times, or at random ones.

    slow=4@10-20:2      device 2 takes four times as long from second 10 to 20
    pause@30-35         every device stands still; what it was doing goes on afterwards
    die@40-60:1         device 1 is off; what it was doing is lost, and begun again once it is back
    cut@10-12:2         nothing is sent between devices 2 and 3 (from the last one: on the way back)
    die~600/30:1        at random: every 600 s on average, for 30 s on average

What a device has learnt survives its death, unless it is told to `forget` (`die!@40-60:1`): then it comes back with the
weights that it was given at the start.
"""

from __future__ import annotations

import bisect
import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipepita.emulation import Undisturbed
from pipepita.errors import UserError, unknown

KINDS = ("slow", "pause", "die", "die!", "cut")
_FORM = re.compile(
    r"(?P<kind>[a-z!]+)(=(?P<value>[\d.e+-]+))?"
    r"(@(?P<begin>[\d.]+)-(?P<end>[\d.]+)|~(?P<every>[\d.]+)/(?P<lasting>[\d.]+))(:(?P<place>\d+))?"
)


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble. place: which device or link, from 1; None: each. Seconds."""

    kind: str
    factor: float = 0.0
    begin: float = 0.0
    end: float = 0.0
    every: float = 0.0
    lasting: float = 0.0
    place: int | None = None


def parse(text: str, devices: int) -> list[Trouble]:
    """Troubles written as above, with commas between them; `UserError` for what cannot be read."""
    return [_parse(part.strip(), devices) for part in text.split(",") if part.strip()]


def _parse(text: str, devices: int) -> Trouble:
    found = _FORM.fullmatch(text)
    if found is None:
        raise UserError(f"trouble {text!r} cannot be read: write it like slow=4@10-20:2, pause@30-35 or die~600/30:1")
    kind, place = found["kind"], int(found["place"]) if found["place"] else None
    if kind not in KINDS:
        raise unknown("trouble", kind, KINDS)
    try:
        value = float(found["value"]) if found["value"] else 0.0
        times = [float(found[name] or 0) for name in ("begin", "end", "every", "lasting")]
    except ValueError:
        raise UserError(f"trouble {text!r}: a number in it cannot be read") from None
    if (kind == "slow") != bool(found["value"]) or (kind == "slow" and not 1 < value < math.inf):
        raise UserError(f"trouble {text!r}: slow, and only slow, needs a factor above 1, like slow=4@10-20")
    begin, end, every, lasting = times
    if found["begin"] and begin >= end:
        raise UserError(f"trouble {text!r} ends at {end:g} s, not after its beginning at {begin:g} s")
    if not found["begin"] and not (every > 0 and lasting > 0):
        raise UserError(f"trouble {text!r}: both of EVERY/LASTING must be above 0 seconds")
    if place is not None and not 1 <= place <= devices:
        raise UserError(f"trouble {text!r}: there is no device {place} in a chain of {devices}")
    return Trouble(kind, value, begin, end, every, lasting, place)


@dataclass(frozen=True)
class Spell:
    """From when to when, seconds; speed: what a device still does of its work."""

    begin: float
    end: float
    kind: str
    speed: float


class Fate(Undisturbed):
    """What befalls one device (or link) over time; the same for the same seed. Can be sent before it is asked.

    troubles: those of its kinds and its place (from 0) matter.
    """

    def __init__(self, troubles: Sequence[Trouble], kinds: Sequence[str], place: int, seed: int) -> None:
        self._mine = [
            (trouble, f"{seed} trouble {number} {place}")
            for number, trouble in enumerate(troubles)
            if trouble.kind in kinds and trouble.place in (None, place + 1)
        ]
        self._sources: list[Iterator[Spell]] = []
        self._pending: list[Spell | None] = []
        self._known: list[Spell] = []

    @property
    def eventful(self) -> bool:
        """Whether anything befalls it at all."""
        return bool(self._mine)

    @property
    def forgetful(self) -> bool:
        """Whether a death here takes what was learnt."""
        return any(trouble.kind == "die!" for trouble, _ in self._mine)

    def spells(self, until: float) -> list[Spell]:
        """All that begin up to `until`, in order."""
        if len(self._sources) < len(self._mine):
            self._sources = [_spells(trouble, random.Random(name)) for trouble, name in self._mine]
            self._pending = [next(source, None) for source in self._sources]
        for index, source in enumerate(self._sources):
            while (spell := self._pending[index]) is not None and spell.begin <= until:
                bisect.insort(self._known, spell, key=lambda spell: spell.begin)
                self._pending[index] = next(source, None)
        return self._known

    def finish(self, begin: float, work: float) -> float:
        """When work of `work` undisturbed seconds, begun at `begin`, is done."""
        if not self._mine:
            return begin + work
        now, left = begin, work
        while True:
            now_speed, until, _ = self._state(now)
            if now_speed and now + left / now_speed <= until:
                return now + left / now_speed
            left -= now_speed * (until - now)
            now = until
            if self._state(now)[2]:  # a death: all of it is lost
                left = work

    def _state(self, now: float) -> tuple[float, float, bool]:
        """(speed, until when, whether it is dead) at `now`; the worst of what overlaps."""
        ahead = 1.0
        while True:
            spells = self.spells(now + ahead)
            later = [spell.begin for spell in spells if spell.begin > now]
            if later or all(pending is None for pending in self._pending):
                break
            ahead *= 2
        here = [spell for spell in spells if spell.begin <= now < spell.end]
        until = min([*(spell.end for spell in here), *later, math.inf])
        speed = min((spell.speed for spell in here), default=1.0)
        return speed, until, any(spell.kind.startswith("die") for spell in here)

    def outage(self, now: float) -> float | None:
        """Where nothing goes at `now`: until when; else None."""
        speed, until, _ = self._state(now) if self._mine else (1.0, 0.0, False)
        return until if speed == 0 else None

    def forgets(self, after: float, until: float) -> bool:
        """Whether a death in (after, until] took what the device had learnt."""
        if not self._mine:
            return False
        return any(spell.kind == "die!" and after < spell.begin <= until for spell in self.spells(until))


def _spells(trouble: Trouble, draw: random.Random) -> Iterator[Spell]:
    speed = 1 / trouble.factor if trouble.kind == "slow" else 0.0
    if trouble.end:
        yield Spell(trouble.begin, trouble.end, trouble.kind, speed)
        return
    now = 0.0
    while True:
        now += draw.expovariate(1 / trouble.every)
        end = now + draw.expovariate(1 / trouble.lasting)
        yield Spell(now, end, trouble.kind, speed)
        now = end
