"""`python -m bench.pictures.make [NAME ...]`, or `scripts/pictures`: makes all pictures of the pages, or some.

The charts are drawn from the benchmarks' JSON files. The others come from real runs: overview, terminal and page, which
needs a browser (`apt-get install chromium`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.common import note
from bench.pictures import charts, overview, screens
from pipepita.errors import PipepitaError, unknown

PICTURES: dict[str, Callable[[], Iterator[Path]]] = {
    "overview": overview.overview,
    "speedup": charts.speedup,
    "rules": charts.rules,
    "forms": charts.forms,
    "page": screens.page,
    "terminal": screens.terminal,
}


def main() -> int:
    """Makes the named pictures, or all."""
    parser = argparse.ArgumentParser(
        prog="scripts/pictures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    for name in parser.parse_args().names or PICTURES:
        try:
            if name not in PICTURES:
                raise unknown("picture", name, PICTURES)
            for path in PICTURES[name]():
                note(f"written: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
        except PipepitaError as error:
            note(f"error: {name}: {error}")
            return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
