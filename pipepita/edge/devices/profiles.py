"""Devices and links as data: what they can do, from `profiles.toml` in this folder and from a file of the user's own.

    [devices.NAME]                  [links.NAME]
    title, flops, bandwidth, ram,   title, delay, jitter, rate, loss
    idle_watts, active_watts,
    trains, reason, measured

A figure is a value, or `{value = ..., source = ...}`; `quantities` says how values are written.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from pipepita.edge.devices import measured_text
from pipepita.edge.devices.measured import Measured
from pipepita.edge.devices.quantities import DEVICE, LINK, Quantity, figure, is_number
from pipepita.errors import UserError, unknown
from pipepita.files import check_writable


class Watts(NamedTuple):
    """The power that a device draws while it waits, and while it computes."""

    idle: float
    active: float


@dataclass(frozen=True)
class DeviceProfile:
    """What a device can do.

    Attributes:
        flops: FP32 operations per second that matrix products reach.
        bandwidth: Bytes per second, to and from memory.
        ram: Bytes that a program can use.
        watts: The power that it draws; NaN if that is not known.
        reason: Why it cannot train, if it cannot.
        measured: What passes take there, if they were measured.
        sources: Where each figure comes from, by its field.
    """

    name: str
    title: str
    flops: float
    bandwidth: float
    ram: int
    watts: Watts
    reason: str = ""
    measured: Measured | None = field(default=None, hash=False)
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def idle_watts(self) -> float:
        """Power while it waits."""
        return self.watts.idle

    @property
    def active_watts(self) -> float:
        """Power while it computes."""
        return self.watts.active

    @property
    def trains(self) -> bool:
        """Whether it can train."""
        return not self.reason


@dataclass(frozen=True)
class LinkProfile:
    """One direction of a link.

    Attributes:
        delay, jitter: In seconds.
        rate: In bits per second; inf means no limit.
        loss: The share of packets, in [0, 0.9).
        air: The name of what it shares with other links; "" if it has its rate to itself.
    """

    name: str
    title: str
    delay: float = 0.0
    jitter: float = 0.0
    rate: float = math.inf
    loss: float = 0.0
    air: str = ""
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
        """The link of that name, or the one that `parse_link` reads; `UserError` if it is neither.

        With a name behind an @, like wifi@air1, it shares its rate with all links of which that is said, too.
        """
        if "@" in text:
            text, _, air = text.partition("@")
            link = self.link(text.strip())
            if not _NAME.fullmatch(air):
                raise UserError(f"link {text}@{air}: the name of shared air is only letters and digits, like air1")
            if link.rate == math.inf:
                raise UserError(f"link {text}@{air}: to share air it needs a rate, like wifi@{air}")
            return replace(link, air=air)
        if text in self.links:
            return self.links[text]
        if len(text.split()) > 1:
            return parse_link(text)
        raise unknown("link", text, self.links)


_NAME = re.compile(r"[\w.+-]+")  # no comma, star or blank: names stand in lists


def catalogue(path: Path | None = None) -> Catalogue:
    """The profiles that come with pipepita, changed and extended by those of a TOML file.

    A device or link that is in both keeps those figures that the file does not give.

    Raises:
        UserError: The file cannot be read, or a name, field or value in it is wrong.
    """
    built_in = resources.files("pipepita.edge.devices").joinpath("profiles.toml").read_text(encoding="utf-8")
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


def check_new(path: Path, name: str, kind: str) -> str:
    """What the file holds so far; nothing if it is not there. `UserError` if it cannot get one more called `name`.

    kind: "devices" or "links".
    """
    if not _NAME.fullmatch(name) or "." in name:
        raise UserError(f"name {name!r}: only letters, digits, and any of _ + -")
    check_writable(path, "into")
    if not path.exists():
        return ""
    if name in _read(path).get(kind, {}):
        raise UserError(f"into {path}: {kind}.{name} is there already: choose another name, or remove that one")
    return f"{path.read_text(encoding='utf-8').rstrip()}\n\n"


def parse_link(text: str) -> LinkProfile:
    """A link in tc-netem's words: `"delay 10ms 2ms rate 20mbit loss 1%"`; `UserError` if they cannot be read.

    Example:
        >>> parse_link("delay 10ms rate 20mbit").rate
        20000000.0
    """
    words = text.split()
    if "netem" in words:
        words = words[words.index("netem") + 1 :]
    figures: dict[str, Any] = {}

    def take(name: str, value: str) -> None:
        if name in figures:
            raise UserError(f"link {text!r}: {name} is given twice")
        figures[name] = figure(f"link {text!r}: {name}", LINK[name], value)

    while words:
        word = words.pop(0)
        if word not in ("delay", "rate", "loss"):
            raise unknown(f"word in link {text!r}:", word, ("delay", "rate", "loss"))
        if word == "loss" and words and words[0] == "random":
            words.pop(0)
        if not words:
            raise UserError(f"link {text!r}: {word} needs a value, like {word} {LINK[word].like}")
        take(word, words.pop(0))
        if word == "delay" and words and is_number(words[0]):
            take("jitter", words.pop(0))
        if words and is_number(words[0]):
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
    passes = {"measured": measured_text.read(f"{where}.measured", table["measured"])} if "measured" in table else {}
    given, sources = _fields(where, {k: v for k, v in table.items() if k != "measured"}, DEVICE, ("trains", "reason"))
    fields = (*DEVICE, "title", "trains", "reason", "measured")
    known = {} if base is None else {key: getattr(base, key) for key in fields}
    merged: dict[str, Any] = {"title": name, "trains": True, "reason": "", "measured": None} | known | given | passes
    if merged["measured"] is not None:  # on such a device there may be nothing that measures power
        merged = {"idle_watts": math.nan, "active_watts": math.nan} | merged
    if missing := [key for key in DEVICE if key not in merged]:
        raise UserError(f"{where}: {missing[0]} is missing: give it like {DEVICE[missing[0]].like}")
    merged["ram"] = int(merged["ram"])
    if merged["ram"] < 1:
        raise UserError(f"{where}.ram {merged['ram']}: has to be at least one byte, like {DEVICE['ram'].like}")
    if not isinstance(merged["trains"], bool):
        raise UserError(f"{where}.trains {merged['trains']!r}: write true or false")
    if merged["trains"]:
        merged["reason"] = ""
    elif not merged["reason"]:
        raise UserError(f"{where}: trains = false needs a reason: say why it cannot train")
    idle, active = merged.pop("idle_watts"), merged.pop("active_watts")
    if active < idle:
        raise UserError(f"{where}.active_watts {active:g}: has to be at least idle_watts, which is {idle:g}")
    del merged["trains"]
    return DeviceProfile(name, watts=Watts(idle, active), sources=_unchanged_sources(base, given) | sources, **merged)


def _link(where: str, name: str, table: Mapping[str, Any], base: LinkProfile | None) -> LinkProfile:
    given, sources = _fields(where, table, LINK)
    known = {} if base is None else {key: getattr(base, key) for key in (*LINK, "title")}
    merged: dict[str, Any] = {"title": name} | known | given
    if not any(key in merged for key in LINK):
        raise UserError(f"{where} says nothing: give at least one of {', '.join(LINK)}")
    return LinkProfile(name, sources=_unchanged_sources(base, given) | sources, **merged)


def _unchanged_sources(base: DeviceProfile | LinkProfile | None, given: Mapping[str, Any]) -> dict[str, str]:
    """The sources of those figures that are not given anew."""
    return {} if base is None else {key: text for key, text in base.sources.items() if key not in given}


def _fields(
    where: str, table: Mapping[str, Any], quantities: Mapping[str, Quantity], others: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a table, in base units, and their sources."""
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
            values[key] = figure(f"{where}.{key}", quantities[key], value)
        else:
            values[key] = value if key == "trains" else _text(f"{where}.{key}", value)
    return values, sources


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where} {value!r}: write a text in quotes")
    return value
