"""What a system says of the power that it draws: RAPL, or sensors in hwmon, which INA chips are, too."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_RAPL, _HWMON = Path("/sys/class/powercap"), Path("/sys/class/hwmon")
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Meter:
    """Something that measures energy.

    Attributes:
        name: What people call it.
        joules: How much has been used since some time.
    """

    name: str
    joules: Callable[[], float]


@contextlib.contextmanager
def meter(rapl: Path = _RAPL, hwmon: Path = _HWMON) -> Iterator[Meter | None]:
    """The best meter of this device, while the context lasts; None if there is none that may be read."""
    zones = [zone / "energy_uj" for zone in sorted(rapl.glob("intel-rapl:*")) if zone.name.count(":") == 1]
    sensors = [one for chip in sorted(hwmon.glob("hwmon*")) for one in sorted(chip.glob("power*_input"))]
    if _readable(zones):
        yield Meter(f"RAPL, {len(zones)} package{'s' * (len(zones) > 1)}", _unwrapped(zones))
    elif _readable(sensors):
        with _watched(sensors) as joules:
            yield Meter(f"{_chip(sensors[0])}, {len(sensors)} sensor{'s' * (len(sensors) > 1)}", joules)
    else:
        yield None


def _readable(files: list[Path]) -> bool:
    """Whether there are any and all hold numbers that may be read: of RAPL's, often only root may."""
    try:
        _sum(files)
    except (OSError, ValueError):
        return False
    return bool(files)


def _chip(sensor: Path) -> str:
    name = sensor.parent / "name"
    return name.read_text().strip() if name.is_file() else "hwmon"


def _sum(files: list[Path]) -> float:
    return sum(int(file.read_text()) for file in files)


def _unwrapped(zones: list[Path]) -> Callable[[], float]:
    """The joules of all zones, whose counters begin anew at some value."""
    most = [int(file.read_text()) if (file := zone.with_name("max_energy_range_uj")).is_file() else 0 for zone in zones]
    last, total = [int(zone.read_text()) for zone in zones], 0.0

    def joules() -> float:
        nonlocal total
        for place, zone in enumerate(zones):
            now = int(zone.read_text())
            total += now - last[place] + (most[place] if now < last[place] else 0)
            last[place] = now
        return 1e-6 * total

    return joules


@contextlib.contextmanager
def _watched(sensors: list[Path]) -> Iterator[Callable[[], float]]:
    """The joules that sensors add up to, which say how many microwatts there are just now."""
    total, ended = 0.0, threading.Event()

    def watch() -> None:
        nonlocal total
        last = time.perf_counter()
        while not ended.wait(_LOOK_SECONDS):
            now = time.perf_counter()
            with contextlib.suppress(OSError, ValueError):
                total += 1e-6 * _sum(sensors) * (now - last)
            last = now

    thread = threading.Thread(target=watch, name="power", daemon=True)
    thread.start()
    try:
        yield lambda: total
    finally:
        ended.set()
        thread.join()
