"""Timelines as Chrome trace events, which Perfetto (ui.perfetto.dev) opens.

There is one row per stage and one for the coordinator. Passes are coloured by their name and show the sample's number.
Arrows go along the messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipepita.files import write_whole
from pipepita.schedule import Flow
from pipepita.timeline.reading import Timeline
from pipepita.timeline.recorder import DATA, OTHER, PASS, RECEIVE, SEND, UPDATE, Spans

# Names of the trace viewer's palette: https://chromium.googlesource.com/catapult/+/HEAD/tracing/tracing/base
_COLOURS = ("thread_state_running", "thread_state_iowait", "rail_animation")
_UPDATE_COLOUR, _WAIT_COLOUR, _SEND_COLOUR, _DATA_COLOUR = "good", "grey", "generic_work", "terrible"


def write(timelines: Mapping[str, Timeline], path: Path) -> None:
    """Writes one JSON object, in which each timeline is a process with its title.

    Raises `UserError` if the file cannot be written.
    """
    events = [
        event for pid, (title, timeline) in enumerate(timelines.items()) for event in _events(title, timeline, pid)
    ]
    write_whole(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}).encode())


def _events(title: str, timeline: Timeline, pid: int) -> Iterator[dict[str, Any]]:
    rows = [timeline.coordinator, *timeline.stages]
    start = min((int(spans.rows["begin"].min()) for spans in rows if len(spans.rows)), default=0)
    yield _label("process_name", pid, 0, title)
    for row, spans in enumerate(rows):
        holds = f" ({spans.holds})" if spans.holds else ""
        yield _label("thread_name", pid, row, "coordinator" if row == 0 else f"stage {row - 1}{holds}")
        yield {"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": row, "args": {"sort_index": row}}
        for span in spans.rows:
            yield {**_slice(spans, span, start, timeline.passes), "pid": pid, "tid": row}
    for arrow in _arrows(timeline, start):
        yield {**arrow, "id": f"{pid}.{arrow['id']}", "pid": pid}


def _label(kind: str, pid: int, row: int, text: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": pid, "tid": row, "args": {"name": text}}


def _slice(spans: Spans, span: np.void, start: int, passes: tuple[str, ...]) -> dict[str, Any]:
    name, phase, step = spans.names[int(span["name"])], int(span["phase"]), int(span["step"])
    words = {
        RECEIVE: (f"wait {name} {step}", _WAIT_COLOUR),
        PASS: (f"{name} {step}", _COLOURS[passes.index(name) % len(_COLOURS)] if name in passes else _WAIT_COLOUR),
        UPDATE: (f"update {step}", _UPDATE_COLOUR),
        SEND: (f"send {name} {step}", _SEND_COLOUR),
        OTHER: (f"gather {step}", _WAIT_COLOUR),
        DATA: (f"wait for data {step}", _DATA_COLOUR),
    }
    text, colour = words[phase]
    arguments = {"sample": step, **({"layer": int(span["layer"])} if span["layer"] else {})}
    return {
        "ph": "X", "name": text, "cat": name, "cname": colour, "args": arguments,
        "ts": (int(span["begin"]) - start) / 1000, "dur": (int(span["end"]) - int(span["begin"])) / 1000,
    }  # fmt: skip


def _arrows(timeline: Timeline, start: int) -> Iterator[dict[str, Any]]:
    """From the middle of each send to the end of the receive that took it."""
    number = 0
    for name, sender, sent, receiver, received in _messages(timeline):
        for step in sorted(sent.keys() & received.keys()):
            number += 1
            common = {"cat": name, "name": f"{name} {step}", "id": number}
            begin, end = int(sent[step]["begin"]), int(sent[step]["end"])
            # the viewer wants both ends of an arrow inside a slice: the receive's last instant would lie on its border
            arrival = max(begin, int(received[step]["end"]) - 1)
            yield {"ph": "s", **common, "tid": sender, "ts": ((begin + end) / 2 - start) / 1000}
            yield {"ph": "f", "bp": "e", **common, "tid": receiver, "ts": (arrival - start) / 1000}


def _messages(timeline: Timeline) -> Iterator[tuple[str, int, dict[int, np.void], int, dict[int, np.void]]]:
    """(pass, sending row, its sends by step, receiving row, its receives by step) of every pair that talks."""
    rows = [timeline.coordinator, *timeline.stages]
    admit, *answers = timeline.passes
    sends = [{name: _by_step(spans, SEND, name) for name in timeline.passes} for spans in rows]
    receives = [{name: _by_step(spans, RECEIVE, name) for name in timeline.passes} for spans in rows]
    last = len(rows) - 1
    yield admit, 0, sends[0][admit], 1, receives[1][admit]
    for row in range(1, last):
        yield admit, row, sends[row][admit], row + 1, receives[row + 1][admit]
    # the coordinator cannot answer before the output has arrived
    outputs = {int(row["step"]): row for row in timeline.coordinator.of(RECEIVE)}
    yield admit, last, sends[last][admit], 0, outputs
    for answer in answers:
        down = timeline.flow is Flow.DOWN
        chain = range(last, 0, -1) if down else range(1, last + 1)
        for place, row in enumerate(chain):
            before = chain[place - 1] if place else 0
            # if its neighbour sends nothing, this stage begins with the error
            sender = before if before and sends[before].get(answer) else 0
            yield answer, sender, sends[sender][answer], row, receives[row][answer]


def _by_step(spans: Spans, phase: int, name: str) -> dict[int, np.void]:
    return {int(row["step"]): row for row in spans.of(phase, name)}
