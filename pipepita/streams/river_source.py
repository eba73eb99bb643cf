"""River's generators and data sets as streams."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import zipfile
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

from pipepita.errors import RunError, UserError, unknown
from pipepita.streams.items import features, pair
from pipepita.streams.stream import Stream, as_stream

_SINGLE = ("Binary classification", "Multi-class classification")


def river(part: str) -> Any:
    """River's module `part`, imported only now; `UserError` if river is not installed."""
    try:
        return importlib.import_module(f"river.{part}")
    except ImportError as error:
        raise UserError(f"river.{part} cannot be imported ({error}): pip install river") from None


def river_stream(
    text: str, *, seed: int = 0, data_dir: str | Path | None = None, download: bool = False, scaled: bool = True
) -> Stream:
    """The stream of river's class `text`, like SEA, SEA(variant=1,noise=0.1) or Elec2.

    Options are literals or bare words; nothing is evaluated. seed: for every seed that the class takes and `text` does
    not give. data_dir: where files lie that river does not bring along, each in a folder of its class's name; by
    default $RIVER_DATA, else river_data in the home folder, as in river. scaled: whether features are standardised.
    Raises `UserError` for an unknown class or option, a task without classes, and a file that is missing.
    """
    name = f"river:{text}"
    kind_name, options = _read(text, name)
    kinds = _kinds()
    if kind_name not in kinds:
        raise unknown("river stream", kind_name, [n for n, kind in kinds.items() if kind().task in _SINGLE])
    kind = kinds[kind_name]
    parameters = inspect.signature(kind).parameters
    for option in options:
        if option not in parameters:
            raise unknown(f"option of river:{kind_name}", option, parameters)
    seeds = {option: seed for option in parameters if option == "seed" or option.startswith("seed_")}
    given = seeds | options
    try:
        source = kind(**given)
        if source.task not in _SINGLE:
            raise UserError(f"{name} is for {source.task.lower()}: a stream needs one class an item")
        if hasattr(source, "download"):
            kind = _lying(kind, data_dir)
            _fetch(kind(**given), name, download)
        stream = as_stream(_Items(kind, given, scaled, name), name=name)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        raise UserError(f"{name} cannot be: {' '.join(str(error).split()) or type(error).__name__}") from None
    return Stream(name, stream.item_shape, stream.classes, stream.start, length=source.n_samples)


class _Items:
    """Dicts and labels of a river class, made anew each time, so that each time they are the same."""

    def __init__(self, kind: type, options: dict[str, Any], scaled: bool, name: str) -> None:
        self._kind, self._options, self._scaled, self._name = kind, options, scaled, name
        source = kind(**options)
        self.task, self.n_classes = source.task, source.n_classes

    def __iter__(self) -> Iterator[tuple[dict[Hashable, float], Any]]:
        scaler = river("preprocessing").StandardScaler()
        for index, item in enumerate(self._kind(**self._options)):
            where = f"{self._name}[{index}]"
            x, y = pair(item, where)
            numbers = features(x, where)
            if self._scaled:
                scaler.learn_one(numbers)
                numbers = scaler.transform_one(numbers)
            yield numbers, y


def _kinds() -> dict[str, Any]:
    modules = [river(part) for part in ("datasets", "datasets.synth")]
    found = {name: getattr(module, name) for module in modules for name in module.__all__}
    return {name: kind for name, kind in found.items() if inspect.isclass(kind)}


def _read(text: str, name: str) -> tuple[str, dict[str, Any]]:
    """SEA(variant=1) as ("SEA", {"variant": 1})."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
        if not isinstance(call.func, ast.Name) or call.args:
            raise ValueError
        options: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg in options:
                raise ValueError
            value = keyword.value
            options[keyword.arg] = value.id if isinstance(value, ast.Name) else ast.literal_eval(value)
        return call.func.id, options
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise UserError(f"{name} cannot be read: write it like river:SEA or river:SEA(variant=1,noise=0.1)") from None


def _lying(kind: Any, data_dir: str | Path | None) -> Any:
    """`kind` with its file in `data_dir`. River's own `path` would make the folder when asked."""
    home = Path(data_dir or os.environ.get("RIVER_DATA") or Path("~") / "river_data").expanduser()
    place = property(lambda self: home / kind.__name__ / self.filename)
    return type(kind.__name__, (kind,), {"path": place})


def _fetch(source: Any, name: str, download: bool) -> None:
    if source.is_downloaded:
        return
    if not download:
        what = "is damaged or another" if source.path.exists() else "is missing"
        raise UserError(f"{name}: {source.path} {what}: fetch it from {source.url}, or allow --download")
    try:
        source.download(verbose=False)
    except (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{name} could not be downloaded to {source.path.parent}: {error}") from None
    if not source.is_downloaded:
        raise RunError(f"{name}: what {source.url} gave is not what river expects")
