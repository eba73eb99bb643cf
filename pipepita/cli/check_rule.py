"""`pipepita check-rule`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pipepita.cli.words import JSON_HELP
from pipepita.errors import RunError

if TYPE_CHECKING:
    from pipepita.testing import Verdict

_RULE_HELP = "learning rule, like pepita:modulate=all, my_rule:MyRule or path/to/my_rule.py:MyRule"


def check_rule(
    rule: Annotated[str, typer.Argument(metavar="RULE", help=_RULE_HELP, show_default=False)],
    *,
    local: Annotated[
        bool, typer.Option("--local", help="skip the checks with Ray actors, which take most of the time")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Check that a learning rule keeps its contract; it may be your own.

    The rule trains a small fully connected and a small convolutional network for a moment, with one and with several
    samples in flight. For each of the two, every split into stages and every engine must end with the same bits; and
    relaxed must end with those of locked. If a check fails, the output says what is wrong, and the exit code is 1.
    """
    from pipepita.rules import read, reference

    made = read(rule)

    from pipepita.testing import checks

    verdicts = []
    for verdict in checks(made, ray=not local):
        verdicts.append(verdict)
        if not as_json:
            _show(verdict)
    failed = [verdict.name for verdict in verdicts if verdict.failures]
    if as_json:
        print(json.dumps({"rule": reference(made), "passed": not failed, "checks": [asdict(one) for one in verdicts]}))
    if failed:
        raise RunError(f"rule {rule} breaks the contract: {', '.join(failed)}")


def _show(verdict: Verdict) -> None:
    word = "passed" if verdict.passed else "failed" if verdict.failures else "not run"
    seconds = f"{verdict.seconds:5.1f} s" if verdict.reached else ""
    print(f"{word:<8} {verdict.name:<34} {seconds}".rstrip(), flush=True)
    for line in (*([verdict.note] if verdict.note else []), *verdict.failures):
        print(f"         {line}", flush=True)
