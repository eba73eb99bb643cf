from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread

from pipepita.timeline import gantt
from pipepita.timeline.recorder import PASS, SEND, UPDATE, Spans


def test_blocks_join_the_layers_of_a_stage_and_leave_waiting_out(timeline):
    blocks = gantt._blocks(timeline.stages[0].rows)
    standard, modulated = (timeline.stages[0].names.index(name) for name in timeline.passes)
    ms = 1_000_000
    assert blocks[:4] == [
        (PASS, 0, standard, 4 * ms, 8 * ms),
        (SEND, 0, standard, 8 * ms, 9 * ms),
        (PASS, 0, modulated, 18 * ms, 20 * ms),
        (SEND, 0, modulated, 20 * ms, 21 * ms),
    ]
    assert blocks[4] == (UPDATE, 0, modulated, 21 * ms, 25 * ms)
    assert len(blocks) == 10


def test_interval_is_from_one_admission_to_another(timeline):
    assert gantt._interval(timeline, 1) == (4_000_000, 44_000_000)


def test_the_interval_is_a_usual_one(timeline):
    """A stretch in which something stalled once would be taken for the schedule."""
    ms = 1_000_000
    admitted = np.cumsum([0, *(10, 11) * 5, 90, *(10, 11) * 5]) * ms  # the middle one stalls
    rows = np.zeros(len(admitted), timeline.stages[0].rows.dtype)
    rows["phase"], rows["layer"], rows["begin"] = PASS, 1, admitted
    rows["name"], rows["end"] = timeline.stages[0].names.index(timeline.passes[0]), admitted + ms
    begin, end = gantt._interval(replace(timeline, stages=[Spans(timeline.stages[0].names, rows)]), 4)
    assert end - begin == 42 * ms


def test_rows_say_which_layers_they_are(timeline):
    figure = Figure()
    gantt.paint({"relaxed": timeline}, figure, samples=1)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["layers 1 to 2", "layer 3"]


def test_waits_for_data_that_can_be_seen(timeline):
    ms = 1_000_000
    assert list(gantt._waits(timeline, 4 * ms, 44 * ms)["step"]) == [1]  # from 40 to 41 ms
    assert not len(gantt._waits(timeline, 4 * ms, 604 * ms))  # too short for such a long picture


def test_one_panel_per_schedule(timeline, tmp_path):
    for titles in (["relaxed"], ["locked", "relaxed", "streaming"]):
        path = tmp_path / f"{len(titles)}.png"
        gantt.draw(dict.fromkeys(titles, timeline), path, samples=1)
        picture = imread(path)
        assert picture.ndim == 3
        assert picture[..., :3].std() > 0.05  # not blank
    assert imread(tmp_path / "3.png").shape[0] > imread(tmp_path / "1.png").shape[0]
