import time

from pipepita.timeline.recorder import PASS, RECEIVE, SEND, Recorder, Silent, coordinator_recorder, stage_recorder


def test_each_span_begins_where_the_last_one_ended():
    recorder, before = Recorder(10), time.perf_counter_ns()
    recorder.start()
    for phase in (RECEIVE, PASS, SEND):
        recorder.lap(phase, "standard", 7, layer=3 if phase == PASS else 0)
    rows = recorder.spans().rows
    assert list(rows["phase"]) == [RECEIVE, PASS, SEND]
    assert list(rows["layer"]) == [0, 3, 0]
    assert set(rows["step"]) == {7}
    assert before <= rows["begin"][0] and rows["end"][-1] <= time.perf_counter_ns()
    assert list(rows["begin"][1:]) == list(rows["end"][:-1])


def test_keeps_the_latest_oldest_first():
    recorder = Recorder(4)
    recorder.start()
    for step in range(11):
        recorder.lap(PASS, "standard", step)
    assert list(recorder.spans().rows["step"]) == [7, 8, 9, 10]


def test_spans_by_phase_pass_and_layer():
    recorder = Recorder(10)
    recorder.start()
    recorder.lap(PASS, "standard", 0, 1)
    recorder.lap(PASS, "modulated", 0, 1)
    recorder.lap(PASS, "standard", 1, 2)
    spans = recorder.spans()
    assert len(spans.of(PASS)) == 3
    assert list(spans.of(PASS, "standard")["step"]) == [0, 1]
    assert list(spans.of(PASS, "standard", 2)["step"]) == [1]
    assert not len(spans.of(PASS, "backward"))
    assert spans.shifted(5).rows["end"][0] == spans.rows["end"][0] + 5


def test_silent_keeps_nothing():
    for recorder in (Silent(), stage_recorder(0, 4), coordinator_recorder(0)):
        recorder.start()
        recorder.lap(PASS, "standard", 0)
        assert not len(recorder.spans().rows)


def test_room_for_every_span_of_the_samples():
    recorder = stage_recorder(3, 2)
    recorder.start()
    for step in range(3):
        for _ in range(2 + 2 + 2 * 3):
            recorder.lap(PASS, "standard", step)
    assert list(recorder.spans().rows["step"]).count(0) == 10
