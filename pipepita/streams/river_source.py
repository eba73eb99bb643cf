"""River's generators and data sets as streams."""

from __future__ import annotations

import importlib
import inspect
import os
import zipfile
from collections.abc import Hashable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipepita.errors import RunError, UserError, unknown
from pipepita.extras import need
from pipepita.streams import river_text
from pipepita.streams.items import features, pair
from pipepita.streams.river_features import CONVERT
from pipepita.streams.stream import REGRESSION, Stream, as_stream

_TASKS = ("Binary classification", "Multi-class classification", REGRESSION)  # river's names of what a stream can be
# what river offers for these, but without a fixed set of numbers for each item
_NO_NUMBERS = {
    "AirlinePassengers": "its only feature is a date",
    "BETH": "some of its features are text",
    "CriteoAds": "some of its features are text, or missing",
    "MaliciousURL": "its items do not all have the same features",
    "MovieLens100K": "some of its features are text",
    "Restaurants": "some of its features are text",
    "SMSSpam": "its only feature is text",
    "TREC07": "its features are text",
    "Taxis": "some of its features are text",
    "WaterFlow": "its only feature is a date",
}


def river(part: str) -> Any:
    """River's module `part`, imported only now; `UserError` if river is not installed."""
    need("what comes from river (streams and detectors of drift)", "river")
    try:
        return importlib.import_module(f"river.{part}")
    except ImportError as error:
        raise UserError(f"river.{part} cannot be imported ({error}): pip install 'pipepita[edge]'") from None


def river_stream(
    text: str, *, seed: int = 0, data_dir: str | Path | None = None, download: bool = False, scaled: bool = True
) -> Stream:
    """The stream of river's class `text`, like SEA, SEA(variant=1,noise=0.1) or Elec2.

    Args:
        text: The class, and its options with values as in JSON, see `river_text.read`.
        seed: For every seed that the class takes and `text` does not give.
        data_dir: Where the files lie that river does not bring along, each in a folder of its class's name. By default
            $RIVER_DATA, else river_data in the home folder, as in river.
        download: Whether a missing file is fetched.
        scaled: Whether features are standardised, by river's StandardScaler over the items so far.

    Returns:
        A stream of vectors (float32) and classes, or of vectors and the number that is to be predicted.

    Raises:
        UserError: An unknown class or option, a value of another type, a class without one label per item or without
            numbers for features, or a missing file.
        RunError: A file could not be downloaded.
    """
    name = f"river:{text}"
    kind_name, options = river_text.read(text)
    kind = _kind(kind_name)
    parameters = inspect.signature(kind).parameters
    river_text.check(kind_name, options, parameters)
    seeds = {option: seed for option in parameters if option == "seed" or option.startswith("seed_")}
    given = seeds | options
    try:
        source = kind(**given)
        if hasattr(source, "download"):
            kind = _with_file_in(kind, data_dir)
            _fetch(kind(**given), name, download)
        stream = as_stream(_Items(kind, given, scaled, name), name=name)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        raise UserError(f"{name} cannot be: {' '.join(str(error).split()) or type(error).__name__}") from None
    return replace(stream, length=source.n_samples)


def usable() -> list[str]:
    """The names of river's classes that make a stream: one label per item, and numbers for features."""
    return [name for name, kind in _kinds().items() if name not in _NO_NUMBERS and kind().task in _TASKS]


def _kind(name: str) -> Any:
    """River's class `name`; `UserError` if there is none, or no stream can be made of it."""
    kinds = _kinds()
    if name not in kinds:
        raise unknown("river stream", name, usable())
    task = kinds[name]().task
    if task not in _TASKS:
        raise UserError(f"river:{name} is for {task.lower()}: a stream needs one class or one number per item")
    if name in _NO_NUMBERS:
        raise UserError(f"river:{name}: {_NO_NUMBERS[name]}: a stream needs the same numbers in every item")
    return kinds[name]


class _Items:
    """The items of a river class. Each iteration makes a new object of it, so that the items are the same again."""

    def __init__(self, kind: type, options: dict[str, Any], scaled: bool, name: str) -> None:
        self._kind, self._options, self._scaled, self._name = kind, options, scaled, name
        source = kind(**options)
        self.task, self.n_classes = source.task, source.n_classes

    def __iter__(self) -> Iterator[tuple[dict[Hashable, float], Any]]:
        scaler, convert = river("preprocessing").StandardScaler(), CONVERT.get(self._kind.__name__)
        for index, item in enumerate(self._kind(**self._options)):
            where = f"{self._name}[{index}]"
            x, y = pair(item, where)
            numbers = features(convert(x) if convert else x, where)
            if self._scaled:
                scaler.learn_one(numbers)
                numbers = scaler.transform_one(numbers)
            yield numbers, y


def _kinds() -> dict[str, Any]:
    modules = [river(part) for part in ("datasets", "datasets.synth")]
    exported = {name: getattr(module, name) for module in modules for name in module.__all__}
    return {name: kind for name, kind in exported.items() if inspect.isclass(kind)}


def _with_file_in(kind: Any, data_dir: str | Path | None) -> Any:
    """`kind` with its file in `data_dir`. River's own `path` would create the folder as soon as it is read."""
    home = Path(data_dir or os.environ.get("RIVER_DATA") or Path("~") / "river_data").expanduser()
    place = property(lambda self: home / kind.__name__ / self.filename)
    return type(kind.__name__, (kind,), {"path": place})


def _fetch(source: Any, name: str, download: bool) -> None:
    if source.is_downloaded:
        return
    if not download:
        what = "is damaged, or another file" if source.path.exists() else "is missing"
        raise UserError(f"{name}: {source.path} {what}: fetch it from {source.url}, or allow --download")
    try:
        source.download(verbose=False)
    except (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{name} could not be downloaded to {source.path.parent}: {error}") from None
    if not source.is_downloaded:
        raise RunError(f"{name}: what {source.url} gave is not what river expects")
