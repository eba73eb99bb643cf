"""How the class of a rule from outside gets to the actors.

If the package that holds the class is installed, as pipepita itself is, the name of the class is enough. Any other
module (a file beside the job, the script that is running) may exist only here. So its code is sent along, with the
modules that lie beside it.
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
    """From now on, what the rule's module or a module beside it defines is pickled whole, unless it is installed."""
    home = sys.modules.get(type(rule).__module__)
    folder = _folder(home)
    if home is None or folder is None or _installed(home):
        return  # what `__main__` or a module without a file defines is pickled whole anyway
    register = load_ray().cloudpickle.register_pickle_by_value
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and _folder(module) == folder and not _installed(module):
            register(module)


def _folder(module: ModuleType | None) -> Path | None:
    """The folder in which the module lies, or in which the package lies that it is part of."""
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
    """Packages that are installed although they lie elsewhere: this one may be editable, and so may those of rules."""
    return frozenset({"pipepita"} | {point.module.partition(".")[0] for point in entry_points(group=GROUP)})
