"""Reads ahead in worker processes, with torch's DataLoader.

workers      read the items of samples into slots of shared memory, which is allocated once
a thread     takes each finished sample, in order, copies it out of its slot, and keeps a few ready
coordinator  finds the next sample ready; or it waits, because reading takes longer than training
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Iterator
from multiprocessing import resource_tracker
from typing import Any

import cloudpickle
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pipepita.data.agenda import Agenda, Blocks, Request
from pipepita.data.processes import Processes, begin
from pipepita.data.reader import Reader, Unreadable
from pipepita.errors import RunError, UserError
from pipepita.pipeline.source import Sample

_AHEAD = 2  # samples that each worker may be ahead, as is usual for a DataLoader
_READY = 2  # samples that are kept ready on top of these
_CHECK_SECONDS = 0.2  # how often it is looked whether workers are alive while a sample is waited for
_GRACE_SECONDS = 0.3  # so long workers may take to end by themselves; they hold nothing that could be lost


class Workers:
    """A `Feed` that reads ahead in processes of its own, from the position that was last asked for. It must be closed.

    reader: what they read with. count: how many they are. most: how many items are read together at most.

    Raises `UserError` if the data sets cannot be sent to other processes, `RunError` if shared memory is short.
    """

    def __init__(self, reader: Reader, count: int, most: int) -> None:
        assert reader.item_shape is not None
        self._name, self._processes = reader.name, Processes()
        slots = torch.empty(count * _AHEAD + 1, most, *reader.item_shape)
        try:
            slots.share_memory_()
        except RuntimeError:
            raise RunError(
                f"{reader.name}: to read ahead needs {slots.nbytes >> 20} MiB of shared memory, which /dev/shm has no "
                "room for: use fewer loader_workers, a smaller batch_size, or a larger /dev/shm"
            ) from None
        self._plan, self._slots = _Plan(len(slots)), slots.numpy()
        self._changed = threading.Condition()  # guards all that follows
        self._agenda: Agenda | Blocks | None = None
        self._next, self._asked = 0, 0  # the next position, and how often reading began anew
        self._ready: deque[Sample | str] = deque()
        self._failure: str | None = None
        self._started = self._closing = False
        desk: Any = _Desk(reader, slots)
        loader: DataLoader[Any] = DataLoader(
            desk, sampler=self._plan, batch_size=None, collate_fn=_as_it_is, num_workers=count,
            prefetch_factor=_AHEAD, persistent_workers=True, multiprocessing_context=self._processes,
            worker_init_fn=begin, generator=torch.Generator(),  # else it would draw from the caller's
        )  # fmt: skip
        self._thread = threading.Thread(target=self._work, args=(loader,), name="pipepita data", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._started or self._failure)
        if self._failure:
            self.close()
            raise RunError(self._failure)

    def ahead(self, agenda: Agenda | Blocks, position: int) -> None:
        """Reading goes on by itself; it begins anew if this is another position than the next one."""
        with self._changed:
            if (agenda, position) != (self._agenda, self._next) and position < len(agenda):
                self._agenda, self._next, self._asked = agenda, position, self._asked + 1
                self._ready.clear()
                self._changed.notify_all()

    def sample(self, agenda: Agenda | Blocks, position: int) -> Sample:
        """The sample at this position. `RunError` if an item is wrong, or a worker died."""
        self.ahead(agenda, position)
        with self._changed:
            while not self._ready:
                failure = self._failure or self._dead()
                if failure:
                    raise RunError(failure)
                self._changed.wait(_CHECK_SECONDS)
            sample = self._ready.popleft()
            self._next += 1
            self._changed.notify_all()
        if isinstance(sample, str):
            raise RunError(sample)
        return sample

    def close(self) -> None:
        """Ends the workers, and with them the thread: at once, or once the DataLoader notices, after five seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_GRACE_SECONDS)
        for process in self._processes.started:
            if process.is_alive():
                process.kill()
        for process in self._processes.started:
            process.join()
        self._thread.join(_GRACE_SECONDS)

    def _work(self, loader: DataLoader[Any]) -> None:
        """What the thread does. The DataLoader is used by no other."""
        # workers inherit this: Ctrl-C is this process's to answer, which may need some more samples
        resource_tracker.ensure_running()  # it would be started with the first worker, and unblock signals here
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            iter(loader)  # starts the workers: nothing is planned yet
            with self._changed:
                self._started = True
                self._changed.notify_all()
            self._read(loader)
        except Exception as error:
            with self._changed:
                self._failure = self._dead() or f"{self._name}: workers cannot read: {error}".splitlines()[0]
                self._changed.notify_all()

    def _read(self, loader: DataLoader[Any]) -> None:
        asked: int | None = 0
        while (asked := self._begin_anew(asked)) is not None:
            for number, found in enumerate(loader):
                sample = found if isinstance(found, str) else self._copy(number % len(self._slots), found)
                self._plan.taken = number + 1
                if not self._keep(sample, asked):
                    break

    def _begin_anew(self, asked: int | None) -> int | None:
        """Waits until something else is asked for than at `asked`, and plans it. None once it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._asked != asked)
            self._plan.agenda, self._plan.first, self._plan.taken = self._agenda, self._next, 0
            return None if self._closing else self._asked

    def _keep(self, sample: Sample | str, asked: int) -> bool:
        """Waits until there is room for a sample, and keeps it. False if it is no longer wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._asked != asked or len(self._ready) < _READY)
            if self._closing or self._asked != asked:
                return False
            self._ready.append(sample)
            self._changed.notify_all()
            return True

    def _copy(self, slot: int, labels: list[int]) -> Sample:
        x = torch.empty(len(labels), *self._slots.shape[2:])
        # by NumPy, since torch would divide a large copy among threads of its own
        x.numpy()[...] = self._slots[slot, : len(labels)]
        return x, torch.tensor(labels)

    def _dead(self) -> str | None:
        """How a worker ended that should not have; None if all are alive."""
        for code in (process.exitcode for process in self._processes.started):
            if code is not None:
                how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                hint = {-signal.SIGKILL: " (out of memory?)", -signal.SIGBUS: " (/dev/shm is full?)"}.get(code, "")
                return f"{self._name}: a worker process that reads items {how}{hint}"
        return None


