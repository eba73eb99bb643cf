"""Brings an online job to life: its network, its source, its folder; anew, or from the last checkpoint of a run."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import torch

from pipepita.edge.chain import assign
from pipepita.edge.work import counted
from pipepita.errors import UserError
from pipepita.live.beginning import Beginning, Desk, Net
from pipepita.live.counts import Counts
from pipepita.live.inbox import Inbox
from pipepita.live.items import Parser
from pipepita.live.job import OnlineJob
from pipepita.live.pairs import Pairs
from pipepita.live.past import Past
from pipepita.live.record import Record
from pipepita.live.run import Online
from pipepita.live.source import Again, Complain, Lines, Source, reader
from pipepita.live.sources import open_source
from pipepita.network import spec
from pipepita.network.modules import describe, leaves
from pipepita.network.norms import check_batches
from pipepita.network.partition import in_words
from pipepita.pipeline.engine import Engine
from pipepita.rules.epochless import check_epochless
from pipepita.runs.listeners import Listener
from pipepita.runs.options.reading import checked
from pipepita.runs.options.settled import settle
from pipepita.runs.place import Where
from pipepita.runs.store.folder import RunFolder, fresh, last_checkpoint, read_run
from pipepita.streams import prequential
from pipepita.streams.targets import targets_of
from pipepita.version import __version__

# the options that a resumed run may change
CHANGEABLE = (
    "source",
    "engine",
    "stages",
    "placement",
    "address",
    "encrypt",
    "max_restarts",
    "samples",
    "rate",
    "order",
)
# The thread that learns gives Python's lock away whenever it writes, and by default would get it back from the thread
# that reads lines only after 5 ms: `sys.setswitchinterval`.
SWITCH_SECONDS = 0.0002
# asked whether to stop; returns the summary
Started = Callable[[Callable[[], bool]], dict[str, Any]]


def begin(
    job: OnlineJob, out: TextIO, complaints: Callable[[Counts], Complain], observer: Listener,
    engine: Engine | None = None,
) -> Started:  # fmt: skip
    """Prepares a new run, which begins when what this returns is called. `UserError` if the job is wrong.

    out: gets the predictions, as lines of JSON. engine: an open one, instead of that which the job names.
    """
    folder = RunFolder(job.run_dir or fresh(f"online-{job.source or job.stream}-{job.network}"))
    return _prepare(job, folder, Past(), out, complaints, observer, engine)


def again(
    run_dir: Path, changes: dict[str, Any], out: TextIO, complaints: Callable[[Counts], Complain],
    observer: Listener,
) -> Started:  # fmt: skip
    """Prepares to go on with a run from its last checkpoint, when what this returns is called.

    Args:
        run_dir: The run's folder.
        changes: Options that are given anew, of those in `CHANGEABLE`.
        out: Gets the predictions, as lines of JSON.
        complaints: Told of each line that is of no use.
        observer: Told how the run goes.

    Raises:
        UserError: The folder is not that of an online run, is in use or damaged, or an option may not be changed.
    """
    about = read_run(run_dir)
    if about.get("command") != "online":
        raise UserError(f"{run_dir} is not the folder of an online run: go on with pipepita train --resume {run_dir}")
    for name, value in changes.items():
        if name not in CHANGEABLE:
            raise UserError(f"{name} {value!r}: --resume {run_dir} keeps the run's own, so leave it out")
    folder = RunFolder.reopen(run_dir)
    try:
        job: OnlineJob = checked(OnlineJob, {**about["job"], "run_dir": str(run_dir), **changes})
        checkpoint, damaged = last_checkpoint(run_dir, resumable=True)
        for line in damaged:
            observer.warn(line)
        past = Past.of(run_dir, checkpoint)
        step = past.resumption.progress.step
        folder.event("resume", step=step, changes={name: str(value) for name, value in changes.items()})
        return _prepare(job, folder, past, out, complaints, observer)
    except (KeyError, TypeError, ValueError) as error:
        folder.release()
        raise UserError(f"{run_dir} does not fit together: {error}") from None
    except BaseException:
        folder.release()
        raise


def _prepare(
    job: OnlineJob, folder: RunFolder, past: Past, out: TextIO, complaints: Callable[[Counts], Complain],
    observer: Listener, engine: Engine | None = None,
) -> Started:  # fmt: skip
    rule = job.make_rule()
    check_epochless(rule)
    if job.source is None:
        stream = job.items(1)
        shape, classes, regression = stream.item_shape, stream.classes, stream.regression
    else:
        shape, regression = job.shape, job.regression
        classes = (job.outputs or 1) if regression else job.classes or 2
    counts = Counts(prequential(regression, job.sliding, detector=job.detector, seed=job.seed))
    targets = targets_of(regression, classes)
    targets.load(dict(past.targets))
    parser = Parser(shape, classes, past.names, regression=regression)
    model = job.build(shape, classes, rule)
    check_batches(leaves(model), 0, job.batch_size)
    spec.initialise(model, job.seed, job.init)
    settled = settle(model, shape, classes, rule, job.options(), regression=regression)
    if job.devices_named:
        chain, works = job.chain(), counted(settled.task, job.batch_size)
        stages = in_words(assign(chain, works, settled.schedule.window, job.assign))
        settled = replace(settled, settings=settled.settings.model_copy(update={"stages": stages}))
    waiting, complain = past.waiting(parser), complaints(counts)
    source: Source
    lines: Lines | None = None
    if job.source is None:
        done = past.position
        times = None if job.rate is None else job.arriving(job.rate * job.batch_size)
        source = Pairs(itertools.islice(stream, done, None), times, done)
    else:
        source = lines = open_source(job.source, complain, folder.path.name)
        if kept := past.unread:
            source = Again(kept, lines)
    record = Record(out, lines, past, job.keep_checkpoints, parser.names)
    desk = Desk(
        Inbox(job.queue, job.policy), counts, record.predicted, job.unlabelled, job.limit, parser.names, record,
        reader(parser, complain), targets,
    )  # fmt: skip
    about = {
        "command": "online",
        "network": job.network,
        "dataset": job.source or job.stream,
        "version": __version__,
        "torch": torch.__version__,
        "model": describe(model),
        "item_shape": list(shape),
        "classes": classes,
        **({"regression": True} if regression else {}),
        "job": job.model_dump(mode="json", exclude_unset=True, exclude={"run_dir"}),
    }

    def run(stop: Callable[[], bool]) -> dict[str, Any]:
        net = Net(model, shape, classes, rule)
        online = Online(net, settled, Where(engine or job.where), desk, observer, stop)
        decided = job.decided(past.resumption.progress.step)
        beginning = Beginning(past.resumption, waiting, past.published, past.position, decided)
        return online.run(source, folder, about, beginning)

    return run
