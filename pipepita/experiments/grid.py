"""Runs an experiment's cells: several at once on several cores. Each outcome is kept as soon as it is there."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from pipepita.data.processes import end_with_parent
from pipepita.errors import PipepitaError, RunError, UserError
from pipepita.experiments.cell import Cell, Outcome, read, run
from pipepita.progress import Progress
from pipepita.runs.interrupt import Interrupt

_POLL_SECONDS = 0.5
_to_parent: Any = None  # in a worker: the queue to its parent


def outcomes(
    cells: Sequence[Cell],
    folder: Path,
    *,
    data_dir: Path | None,
    jobs: int,
    progress: Progress,
    warn: Callable[[str], None],
) -> list[Outcome]:
    """The outcome of each cell: kept from before, or trained now.

    Args:
        cells: The cells, in the order of the outcomes.
        folder: Where outcomes are kept. It is created if need be.
        data_dir: Where data sets are. The cells of one that is missing get an outcome that says so.
        jobs: How many cells to train at once.
        progress: Called with (done, total, text).
        warn: Called with a line about each data set that is missing.

    Raises:
        RunError: A cell could not be trained. The other cells are trained and kept nevertheless.
        KeyboardInterrupt: Somebody asked to stop. Cells that were finished by then are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = [(cell, read(cell, folder)) for cell in cells]
    missing = {cell.key: cell for cell, outcome in before if outcome is None}
    absent = _absent(list(missing.values()), data_dir)
    for name, why in absent.items():
        warn(f"{name} is left out: {why}")
    todo = [cell for cell in missing.values() if _dataset(cell) not in absent]
    if todo:
        _run_all(todo, folder, data_dir, jobs, progress)
    complete = []
    for cell, kept in before:
        outcome = kept or read(cell, folder)
        if outcome is None and _dataset(cell) in absent:
            outcome = Outcome(cell, absent=absent[_dataset(cell)])
        if outcome is None:
            raise RunError(f"cell {cell.name} left no outcome in {folder}")
        complete.append(outcome)
    return complete


def _dataset(cell: Cell) -> str:
    return str(cell.options.get("dataset", "digits"))


def _absent(cells: Sequence[Cell], data_dir: Path | None) -> dict[str, str]:
    """The data sets of `cells` that cannot be loaded, and why."""
    from pipepita.data import load

    reasons = {}
    for name in dict.fromkeys(map(_dataset, cells)):
        try:
            load(name, data_dir=data_dir)
        except (UserError, RunError) as error:
            reasons[name] = str(error)
    return reasons


def _run_all(cells: Sequence[Cell], folder: Path, data_dir: Path | None, jobs: int, progress: Progress) -> None:
    failures = list[str]()
    stop = Interrupt("stopping: finished cells are kept")
    try:
        with _workers(min(jobs, len(cells))) as (pool, reports), stop:
            shares = _Shares(cells, reports)
            # the longest first, or the last one would run alone
            trains: dict[Future[str | None], Cell] = {
                pool.submit(_work, cell, folder, data_dir): cell
                for cell in sorted(cells, key=lambda cell: -cell.weight)
            }
            waiting = set(trains)
            while waiting:
                done, waiting = wait(waiting, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                if stop():  # a terminal's Ctrl-C may also have reached workers that were just starting
                    raise KeyboardInterrupt
                failures += filter(None, (future.result() for future in done))
                share = shares.now([trains[future] for future in done])
                progress(round(1000 * share), 1000, f"{len(cells) - len(waiting)} of {len(cells)} cells done")
            if stop():
                raise KeyboardInterrupt
    except BrokenProcessPool:
        if stop():
            raise KeyboardInterrupt from None
        raise RunError("a process that trained a cell died: it may have run out of memory; use fewer --jobs") from None
    if failures:  # the other cells are kept
        raise RunError(failures[0])


@contextlib.contextmanager
def _workers(count: int) -> Iterator[tuple[ProcessPoolExecutor, Any]]:
    """So many processes that train cells, and the queue of their reports. If anything fails, they are ended."""
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(reports,))
    try:
        yield pool, reports
    except BaseException:
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        reports.close()


class _Shares:
    """How far cells are, by what their workers report."""

    def __init__(self, cells: Sequence[Cell], reports: Any) -> None:
        self._cells, self._reports = {cell.key: cell for cell in cells}, reports
        self._epochs = dict.fromkeys(self._cells, 0)

    def now(self, ended: Sequence[Cell]) -> float:
        """The share of all work that is done, 0 to 1. ended: cells that have ended since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                key, count = self._reports.get_nowait()
                self._epochs[key] = count
        for cell in ended:  # its last report may still be on its way
            self._epochs[cell.key] = cell.epochs
        done = sum(cell.weight * self._epochs[key] / cell.epochs for key, cell in self._cells.items())
        return done / sum(cell.weight for cell in self._cells.values())


def _begin(to_parent: Any) -> None:
    import signal

    import torch

    end_with_parent()
    global _to_parent
    _to_parent = to_parent
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop


def _work(cell: Cell, folder: Path, data_dir: Path | None) -> str | None:
    """Trains one cell. Returns one line about what went wrong, or None."""
    try:
        run(cell, folder, data_dir, lambda epochs: _to_parent.put((cell.key, epochs)))
    except PipepitaError as error:
        return f"cell {cell.name}: {error}"
    return None
