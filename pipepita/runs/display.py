"""What people see while a run goes on: a live line on a terminal, plain lines elsewhere. All of it goes to stderr."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipepita.pipeline.scores import headline
from pipepita.pipeline.tally import Tally
from pipepita.runs.listeners import Listener

if TYPE_CHECKING:
    from rich.console import Console

    from pipepita.runs.progress import Progress
    from pipepita.runs.restart import Restart

_PLAIN_SECONDS = 10.0


class Observer(Listener):
    """Keeps silent, except for warnings. A run that is given no other observer has this one."""

    def warn(self, text: str) -> None:
        warnings.warn(text, stacklevel=_levels())

    def restarted(self, restart: Restart) -> None:
        self.warn(str(restart))


def _levels() -> int:
    """How far up the caller is who is not pipepita: a warning is to point at the user's own line."""
    frame, levels = sys._getframe(2), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("pipepita."):
        frame, levels = frame.f_back, levels + 1
    return levels


class _Console(Observer):
    """What both displays share: how far the run is, and how long the rest will take."""

    def warn(self, text: str) -> None:
        print(f"warning: {text}", file=sys.stderr)

    def begin(self, epochs: int, samples: int, summary: dict[str, Any], done: int = 0) -> None:
        self._epochs, self._samples, self._epoch, self._done = epochs, samples, 0, done
        self._began = time.monotonic()

    def epoch_begins(self, epoch: int, tally: Tally) -> None:
        self._epoch, self._epoch_began = epoch, time.monotonic()

    def _eta(self, steps: int) -> str:
        """The time left, as minutes:seconds. steps: samples of this epoch that are done."""
        total, done = self._epochs * self._samples, (self._epoch - 1) * self._samples + steps
        left = (time.monotonic() - self._began) * (total - done) / max(done - self._done, 1)
        minutes, seconds = divmod(round(left), 60)
        return f"{minutes}:{seconds:02d}"


def in_words(summary: dict[str, Any]) -> str:
    """What is trained and how, with everything that was chosen because no option said otherwise."""
    parts = [str(summary["rule_text"])]
    parts += ["normalized"] if summary["normalize"] else []
    parts += [f"dropout {summary['dropout']:g}"] if summary["dropout"] else []
    parts += [f"lr {summary['lr']:g}", str(summary["optimizer"]), f"{summary['schedule']}, window {summary['window']}"]
    return f"{summary['network']}: {'; '.join(parts)}"


def opening(summary: dict[str, Any]) -> list[str]:
    """What is said as a run begins."""
    lines, folder = [in_words(summary)], summary["run_dir"]
    if folder is not None:
        lines.append(f"run folder {folder} (if it is stopped: pipepita train --resume {folder})")
    return lines


def _so_far(tally: Tally) -> str:
    figures = tally.rounded()
    return f"accuracy {headline(figures)}" if "accuracy" in figures else headline(figures)


def _goes_on(progress: Progress) -> str:
    return f"goes on in epoch {progress.epoch}, after {progress.sample} of its samples"


class PlainDisplay(_Console):
    """One line every ten seconds and one at each epoch's end, for logs and pipes."""

    def prepares(self, text: str) -> None:
        print(text, file=sys.stderr)

    chose = prepares

    def resumes(self, progress: Progress) -> None:
        print(_goes_on(progress), file=sys.stderr)

    def begin(self, epochs: int, samples: int, summary: dict[str, Any], done: int = 0) -> None:
        super().begin(epochs, samples, summary, done)
        print(*opening(summary), sep="\n", file=sys.stderr)
        self._last = time.monotonic()

    def sample(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._last >= _PLAIN_SECONDS:
            self._last = now
            rate = tally.steps / max(now - self._epoch_began, 1e-9)
            print(
                f"epoch {self._epoch}/{self._epochs}  sample {tally.steps}/{self._samples}  {rate:.0f} samples/s  "
                f"loss {tally.loss:.4f}  {_so_far(tally)}  ETA {self._eta(tally.steps)}",
                file=sys.stderr,
            )

    def epoch_ends(self, line: dict[str, Any]) -> None:
        if line["train_loss"] is None:
            return
        unfinished = line["step"] < line["epoch"] * self._samples
        print(
            f"epoch {line['epoch']}/{self._epochs}{' (unfinished)' * unfinished}  "
            f"{line['items_per_second']:.0f} items/s  "
            f"loss {line['train_loss']:.4f}  train {headline(line, 'train_')}  test {headline(line, 'test_')}  "
            f"ETA {self._eta(self._samples)}",
            file=sys.stderr,
        )


class RichDisplay(_Console):
    """A progress bar with samples/s, loss, accuracy and the time left.

    console: where it is shown; stderr by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn(
                "{task.fields[speed]}  loss {task.fields[loss]}  train {task.fields[train]}  test {task.fields[test]}"
            ),
            TimeElapsedColumn(),
            TextColumn("ETA {task.fields[eta]}"),
            console=console or Console(stderr=True),
        )
        self._task: Any = None
        self._spinner: Any = None

    def warn(self, text: str) -> None:
        from rich.markup import escape

        self._bar.console.print(f"[yellow]warning:[/] {escape(text)}")

    def prepares(self, text: str) -> None:
        self._end_spinner()
        self._spinner = self._bar.console.status(text)
        self._spinner.start()

    def resumes(self, progress: Progress) -> None:
        self.chose(_goes_on(progress))

    def chose(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def begin(self, epochs: int, samples: int, summary: dict[str, Any], done: int = 0) -> None:
        super().begin(epochs, samples, summary, done)
        self._end_spinner()
        self._shown = 0.0
        self._bar.start()
        for line in opening(summary):
            self._bar.console.print(line, markup=False, highlight=False)
        self._task = self._bar.add_task("", total=epochs * samples, speed="", loss="-", train="-", test="-", eta="-")

    def epoch_begins(self, epoch: int, tally: Tally) -> None:
        super().epoch_begins(epoch, tally)
        self._bar.update(self._task, description=f"epoch {epoch}/{self._epochs}")

    def sample(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._shown < 0.1:
            return
        self._shown = now
        self._bar.update(
            self._task,
            completed=(self._epoch - 1) * self._samples + tally.steps,
            speed=f"{tally.steps / max(now - self._epoch_began, 1e-9):.0f} samples/s",
            loss=f"{tally.loss:.4f}",
            train=headline(tally.rounded()),
            eta=self._eta(tally.steps),
        )

    def epoch_ends(self, line: dict[str, Any]) -> None:
        self._bar.update(self._task, completed=self._epoch * self._samples, test=headline(line, "test_"))

    def end(self) -> None:
        self._end_spinner()
        self._bar.stop()

    def _end_spinner(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None


def display() -> Observer:
    """A bar if stderr is a terminal, plain lines otherwise."""
    return RichDisplay() if sys.stderr.isatty() else PlainDisplay()


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar with the time left, or one line every ten seconds if stderr is no terminal.

    Yields `advance(done, total, now)`, to be called with how many parts of how many are done, and what comes now.
    """
    if not sys.stderr.isatty():
        began = last = time.monotonic()

        def line(done: int, total: int, now: str) -> None:
            nonlocal last
            if time.monotonic() - last >= _PLAIN_SECONDS:
                last = time.monotonic()
                left = f"{(last - began) * (total - done) / done:.0f} s left" if done else "time left not known yet"
                print(f"{what} {now}: {done}/{total}, {left}", file=sys.stderr, flush=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total, now: bar.update(task, completed=done, total=total, description=f"{what} {now}")
