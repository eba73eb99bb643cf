"""The run folder: what is run, how it goes, and its checkpoints.

RUN_DIR/run.json         network, data, rule and options; locked as long as the run is alive
        metrics.jsonl    one line per epoch
        events.jsonl     one line per restart, and one each time the run was resumed, or chose its stages anew
        status.json      how the stages are; written about every second
        order.txt        of an online run: what its schedule decided, 1 for a sample that entered and 0 for one finished
        checkpoints/     see `checkpoint`
        tensorboard/     curves, if they were asked for
        result.json      what the command printed
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from pipepita.errors import RunError, UserError
from pipepita.files import read_json, sync
from pipepita.runs.listeners import Listener

if TYPE_CHECKING:
    from pipepita.pipeline.state import State
    from pipepita.runs.progress import Progress
    from pipepita.runs.restart import Restart
    from pipepita.runs.store.checkpoint import Checkpoint
    from pipepita.runs.store.status import RunStatus

_TRIES, _TRY_SECONDS = 5, 0.1


class RunFolder:
    """One run's folder, which `create` makes.

    Raises `UserError` if `path` exists or cannot be made, `RunError` if a write fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        try:
            taken = "\0" in str(path) or path.exists() or path.is_symlink()
        except OSError as error:
            raise UserError(f"run folder {str(path)!r} cannot be made: {error.strerror}") from None
        if "\0" in str(path):
            raise UserError(f"run folder {str(path)!r} cannot be made: its name holds a null byte")
        if taken:
            raise UserError(f"run folder {path} exists: name another with --run-dir, remove it, or --resume it")

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """The folder of a run that has ended or died. `UserError` if it is no run folder, or its run is still alive."""
        read_run(path)
        folder = cls.__new__(cls)
        folder.path, folder._lock = path, None
        folder._acquire()
        return folder

    def create(self, about: dict[str, Any]) -> None:
        """Makes the folder with its run.json, which holds `about`."""
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"cannot make run folder {self.path}: {error.strerror}") from None
        self._write("run.json", about)
        self._acquire()

    def _acquire(self) -> None:
        """Locks run.json. The kernel releases the lock when this process ends, however it ends."""
        handle = os.open(self.path / "run.json", os.O_RDONLY)
        for _ in range(_TRIES):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_TRY_SECONDS)  # somebody may just be looking whether the run is alive
            except OSError as error:
                os.close(handle)
                raise RunError(f"cannot lock {self.path / 'run.json'}: {error.strerror}") from None
            else:
                self._lock = handle
                return
        os.close(handle)
        raise UserError(f"run {self.path} is still going on: wait for it, or end it first")

    def release(self) -> None:
        """Unlocks the folder: the run has ended."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def metrics(self, line: dict[str, Any]) -> None:
        """Appends one line to metrics.jsonl."""
        self._append("metrics.jsonl", line)

    def lines(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, without those that were not written to their end."""
        return self._read("metrics.jsonl")

    def _read(self, name: str) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        with contextlib.suppress(OSError):
            for line in (self.path / name).read_bytes().splitlines():
                with contextlib.suppress(ValueError, RecursionError):
                    lines.append(json.loads(line))
        return [line for line in lines if isinstance(line, dict)]

    def changes(self) -> dict[str, Any]:
        """The options that were changed when the run was resumed, each with its latest value.

        Without trace, timeline and address, which hold for one time only.
        """
        changes: dict[str, Any] = {}
        for event in self._read("events.jsonl"):
            if isinstance(event.get("changes"), dict):
                changes |= event["changes"]
        return {key: value for key, value in changes.items() if key not in ("trace", "timeline", "address")}

    def event(self, kind: str, **facts: Any) -> None:
        """Appends one line to events.jsonl."""
        self._append("events.jsonl", {"event": kind, "time": round(time.time(), 3), **facts})

    def history(self, lines: list[dict[str, Any]]) -> None:
        """Replaces what metrics.jsonl holds by `lines`."""
        self._replace("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    def order(self, decided: list[bool], step: int) -> None:
        """Appends decisions to order.txt, behind those of the samples before `step`, which are two for each."""
        if not decided:  # a schedule with a fixed order, or a rule with one pass
            return
        path = self.path / "order.txt"
        try:
            with path.open("a") as file:
                file.truncate(2 * step)
                file.write("".join("01"[enters] for enters in decided))
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}") from None

    def result(self, summary: dict[str, Any]) -> None:
        """Writes result.json."""
        self._write("result.json", summary)

    def show(self, status: RunStatus) -> None:
        """Writes status.json. A write that fails is ignored, because another one follows."""
        with contextlib.suppress(RunError):
            self._replace("status.json", json.dumps(status.model_dump(), indent=2) + "\n", synced=False)

    def checkpoint(self, state: State, about: dict[str, Any], keep: int) -> Path:
        """Writes a checkpoint; see `checkpoint.write`."""
        from pipepita.runs.store import checkpoint

        return checkpoint.write(self.path / "checkpoints", state, about, keep)

    def _append(self, name: str, line: dict[str, Any]) -> None:
        try:
            with (self.path / name).open("ab+") as file:
                if file.tell() and _last_byte(file) != b"\n":  # a line that was not written to its end stays alone
                    file.write(b"\n")
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(f"cannot write {self.path / name}: {error.strerror}") from None

    def _write(self, name: str, content: dict[str, Any]) -> None:
        self._replace(name, json.dumps(content, indent=2) + "\n")

    def _replace(self, name: str, text: str, *, synced: bool = True) -> None:
        partial = self.path / f".{name}.partial"
        try:
            with partial.open("w") as file:
                file.write(text)
                if synced:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(self.path / name)
            if synced:
                sync(self.path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise RunError(f"cannot write {self.path / name}: {error.strerror}") from None


class FolderListener(Listener):
    """Writes into `folder` what happens: one line per epoch, and one per restart. step: of the run's last snapshot."""

    def __init__(self, folder: RunFolder, step: int) -> None:
        self._folder, self._step = folder, step

    def snapshot(self, progress: Progress) -> None:
        self._step = progress.step

    def epoch_ends(self, line: dict[str, Any]) -> None:
        self._folder.metrics(line)

    def restarted(self, restart: Restart) -> None:
        self._folder.event("restart", step=self._step, **vars(restart))

    def end(self) -> None:
        self._folder.release()


def fresh(words: str, among: str = "runs") -> Path:
    """A folder in ./runs (or `among` others) that does not exist, named by the time and by what is trained."""
    stem = Path(among) / f"{time.strftime('%Y%m%d-%H%M%S')}-{re.sub(r'[^A-Za-z0-9.]+', '-', words).strip('-')}"
    path, again = stem, 1
    while path.exists():
        again += 1
        path = stem.with_name(f"{stem.name}-{again}")
    return path


def read_run(path: Path) -> dict[str, Any]:
    """The run.json of a run folder; `UserError` if there is none."""
    if not (path / "run.json").is_file():
        raise UserError(f"{path} is not a run folder: it has no run.json")
    return read_json(path / "run.json")


def alive(path: Path) -> bool:
    """Whether the run of this folder is still going on."""
    read_run(path)
    handle = os.open(path / "run.json", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def last_checkpoint(path: Path, *, resumable: bool = False) -> tuple[Checkpoint | None, list[str]]:
    """The last whole checkpoint of a run folder, and one line for each damaged one; see `checkpoint.newest`."""
    from pipepita.runs.store import checkpoint

    return checkpoint.newest(path / "checkpoints", resumable=resumable)


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)
