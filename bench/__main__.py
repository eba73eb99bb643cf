"""`python -m bench`: every benchmark, one after the other; writes one JSON and one Markdown file.

Each runs in a process of its own. `--full` makes them as the tables in the READMEs were made, in about two hours on two
cores; the default is a quick look that takes minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.common import note
from pipepita.machine import machine

HERE = Path(__file__).parent


def names() -> list[str]:
    """The folders here that can be run."""
    return sorted(path.parent.name for path in HERE.glob("*/__main__.py"))


def run(name: str, full: bool) -> dict[str, Any]:
    """One benchmark's JSON. If it fails, the entry says so."""
    command = [sys.executable, "-m", f"bench.{name}", "--json", *([] if full else ["--quick"])]
    began = time.monotonic()
    done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True)
    seconds = round(time.monotonic() - began, 1)
    if done.returncode:
        return {"command": " ".join(command[1:]), "seconds": seconds, "failed": done.returncode}
    said = json.loads(done.stdout)
    return {"command": " ".join(command[1:]), "seconds": seconds, "rows": said["rows"], "table": said["table"]}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of them; all by default: {', '.join(names())}")
    parser.add_argument("--full", action="store_true", help="the way the tables in the READMEs were made")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for bench.json and bench.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names()):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}: one of {', '.join(names())}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"machine": machine(), "full": arguments.full, "benchmarks": {}}
    for name in arguments.names or names():
        note(f"== {name}")
        results["benchmarks"][name] = run(name, arguments.full)
        # after each one, so that an interrupted run leaves what it has
        (arguments.out / "bench.json").write_text(json.dumps(results, indent=1))
        (arguments.out / "bench.md").write_text(_page(results))
    note(f"written to {arguments.out / 'bench.json'} and {arguments.out / 'bench.md'}")
    return int(any("failed" in one for one in results["benchmarks"].values()))


def _page(results: dict[str, Any]) -> str:
    parts = ["# Benchmarks\n", f"{results['machine']}\n"]
    for name, one in results["benchmarks"].items():
        said = one.get("table") or f"failed with exit code {one['failed']}"
        parts += [f"## {name}\n", f"`python {one['command']}`, {one['seconds']} s\n", f"{said}\n"]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
