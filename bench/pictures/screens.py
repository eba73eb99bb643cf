"""What a screen shows: a simulation's page in a browser, and a terminal in the middle of a training run."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pipepita as pp
from bench.pictures.theme import HERE
from pipepita.errors import RunError, UserError
from pipepita.pipeline.tally import Tally
from pipepita.runs.display import RichDisplay, opening

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_WIDTH, _HEIGHT = 1000, 1420  # pixels
_COLUMNS = 110
_NETWORK, _STAGES, _EPOCHS = "fc:512x4", 2, 60  # of the training run
_SECONDS = 300.0
SIMULATE = ("--devices", "rpi4*2", "--link", "wifi", "--network", "fc:64x2", "--rate", "50")


def page() -> Iterator[Path]:
    """The page that `pipepita simulate --page` writes, as a browser shows it."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise UserError(f"no browser found: one of {', '.join(_BROWSERS)} takes the picture of a page")
    path = HERE / "page.png"
    with tempfile.TemporaryDirectory() as folder:
        file, picture = Path(folder) / "chain.html", Path(folder) / "page.png"
        simulate = [sys.executable, "-m", "pipepita", "simulate", *SIMULATE, "--page", str(file)]
        _run(simulate)
        _run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}/profile", f"--window-size={_WIDTH},{_HEIGHT}", f"--screenshot={picture}",
                file.as_uri(),
            ]
        )  # fmt: skip
        if not picture.exists():
            raise RunError(f"{browser} wrote no picture of {file.name}")
        shutil.copy(picture, path)
    yield path


def _run(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS)
    if done.returncode:
        raise RunError(f"{Path(words[0]).name} failed: {(done.stderr.strip().splitlines() or ['silently'])[-1]}")


class _Still(RichDisplay):
    """Takes a picture of the display in the middle of a run."""

    def __init__(self, path: Path, command: str, when: int) -> None:
        from rich.console import Console

        super().__init__(Console(file=io.StringIO(), force_terminal=True, width=_COLUMNS))
        self._path, self._when, self._taken = path, when, False
        self._paper = Console(record=True, file=io.StringIO(), force_terminal=True, width=_COLUMNS)
        self._paper.print(f"[bold]$[/] {command}", highlight=False)

    def begin(self, epochs: int, samples: int, summary: dict[str, Any], done: int = 0) -> None:
        super().begin(epochs, samples, summary, done)
        for line in opening(summary):
            self._paper.print(line, markup=False, highlight=False)

    def sample(self, tally: Tally) -> None:
        super().sample(tally)
        if not self._taken and (self._epoch, tally.steps) >= (self._when, self._samples // 2):
            self._taken = True
            self._paper.print(self._bar.get_renderable())
            self._paper.save_svg(str(self._path), title="pipepita train", unique_id="pipepita")


def terminal() -> Iterator[Path]:
    """What a training run shows, two thirds through: how far it is, how fast, how good, and how long it will take."""
    path = HERE / "terminal.svg"
    options = f"--network {_NETWORK} --schedule streaming --stages {_STAGES} --epochs {_EPOCHS}"
    command = f"pipepita train --dataset digits {options}"
    data = pp.load("digits")
    model = pp.build(_NETWORK, data.item_shape, data.classes)
    with tempfile.TemporaryDirectory() as folder:
        still = _Still(Path(folder) / path.name, command, 2 * _EPOCHS // 3)
        pp.train(model, data, schedule="streaming", stages=_STAGES, engine="ray", epochs=_EPOCHS, observer=still)
        shutil.copy(Path(folder) / path.name, path)
    yield path
