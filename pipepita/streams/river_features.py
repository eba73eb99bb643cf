"""Numbers for the few river classes of which some features are texts or dates. A new one is one entry in `CONVERT`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

Features = Mapping[Hashable, Any]

_TEXTS_OF_MV: dict[int, tuple[str, ...]] = {3: ("brown", "green", "red"), 7: ("yes",), 8: ("large",)}


def _mv(x: Features) -> Features:
    """Each text becomes a number for each word that it may be (but one of two says all): 1 if it is this word."""
    return {key: value for key, value in x.items() if key not in _TEXTS_OF_MV} | {
        f"{key}:{word}": float(x[key] == word) for key, words in _TEXTS_OF_MV.items() for word in words
    }


def _bikes(x: Features) -> Features:
    """The weather, which is described by numbers, too, and the hour; without the names of stations."""
    weather = {key: x[key] for key in ("clouds", "humidity", "pressure", "temperature", "wind")}
    return weather | {"hour": x["moment"].hour + x["moment"].minute / 60}


CONVERT: dict[str, Callable[[Features], Features]] = {"Bikes": _bikes, "Mv": _mv}
