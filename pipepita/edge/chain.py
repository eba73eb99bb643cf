"""A chain of devices, the links between them, and which layers each device carries.

    source, coordinator
      |
    device 1 --link 1--> device 2 --link 2--> device 3        the standard pass, and a modulated one
        ^----------------- way back -----------+              outputs, and messages to and from the coordinator

Samples arrive at the first device. The coordinator is on that device, too, so nothing travels between those two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from pipepita.edge.devices.profiles import Catalogue, DeviceProfile, LinkProfile
from pipepita.edge.words import size
from pipepita.edge.work import LayerWork, memory
from pipepita.errors import UserError
from pipepita.network.partition import balance_by
from pipepita.schedule.topology import COORDINATOR

MOST_DEVICES = 10_000
DEFAULT_LINK = "wifi"


class Link(NamedTuple):
    """Both directions of a link: away from the first device, and home to it."""

    away: LinkProfile
    home: LinkProfile


@dataclass(frozen=True)
class Chain:
    """Devices and links.

    Attributes:
        devices: From the first on.
        links: One per hop up the chain.
        back: The link between the coordinator, which is beside the first device, and any other device.
    """

    devices: tuple[DeviceProfile, ...]
    links: tuple[Link, ...] = ()
    back: Link | None = None

    @property
    def shared(self) -> set[str]:
        """The names of the air that links share."""
        both = [*self.links, *([self.back] if self.back is not None else [])]
        return {link.air for pair in both for link in pair if link.air}

    def link(self, source: int, target: int) -> LinkProfile | None:
        """The link from device `source` to `target` (from 0, or the coordinator); None if both are on one device."""
        here, there = (0 if end == COORDINATOR else end for end in (source, target))
        if here == there:
            return None
        link = self.back if COORDINATOR in (source, target) else self.links[min(here, there)]
        assert link is not None
        return link.away if here < there else link.home


def parse_chain(devices: str, link: str | None, catalogue: Catalogue) -> Chain:
    """The chain that two texts describe.

    Args:
        devices: Like "rpi4*3,orin-nano".
        link: One link for all hops, like "wifi"; or one per hop, like "wifi,gigabit,wifi", and maybe one more for the
            way back, which otherwise is the one with the longest delay. A link whose directions differ is written
            "lte/wifi": away from the first device, and home to it. All links that name the same air, like "wifi@air1",
            share it. None means `DEFAULT_LINK`.
        catalogue: The devices and links that can be named.

    Raises:
        UserError: A text cannot be read, a name is unknown, a device cannot train, there are more than `MOST_DEVICES`,
            or the number of links does not fit.

    Example:
        >>> from pipepita.edge.devices.profiles import catalogue
        >>> chain = parse_chain("rpi4*2,rpi5", "wifi", catalogue())
        >>> [device.name for device in chain.devices], len(chain.links)
        (['rpi4', 'rpi4', 'rpi5'], 2)
    """
    chosen: list[DeviceProfile] = []
    for part in devices.split(","):
        name, star, count = (text.strip() for text in part.partition("*"))
        if star and not re.fullmatch(r"[1-9]\d{0,5}", count):
            raise UserError(f"devices {devices!r}: {count!r} is no number of devices: write it like rpi4*3,orin-nano")
        chosen += [catalogue.device(name)] * (int(count) if star else 1)
    if len(chosen) > MOST_DEVICES:
        raise UserError(f"devices {devices!r}: {len(chosen)} devices: {MOST_DEVICES} are the most")
    for device in chosen:
        if not device.trains:
            raise UserError(f"device {device.name!r} cannot train: {device.reason}")
    hops = len(chosen) - 1
    if link is None:
        link = DEFAULT_LINK
    elif not hops:
        raise UserError(f"link {link!r}: one device needs none")
    links = [_both(text, catalogue) for text in link.split(",")]
    if len(links) == 1:
        links = links * hops
    elif len(links) not in (hops, hops + 1):
        raise UserError(
            f"link {link!r}: {len(links)} links for {len(chosen)} devices: one for all, {hops} (one a hop), "
            f"or {hops + 1} (the last for the way back)"
        )
    back = links.pop() if len(links) > hops else Link(*map(_slowest, zip(*links, strict=True))) if links else None
    return Chain(tuple(chosen), tuple(links), back)


def _both(text: str, catalogue: Catalogue) -> Link:
    """Both directions of a link. If there is one text for both, they are the same."""
    away, slash, home = text.partition("/")
    if "/" in home:
        raise UserError(f"link {text.strip()!r} has more than two directions: write it like lte/wifi")
    there = catalogue.link(away.strip())
    return Link(there, catalogue.link(home.strip()) if slash else there)


def _slowest(links: Iterable[LinkProfile]) -> LinkProfile:
    return max(links, key=lambda one: (one.delay, -one.rate))


def assign(chain: Chain, works: Sequence[LayerWork], window: int, by_hand: str | None = None) -> list[range]:
    """The layers of each device.

    Args:
        chain: The devices.
        works: The work of each layer.
        window: Samples in flight, which need memory.
        by_hand: How many layers each device gets, like "2,1,1". By default the slowest device is as fast as possible.

    Raises:
        UserError: There are more devices than layers, the numbers do not add up, or a device has too little RAM.
    """
    devices, layers = chain.devices, len(works)
    if len(devices) > layers:
        raise UserError(f"{len(devices)} devices for {layers} layers: each device needs at least one")
    parts = _given(by_hand, len(devices), layers) if by_hand is not None else _balanced(chain, works, window)
    for number, (device, part) in enumerate(zip(devices, parts, strict=True), 1):
        needed = memory([works[layer] for layer in part], window)
        if needed > device.ram:
            which = f"layer {part.start + 1}" if len(part) == 1 else f"layers {part.start + 1} to {part.stop}"
            raise UserError(
                f"device {number} ({device.name}) has {size(device.ram)}, but {which} with {window} samples in flight "
                f"need {size(needed)}: use more or larger devices, a smaller network, or a smaller window"
            )
    return parts


def _given(text: str, devices: int, layers: int) -> list[range]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if len(counts) != devices or sum(counts) != layers or min(counts) < 1:
        raise UserError(
            f"assign {text!r}: {devices} numbers of at least 1, one a device, that add up to {layers} layers"
        )
    ends = list(accumulate(counts))
    return [range(end - count, end) for end, count in zip(ends, counts, strict=True)]


def _balanced(chain: Chain, works: Sequence[LayerWork], window: int) -> list[range]:
    kinds = {device.name: device for device in chain.devices}
    totals = {name: [0.0, *accumulate(work.cost(device).total for work in works)] for name, device in kinds.items()}

    def cost(stage: int, part: range) -> float:
        device = chain.devices[stage]
        if memory([works[layer] for layer in part], window) > device.ram:
            return math.inf
        return totals[device.name][part.stop] - totals[device.name][part.start]

    return balance_by(len(works), len(chain.devices), cost)
