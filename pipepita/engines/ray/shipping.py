"""How the class of a rule from outside gets to the actors: by value, since its module may be nowhere but here.

The name of a class is enough where the package that holds it is installed, as pipepita itself is. Any other module (a
file beside the job, the script that is running) is sent along, with the modules that lie beside it.
"""

from __future__ import annotations

import functools
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from pipepita.engines.ray.cluster import load_ray
from pipepita.rules import Rule
from pipepita.rules.registry import GROUP


def by_value(rule: Rule) -> None:
    """From now on what the rule's module defines, or one beside it, is pickled whole, unless it is installed."""
    home = sys.modules.get(type(rule).__module__)
    folder = _folder(home)
    if home is None or folder is None or _installed(home):
        return  # of `__main__`, and of what has no file, everything is pickled whole anyway
    register = load_ray().cloudpickle.register_pickle_by_value
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and _folder(module) == folder and not _installed(module):
            register(module)


def _folder(module: ModuleType | None) -> Path | None:
    """Where the module lies, or the whole package that it is part of."""
    file = vars(module).get("__file__") if module is not None else None
    if module is None or module.__name__ == "__main__" or not isinstance(file, str) or not Path(file).is_absolute():
        return None
    above = Path(file).parents
    depth = module.__name__.count(".") + Path(file).name.startswith("__init__.")
    return above[min(depth, len(above) - 1)]


def _installed(module: ModuleType) -> bool:
    """Whether every process of this environment can import it."""
    file = Path(module.__file__ or "")
    return module.__name__.partition(".")[0] in _packages() or any(file.is_relative_to(place) for place in _places())


@functools.cache
def _places() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@functools.cache
def _packages() -> frozenset[str]:
    """Packages that may lie elsewhere and are installed all the same: an editable one, like this one may be."""
    return frozenset({"pipepita"} | {point.module.partition(".")[0] for point in entry_points(group=GROUP)})
