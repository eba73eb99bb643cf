"""What all groups of options have in common: how they are checked, and where the help shows them."""

from __future__ import annotations

from typing import ClassVar, get_args

from pydantic import BaseModel, ConfigDict

from pipepita.errors import UserError, unknown


class Group(BaseModel):
    """Options that belong together.

    Attributes:
        panel: The panel of the help that shows them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)

    panel: ClassVar[str]

    @classmethod
    def panel_of(cls, name: str) -> str:
        """The panel of the option `name`: that of the group that defines it, also if `cls` changes its default."""
        groups = [base for base in reversed(cls.__mro__) if issubclass(base, Group) and "panel" in vars(base)]
        return next(group.panel for group in groups if name in group.model_fields)

    @classmethod
    def switches(cls, name: str) -> bool:
        """Whether the option `name` is switched on or off, instead of being given a value."""
        annotation = cls.model_fields[name].annotation
        return annotation is bool or bool in get_args(annotation)

    @classmethod
    def unknown(cls, name: str) -> UserError:
        """The error for an option that is not one of these."""
        return unknown("option", name, cls.model_fields)
