"""The commands by name. A command is loaded when it is run or its own help is shown, and not before.

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
    """Where a command is.

    Attributes:
        module: Of this package; it has a function with the command's name (with _ instead of -).
        line: What the list of commands says of it.
    """

    module: str
    line: str


COMMANDS = {
    "train": Entry("train", "Train a network."),
    "tune": Entry("tune", "Choose a job's settings by trials, on items that are held out."),
    "evaluate": Entry("train", "Measure the accuracy of a run's last checkpoint again."),
    "export": Entry("export", "Write the network of a run's last checkpoint, for inference elsewhere."),
    "status": Entry("status", "Show how a run and its stages are, while it goes on or afterwards."),
    "latency": Entry("latency", "Measure the schedules locked, relaxed and streaming side by side."),
    "plan": Entry("plan", "Predict which number of stages trains fastest here."),
    "schedule": Entry("schedule", "Draw a schedule: which layer does which pass of which sample, step by step."),
    "simulate": Entry("simulate", "Simulate online learning on a chain of edge devices."),
    "online": Entry("online", "Learn online: predict each item as it arrives, and learn once its label is known."),
    "rules": Entry("rules", "List the learning rules that have a name, and their options."),
    "check-rule": Entry("check_rule", "Check that a learning rule keeps its contract; it may be your own."),
    "profile": Entry("profile", "Measure this device, or the link to another one, for simulations."),
    "devices": Entry("devices", "List the edge devices and links that have a name, and what they can do."),
    "reproduce": Entry("reproduce", "Repeat an experiment of a paper, and compare the results with the paper's."),
}


def function(name: str) -> Callable[..., None]:
    """The command called `name`; its module is imported now."""
    module = importlib.import_module(f"pipepita.cli.{COMMANDS[name].module}")
    command: Callable[..., None] = getattr(module, name.replace("-", "_"))
    return command


class Commands(TyperGroup):
    """The group of all commands. It knows each one's name and line of help, and loads only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command as the list of commands shows it, not loaded."""
        return TyperCommand(cmd_name, short_help=COMMANDS[cmd_name].line) if cmd_name in COMMANDS else None

    def get_params(self, ctx: Any) -> Any:
        """The group's own options, which are all flags."""
        return [_bare(one) for one in super().get_params(ctx)]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Loads the command that is called; `UserError` if there is none of this name."""
        if not ctx.resilient_parsing and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise unknown("command", args[0], COMMANDS)
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else _load(name), rest


class _Command(TyperCommand):
    """A command whose help leaves room for what its options mean."""

    def get_help_option(self, ctx: Any) -> Any:
        """Puts --help into the panel "Other", if the command has panels."""
        option = super().get_help_option(ctx)
        if option is not None and any(getattr(one, "rich_help_panel", None) for one in self.params):
            option.rich_help_panel = "Other"
        return None if option is None else _bare(option)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Shows --download without --no-download, which would take a column of its own."""
        opposites = [(one, one.secondary_opts) for one in self.params]
        for one, _ in opposites:
            one.secondary_opts = []
        super().format_help(ctx, formatter)
        for one, names in opposites:
            one.secondary_opts = names


def _bare(flag: Any) -> Any:
    """The flag without the name of a value in the help: it takes none."""
    flag.metavar = ""
    return flag


def _load(name: str) -> Any:
    one, command = typer.Typer(add_completion=False, pretty_exceptions_enable=False), function(name)
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    one.command(name, cls=_Command, help=text)(with_words(command))
    return typer.main.get_command(one)