class _Plan:
    """The requests of an agenda from position `first` on, each with its slot.

    taken: how many were read and copied out of their slots.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self.agenda: Agenda | Blocks | None = None
        self.first = self.taken = 0

    def __iter__(self) -> Iterator[tuple[int, Request]]:
        agenda = self.agenda
        for number, position in enumerate(range(self.first, len(agenda)) if agenda is not None else ()):
            assert agenda is not None and number < self.taken + self._slots, "a slot is used again too early"
            yield number % self._slots, agenda.request(position)


class _Desk:
    """What the DataLoader takes for a data set: here a worker reads a sample into its slot, and returns its labels.

    It returns one line instead if an item is wrong.
    """

    def __init__(self, reader: Reader, slots: Tensor) -> None:
        self._name, self._slots = reader.name, slots
        self._reader: Reader | None = None
        try:
            # takes along what the main script defines, also lambdas
            self._packed = cloudpickle.dumps(reader)
        except Exception as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"{reader.name} cannot be sent to worker processes ({line}): use loader_workers=0, or open what cannot "
                "be sent when the first item is read"
            ) from None

    def __getitem__(self, place: tuple[int, Request]) -> list[int] | str:
        slot, request = place
        try:
            if self._reader is None:
                self._reader, self._packed = cloudpickle.loads(self._packed), b""
            x, labels = self._reader.read(request)
            self._slots[slot, : len(x)].copy_(x)
            return labels
        except Unreadable as error:
            return str(error)
        except Exception as error:
            return f"{self._name} cannot be read by a worker: {type(error).__name__}: {error}".splitlines()[0]


def _as_it_is(found: list[int] | str) -> list[int] | str:
    return found
