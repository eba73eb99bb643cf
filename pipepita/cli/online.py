"""`pipepita online`."""

from __future__ import annotations

import sys
from typing import Any

from pipepita.cli.options import Assignments, JobFile, RunToResume, with_options
from pipepita.errors import RunError, UserError
from pipepita.live.job import OnlineJob
from pipepita.runs.options.reading import read_changes, read_job

_SIMULATED = ("timing_only", "calibrate", "trouble", "label_delay", "forgetting", "battery", "link")


# what the help says of options whose defaults depend on others
_DEFAULTS = {"samples": "2000; with --source, as many as come", "devices": "none"}


@with_options(OnlineJob, [name for name in OnlineJob.model_fields if name not in _SIMULATED], _DEFAULTS)
def online(
    job: JobFile = None,
    *,
    assignments: Assignments = None,
    resume: RunToResume = None,
    **given: Any,
) -> None:
    """Learn online: predict each item as it arrives, and learn once its label is known.

    Items come from standard input, a TCP connection, or a stream by name, like digits. Each prediction is one JSON line
    on stdout; figures go to stderr and into the run folder. A job file may be that of a simulation: the same chain then
    runs for real, with one Ray actor per device.
    """
    from pipepita.live.display import Complaints, Display, in_words
    from pipepita.live.start import SWITCH_SECONDS, again, begin
    from pipepita.runs.interrupt import Interrupt

    if resume is not None:
        if job is not None:
            raise UserError(f"job file {job}: --resume {resume} keeps the run's own job, so leave the file out")
        started = again(resume, read_changes(given, assignments or []), sys.stdout, Complaints, Display())
    else:
        settings: OnlineJob = read_job(job, given, assignments or [], OnlineJob)
        started = begin(settings, sys.stdout, Complaints, Display())
    sys.setswitchinterval(SWITCH_SECONDS)
    with Interrupt("stopping after what has arrived (press Ctrl-C again to stop at once)") as stop:
        summary = started(stop)
    print(f"{summary['run_dir']}: {in_words(summary)}", file=sys.stderr)
    if refused := summary["refused"] if not summary["items"] else None:
        raise RunError(f"no line was of use: {sum(refused.values())} were refused ({', '.join(refused)})")
