"""The command line: it parses, calls the library, and shows the result on stdout. Everything else goes to stderr.

Nothing heavy is imported until a command uses it. A new command is one file here and one entry in `commands.COMMANDS`.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from pipepita.cli.commands import Commands
from pipepita.errors import PipepitaError
from pipepita.version import __version__

INTERRUPTED = 130  # the shell's code for Ctrl-C

# Plain, since rich takes as long to import as everything else does. A command's own help has its panels.
app = typer.Typer(cls=Commands, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(asked: bool) -> None:
    if asked:
        print(f"pipepita {__version__}")
        raise typer.Exit


@app.callback()
def pipepita(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train with PEPITA as a pipeline: two forward passes, no backward pass, and layers that do not wait for others."""


def main() -> NoReturn:
    """The console script. Exit codes: 0; 1 if a run failed, 2 if the user made a mistake, 130 after Ctrl-C."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed: what is printed goes nowhere
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115, PTH123
    try:
        arguments = sys.argv[1:] or ["--help"]
        code = typer.main.get_command(app).main(arguments, prog_name="pipepita", standalone_mode=False)
        sys.stdout.flush()
    except PipepitaError as error:
        code = _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # nobody reads our output any more
        code = 0
    except OSError as error:
        code = _fail(f"{error.filename or 'standard output'} cannot be used: {error.strerror or error}", 1)
    except Exception as error:
        usage = getattr(error, "format_message", None)  # click's errors are mistakes of the user
        code = _fail(usage(), 2) if usage else _fail(f"{type(error).__name__}: {error}", 1)
    sys.exit(code or 0)


def _fail(text: str, code: int) -> int:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    return code
