"""The commands by name: one is loaded when it is run, or when its own help is shown, and not before.

A new command is one file here, and one entry in `COMMANDS`.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from pipepita.cli.words import with_words
from pipepita.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Callable


class Entry(NamedTuple):
    """Where a command is: a function of its name (with _ for -) in `module` of this package. line: of help."""

    module: str
    line: str


COMMANDS = {
    "train": Entry("train", "Train a network."),
    "evaluate": Entry("train", "Measure a run's last checkpoint again."),
    "status": Entry("status", "Show how a run is, and each of its stages, while it goes on or afterwards."),
    "latency": Entry("latency", "Measure locked, relaxed and streaming side by side."),
    "schedule": Entry("schedule", "Show who does what in each slot, when every pass of every layer takes one slot."),
    "simulate": Entry("simulate", "Simulate online learning on a chain of edge devices."),
    "rules": Entry("rules", "Show the learning rules that --rule knows by name, and their options."),
    "check-rule": Entry("check_rule", "Check that a learning rule, perhaps your own, keeps the contract."),
    "devices": Entry("devices", "Show the devices and links that are known, and what they can do."),
    "reproduce": Entry("reproduce", "Run a paper's experiment, and put the result next to the paper's."),
}


def function(name: str) -> Callable[..., None]:
    """The command called `name`; its module is imported now."""
    module = importlib.import_module(f"pipepita.cli.{COMMANDS[name].module}")
    found: Callable[..., None] = getattr(module, name.replace("-", "_"))
    return found


class Commands(TyperGroup):
    """A group that knows each command's name and line of help, and loads the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command as a list of commands shows it."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name].line) if cmd_name in COMMANDS else None

    def get_params(self, ctx: Any) -> Any:
        """The group's own options, which are all flags."""
        return [_bare(one) for one in super().get_params(ctx)]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called, loaded; `UserError` for an unknown one."""
        if not ctx.resilient_parsing and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise unknown("command", args[0], COMMANDS)
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else _load(name), rest


class _Command(TyperCommand):
    """A command whose help has room for what its options mean."""

    def get_help_option(self, ctx: Any) -> Any:
        """Where the other rare options are, if the command has panels."""
        option = super().get_help_option(ctx)
        if option is not None and any(getattr(one, "rich_help_panel", None) for one in self.params):
            option.rich_help_panel = "Other"
        return None if option is None else _bare(option)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Shows --download without --no-download, which would have a column of its own."""
        opposites = [(one, one.secondary_opts) for one in self.params]
        for one, _ in opposites:
            one.secondary_opts = []
        super().format_help(ctx, formatter)
        for one, names in opposites:
            one.secondary_opts = names


def _bare(flag: Any) -> Any:
    """A flag takes no value, and the help shows none."""
    flag.metavar = ""
    return flag


def _load(name: str) -> Any:
    one, command = typer.Typer(add_completion=False, pretty_exceptions_enable=False), function(name)
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    one.command(name, cls=_Command, help=text)(with_words(command))
    return typer.main.get_command(one)
