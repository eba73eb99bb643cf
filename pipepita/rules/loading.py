"""Loads a rule's class from `module:Class` or `path/to/file.py:Class`, and says where a class came from."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from pipepita.errors import UserError, unknown

_FILES: dict[str, Path] = {}  # the files that were loaded, by the name of their module


def load(where: str) -> type:
    """The class at `where`. Raises `UserError` if there is none, or if its module cannot be loaded."""
    place, _, name = where.rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_module(place)
    loaded: object = module
    for part in name.split("."):
        loaded = getattr(loaded, part, None)
    if loaded is None:
        rules = [key for key, value in vars(module).items() if is_rule(value) and value.__module__ == module.__name__]
        if not rules:
            raise UserError(f"rule {where}: {place} has no class {name}, and no other rule either")
        raise UserError(f"{unknown(f'rule of {place}', name, rules)}")
    if not is_rule(loaded):
        raise UserError(f"rule {where} is not a rule: it must be a class with `flow` and `learner`, see pipepita.Rule")
    assert isinstance(loaded, type)
    return loaded


def is_rule(thing: object) -> bool:
    """Whether `thing` looks like the class of a rule."""
    return isinstance(thing, type) and hasattr(thing, "flow") and callable(getattr(thing, "learner", None))


def home(kind: type) -> str:
    """Where the class `kind` can be loaded from again: the inverse of `load`."""
    place = _FILES.get(kind.__module__, kind.__module__)
    return f"{place}:{kind.__qualname__}"


def source_sha256(rule: object) -> str | None:
    """SHA-256 of the file that defines the rule's class; None if it is one of ours, or if there is no such file."""
    module = sys.modules.get(type(rule).__module__)
    file = getattr(module, "__file__", None)
    if file is None or type(rule).__module__.partition(".")[0] == "pipepita":
        return None
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return None


def _from_file(path: Path) -> ModuleType:
    try:
        path = path.expanduser().absolute()
        exists = path.is_file()
    except (OSError, RuntimeError):  # too long, or in an unknown user's home
        exists = False
    if not exists:
        raise UserError(f"rule file {path} does not exist")
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    # a name that no other module has, so that none is hidden
    name = f"{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _look_in(path.parent)  # it may import modules that lie beside the file
    sys.modules[name] = module  # a dataclass looks up its module there
    _FILES[name] = path
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name], _FILES[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise UserError(f"rule file {path} cannot be loaded: {in_words(error)}") from None
    return module


def _from_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"rule module {name!r} is not a module's name: write module:Class or path/to/file.py:Class")
    _look_in(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UserError(
                f"rule module {name} is neither installed nor in {Path.cwd()}: start in its folder, or name its file, "
                f"like path/to/{name.split('.')[0]}.py:Class"
            ) from None
        raise UserError(f"rule module {name} cannot be loaded: {in_words(error)}") from None
    except (Exception, SystemExit) as error:
        raise UserError(f"rule module {name} cannot be loaded: {in_words(error)}") from None


def _look_in(folder: Path) -> None:
    """Adds `folder` to the end of the places where modules are searched."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def in_words(error: BaseException) -> str:
    """An error in one line: its class and its message."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
