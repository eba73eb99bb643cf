"""The engines that have a name. A new engine is one entry here. It is imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipepita.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipepita.pipeline.engine import Engine


def _local(stages: int, device: str, address: str | None, placement: str) -> Engine:
    from pipepita.engines.local import LocalEngine

    return LocalEngine(device)


def _ray(stages: int, device: str, address: str | None, placement: str) -> Engine:
    from pipepita.engines.ray.engine import RayEngine

    return RayEngine(stages, address=address, device=device, placement=placement)


ENGINES: dict[str, Callable[[int, str, str | None, str], Engine]] = {"local": _local, "ray": _ray}


def check(name: str) -> None:
    """`UserError` if there is no engine called `name`."""
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)


def make(name: str, stages: int, *, device: str, address: str | None, placement: str = "pack") -> Engine:
    """The engine called `name` for pipelines of up to `stages` stages; `UserError` for an unknown name."""
    check(name)
    return ENGINES[name](stages, device, address, placement)
