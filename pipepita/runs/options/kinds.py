"""Whether arguments are of the kinds that `train` and what measures it take."""

from __future__ import annotations

from pipepita.data import Data
from pipepita.errors import UserError
from pipepita.runs.listeners import Listener


def check_kinds(
    data: object, rule: object, engine: object = "local", stop: object = bool, observer: object = None
) -> None:
    """Raises `UserError` if an argument is of another kind."""
    if not isinstance(data, Data):
        raise UserError(
            f"data is {type(data).__name__}: pass a pipepita.Data (Data.of takes torch data sets), or a name"
        )
    check_actors(rule, engine, observer)
    if not callable(stop):
        raise UserError(f"stop is {stop!r}: pass a function that says whether to stop")


def check_actors(rule: object, engine: object, observer: object) -> None:
    """The same for what learns, where it learns, and who is told."""
    if isinstance(rule, type) or not hasattr(rule, "learner"):
        raise UserError(f"rule is {rule!r}: pass a rule, like pipepita.Pepita()")
    if isinstance(engine, type) or not (isinstance(engine, str) or hasattr(engine, "open")):
        raise UserError(f"engine is {engine!r}: pass 'ray', 'local', or an open engine")
    if observer is not None and not isinstance(observer, Listener):
        raise UserError(f"observer is {observer!r}: pass a pipepita.runs.listeners.Listener")
