"""The engines that have a name. A new engine is one entry here. It is imported when it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipepita.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipepita.pipeline.engine import Engine


@dataclass(frozen=True)
class Wanted:
    """What an engine is to be like.

    Attributes:
        stages: How many stages its pipelines have at most.
        device: "auto", "cpu" or "cuda".
        address: Of an existing cluster; None for none.
        placement: Which nodes the stages go to: see `engines.ray.placement`.
        encrypt: Whether what goes over TCP between hosts is encrypted.
    """

    stages: int
    device: str = "auto"
    address: str | None = None
    placement: str = "pack"
    encrypt: bool = False


def _local(wanted: Wanted) -> Engine:
    from pipepita.engines.local import LocalEngine

    return LocalEngine(wanted.device)


def _ray(wanted: Wanted) -> Engine:
    from pipepita.engines.ray.engine import RayEngine

    return RayEngine(
        wanted.stages, address=wanted.address, device=wanted.device, placement=wanted.placement, encrypt=wanted.encrypt
    )


ENGINES: dict[str, Callable[[Wanted], Engine]] = {"local": _local, "ray": _ray}


def check(name: str) -> None:
    """`UserError` if there is no engine called `name`."""
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)


def make(name: str, wanted: Wanted) -> Engine:
    """The engine called `name`; `UserError` for an unknown name."""
    check(name)
    return ENGINES[name](wanted)
