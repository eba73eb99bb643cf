"""What a run that was recorded leaves behind: a trace, and a picture of a few samples."""

from __future__ import annotations

from pipepita.errors import UserError
from pipepita.rules import Rule
from pipepita.runs.listeners import Listener
from pipepita.runs.options.job import Options
from pipepita.runs.recovery import Guarded
from pipepita.schedule import Schedule
from pipepita.timeline import trace
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import Recorder


def draw(
    guarded: Guarded, recorder: Recorder, schedule: Schedule, rule: Rule, settings: Options, listener: Listener
) -> None:
    """Writes the trace and the picture of the timeline, if they were asked for. recorder: the coordinator's.

    What cannot be written costs no run that has ended: the listener is warned.
    """
    if not guarded.plan.record:
        return
    spans = guarded.ask(lambda pipeline: pipeline.timeline())
    timeline = Timeline(recorder.spans(), spans, rule.passes, rule.flow)
    listener.recorded(timeline)
    title = f"{schedule.name}, window {schedule.window}"
    try:
        if settings.trace is not None:
            trace.write({title: timeline}, settings.trace)
        if settings.timeline is not None:
            from pipepita.timeline import gantt

            gantt.draw({title: timeline}, settings.timeline)
    except UserError as error:
        listener.warn(str(error))
