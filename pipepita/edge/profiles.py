"""Devices and links as data: what they can do, from `profiles.toml` here and from a file of the user's own.

    [devices.NAME]                  [links.NAME]
    title, flops, bandwidth, ram,   title, delay, jitter, rate, loss
    idle_watts, active_watts,
    trains, reason

A figure is a value, or `{value = ..., source = ...}`. Links are in the words and units of tc-netem(8) and tc(8).
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pipepita.errors import UserError, unknown


@dataclass(frozen=True)
class DeviceProfile:
    """What a device can do.

    flops: FP32 operations a second that products of matrices reach. bandwidth: bytes a second, to and from memory. ram:
    bytes that a program can use. reason: why it cannot train. sources: where each figure is from, by its field.
    """

    name: str
    title: str
    flops: float
    bandwidth: float
    ram: int
    idle_watts: float
    active_watts: float
    trains: bool = True
    reason: str = ""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class LinkProfile:
    """One direction of a link: delay and jitter in seconds, rate in bits a second (inf: no limit), loss in [0, 0.9)."""

    name: str
    title: str
    delay: float = 0.0
    jitter: float = 0.0
    rate: float = math.inf
    loss: float = 0.0
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Catalogue:
    """Devices and links by name."""

    devices: Mapping[str, DeviceProfile]
    links: Mapping[str, LinkProfile]

    def device(self, name: str) -> DeviceProfile:
        """The device of that name; `UserError` if there is none."""
        if name not in self.devices:
            raise unknown("device", name, self.devices)
        return self.devices[name]

    def link(self, text: str) -> LinkProfile:
        """The link of that name, or as `parse_link` reads it; `UserError` if it is neither."""
        if text in self.links:
            return self.links[text]
        if len(text.split()) > 1:
            return parse_link(text)
        raise unknown("link", text, self.links)


@dataclass(frozen=True)
class _Quantity:
    """A figure that can be written. units: factor by unit. like: how to write it. below: what it has to stay under."""

    units: Mapping[str, float]
    like: str
    zero: bool = False
    below: float = math.inf
    fold: bool = False

    def read(self, value: object) -> float:
        """In base units. Raises `ValueError`, which says what would be right."""
        number, unit = _parts(value)
        factor = self.units.get(unit.lower() if self.fold else unit)
        if factor is None and number == 0 and not unit:
            factor = 1.0  # nothing is nothing in any unit
        if math.isnan(number) or factor is None:
            raise ValueError(f"write it like {self.like}")
        result = number * factor
        if result < 0 or (result == 0 and not self.zero) or not result < self.below:
            least = "at least 0" if self.zero else "above 0"
            most = "finite" if self.below == math.inf else f"below {self.below / factor:g}{unit}"
            raise ValueError(f"has to be {least} and {most}, like {self.like}")
        return result


def _parts(value: object) -> tuple[float, str]:
    """Number and unit; the number is NaN where there is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value), ""
        except OverflowError:
            return math.inf, ""
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    return (float(match[1]), match[2]) if match else (math.nan, "")


_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\W\d_]*(?:/s)?|%)", re.ASCII)
_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_SMALL = {"m": 1e-3, "u": 1e-6}


def _amounts(prefixes: Mapping[str, float], unit: str) -> dict[str, float]:
    """With and without the unit's own name: 4G and 4GB."""
    return {prefix + name: factor for prefix, factor in prefixes.items() for name in ("", unit)}


_TIMES = {"s": 1.0, "sec": 1.0, "secs": 1.0, "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3, "us": 1e-6, "usec": 1e-6,
          "usecs": 1e-6}  # fmt: skip
_RATES = {  # tc's bps is bytes a second
    prefix.lower() + unit: factor * bits
    for prefix, factor in (_DECIMAL | _BINARY).items()
    for unit, bits in (("bit", 1.0), ("bps", 8.0))
}
_DEVICE = {
    "flops": _Quantity(_amounts(_DECIMAL | _BINARY, "FLOP/s"), "20G (FLOP/s)"),
    "bandwidth": _Quantity(_amounts(_DECIMAL | _BINARY, "B/s"), "5G (bytes/s)"),
    "ram": _Quantity(_amounts(_DECIMAL | _BINARY, "B"), "3.5Gi (bytes)"),
    "idle_watts": _Quantity(_amounts(_DECIMAL | _SMALL, "W"), "2.5 (watts)", zero=True),
    "active_watts": _Quantity(_amounts(_DECIMAL | _SMALL, "W"), "7.2 (watts)"),
}
_LINK = {
    "delay": _Quantity(_TIMES, "10ms (s, ms, us)", zero=True, fold=True),
    "jitter": _Quantity(_TIMES, "2ms (s, ms, us)", zero=True, fold=True),
    "rate": _Quantity(_RATES, "20mbit (bit, kbit, mbit, gbit)", fold=True),
    "loss": _Quantity({"%": 0.01}, "1%", zero=True, below=0.9),
}
_NAME = re.compile(r"[\w.+-]+")  # no comma, star or blank: names stand in lists


def catalogue(path: Path | None = None) -> Catalogue:
    """The profiles that come with pipepita, changed and extended by those of a TOML file.

    A name that is in both keeps what the file does not give. `UserError` for a file that cannot be read, and for names,
    fields and values that cannot be.
    """
    built_in = resources.files("pipepita.edge").joinpath("profiles.toml").read_text(encoding="utf-8")
    files = [("built-in profiles", tomllib.loads(built_in))]
    if path is not None:
        files.append((f"profiles {path}", _read(path)))
    devices: dict[str, DeviceProfile] = {}
    links: dict[str, LinkProfile] = {}
    for where, tables in files:
        for kind in tables:
            if kind not in ("devices", "links"):
                raise unknown(f"table in {where}:", kind, ("devices", "links"))
        for name, table in _named(where, "devices", tables):
            devices[name] = _device(f"{where}: devices.{name}", name, table, devices.get(name))
        for name, table in _named(where, "links", tables):
            links[name] = _link(f"{where}: links.{name}", name, table, links.get(name))
    return Catalogue(devices, links)


