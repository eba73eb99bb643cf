"""The command line: parse, call the library, render. Results on stdout, everything else on stderr.

Nothing heavy is imported until a command uses it. A new command is one file here and one entry in `commands.COMMANDS`.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from pipepita.cli.commands import Commands
from pipepita.errors import PipepitaError

INTERRUPTED = 130  # the shell's code for Ctrl-C

app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def pipepita() -> None:
    """PEPITA as a pipeline: two forward passes, no backward pass, and layers that do not wait for each other."""


def main() -> NoReturn:
    """The console script: exit code 0, 1 for a run that failed, 2 for a mistake in what was asked, 130 for Ctrl-C."""
    try:
        code = typer.main.get_command(app).main(prog_name="pipepita", standalone_mode=False)
    except PipepitaError as error:
        code = _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has gone
        code = 0
    except Exception as error:
        usage = getattr(error, "format_message", None)  # click's errors are the user's
        code = _fail(usage(), 2) if usage else _fail(f"{type(error).__name__}: {error}", 1)
    sys.exit(code or 0)


def _fail(text: str, code: int) -> int:
    if text:  # click's "no arguments" has shown the help and says nothing
        print(f"error: {' '.join(text.split())}", file=sys.stderr)
    return code