def parse_link(text: str) -> LinkProfile:
    """A link in tc-netem's words: `"delay 10ms 2ms rate 20mbit loss 1%"`. `UserError` for what cannot be read."""
    words = text.split()
    if "netem" in words:
        words = words[words.index("netem") + 1 :]
    figures: dict[str, float] = {}

    def take(name: str, value: str) -> None:
        if name in figures:
            raise UserError(f"link {text!r}: {name} is given twice")
        figures[name] = _figure(f"link {text!r}: {name}", _LINK[name], value)

    while words:
        word = words.pop(0)
        if word not in ("delay", "rate", "loss"):
            raise unknown(f"word in link {text!r}:", word, ("delay", "rate", "loss"))
        if word == "loss" and words and words[0] == "random":
            words.pop(0)
        if not words:
            raise UserError(f"link {text!r}: {word} needs a value, like {word} {_LINK[word].like}")
        take(word, words.pop(0))
        if word == "delay" and words and _is_number(words[0]):
            take("jitter", words.pop(0))
        if words and _is_number(words[0]):
            raise UserError(
                f"link {text!r}: {words[0]} is one value too many after {word}: correlation and overhead "
                "are not modelled"
            )
    if not figures:
        raise UserError(f"link {text!r} says nothing: write it like delay 10ms 2ms rate 20mbit loss 1%")
    return LinkProfile(text, text, sources={}, **figures)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"profiles {path}: there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"profiles {path} cannot be read: {error}") from None


def _named(where: str, kind: str, tables: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The tables of all devices, or links."""
    inside = tables.get(kind, {})
    if not isinstance(inside, dict):
        raise UserError(f"{where}: {kind} {inside!r}: write tables like [{kind}.name]")
    for name, table in inside.items():
        if not _NAME.fullmatch(name):
            raise UserError(f"{where}: {kind} name {name!r}: only letters, digits, and any of _ . + -")
        if not isinstance(table, dict):
            raise UserError(f"{where}: {kind}.{name} {table!r}: write a table [{kind}.{name}]")
        yield name, table


def _device(where: str, name: str, table: Mapping[str, Any], base: DeviceProfile | None) -> DeviceProfile:
    given, sources = _fields(where, table, _DEVICE, ("trains", "reason"))
    known = {} if base is None else {key: getattr(base, key) for key in (*_DEVICE, "title", "trains", "reason")}
    merged: dict[str, Any] = {"title": name, "trains": True, "reason": ""} | known | given
    if missing := [key for key in _DEVICE if key not in merged]:
        raise UserError(f"{where}: {missing[0]} is missing: give it like {_DEVICE[missing[0]].like}")
    merged["ram"] = int(merged["ram"])
    if merged["ram"] < 1:
        raise UserError(f"{where}.ram {merged['ram']}: has to be at least one byte, like {_DEVICE['ram'].like}")
    if not isinstance(merged["trains"], bool):
        raise UserError(f"{where}.trains {merged['trains']!r}: write true or false")
    if merged["trains"]:
        merged["reason"] = ""
    elif not merged["reason"]:
        raise UserError(f"{where}: trains = false needs a reason: say why it cannot train")
    idle, active = merged["idle_watts"], merged["active_watts"]
    if active < idle:
        raise UserError(f"{where}.active_watts {active:g}: has to be at least idle_watts, which is {idle:g}")
    return DeviceProfile(name, sources=_kept(base, given) | sources, **merged)


def _link(where: str, name: str, table: Mapping[str, Any], base: LinkProfile | None) -> LinkProfile:
    given, sources = _fields(where, table, _LINK)
    known = {} if base is None else {key: getattr(base, key) for key in (*_LINK, "title")}
    merged: dict[str, Any] = {"title": name} | known | given
    if not any(key in merged for key in _LINK):
        raise UserError(f"{where} says nothing: give at least one of {', '.join(_LINK)}")
    return LinkProfile(name, sources=_kept(base, given) | sources, **merged)


def _kept(base: DeviceProfile | LinkProfile | None, given: Mapping[str, Any]) -> dict[str, str]:
    """Sources of what is not given anew."""
    return {} if base is None else {key: text for key, text in base.sources.items() if key not in given}


def _fields(
    where: str, table: Mapping[str, Any], quantities: Mapping[str, _Quantity], others: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a table, in base units, and where they are from."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, value in table.items():
        if key not in (known := ("title", *quantities, *others)):
            raise unknown(f"field in {where}:", key, known)
        if isinstance(value, dict):
            for inner in value:
                if inner not in ("value", "source"):
                    raise unknown(f"field in {where}.{key}:", inner, ("value", "source"))
            if "value" not in value:
                raise UserError(f"{where}.{key}: value is missing: write {{value = ..., source = ...}}")
            if "source" in value:
                sources[key] = _text(f"{where}.{key}.source", value["source"])
            value = value["value"]
        if key in quantities:
            values[key] = _figure(f"{where}.{key}", quantities[key], value)
        else:
            values[key] = value if key == "trains" else _text(f"{where}.{key}", value)
    return values, sources


def _figure(where: str, quantity: _Quantity, value: object) -> float:
    try:
        return quantity.read(value)
    except ValueError as error:
        raise UserError(f"{where} {value!r}: {error}") from None


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where} {value!r}: write a text in quotes")
    return value


def _is_number(word: str) -> bool:
    """Whether it was meant as a figure, not as the next word."""
    return word[0] in "+-.0123456789"
