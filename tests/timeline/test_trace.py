import json
from dataclasses import replace

import pytest

from pipepita.timeline import trace


def test_what_perfetto_needs(timeline, tmp_path):
    path = tmp_path / "trace.json"
    trace.write({"relaxed": timeline}, path)
    events = json.loads(path.read_text())["traceEvents"]
    rows = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert rows == {0: "coordinator", 1: "stage 0 (layers 1 to 2)", 2: "stage 1 (layer 3)"}
    slices = [event for event in events if event["ph"] == "X"]
    assert {"standard 0", "modulated 1", "update 1", "send standard 0"} <= {event["name"] for event in slices}
    waits = [
        (event["name"], event["tid"], event["dur"]) for event in slices if event["name"].startswith("wait for data")
    ]
    assert waits == [("wait for data 0", 0, 1000), ("wait for data 1", 0, 1000)]
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in slices)
    first = next(event for event in slices if event["name"] == "standard 0")
    assert (first["tid"], first["ts"], first["dur"], first["args"]) == (1, 4000, 2000, {"sample": 0, "layer": 1})


@pytest.mark.parametrize("early", [0, 1, 2])
def test_time_begins_with_the_row_that_begins_first(timeline, tmp_path, early):
    rows = [timeline.coordinator, *timeline.stages]
    rows[early] = rows[early].shifted(-3_000_000)
    trace.write({"relaxed": replace(timeline, coordinator=rows[0], stages=rows[1:])}, tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    begins = [min(event["ts"] for event in events if event["ph"] == "X" and event["tid"] == row) for row in range(3)]
    assert begins == [0 if row == early else 3000 for row in range(3)]


def test_arrows_lead_from_sends_to_receives(timeline, tmp_path):
    """Each arrow begins and ends inside a slice of its row: otherwise a viewer drops it."""
    path = tmp_path / "trace.json"
    trace.write({"relaxed": timeline}, path)
    events = json.loads(path.read_text())["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert starts.keys() == ends.keys()
    way = [(starts[i]["tid"], ends[i]["tid"], starts[i]["name"]) for i in starts if starts[i]["name"].endswith(" 0")]
    assert sorted(way) == [
        (0, 1, "modulated 0"), (0, 1, "standard 0"), (1, 2, "modulated 0"), (1, 2, "standard 0"), (2, 0, "standard 0"),
    ]  # fmt: skip
    for number in starts:
        for arrow, word in ((starts[number], "send"), (ends[number], "wait")):
            assert any(
                s["tid"] == arrow["tid"] and s["name"].startswith(word) and s["ts"] <= arrow["ts"] <= s["ts"] + s["dur"]
                for s in slices
            )
        assert starts[number]["ts"] <= ends[number]["ts"]


def test_several_schedules_side_by_side(timeline, tmp_path):
    path = tmp_path / "trace.json"
    trace.write({"locked": timeline, "relaxed": timeline}, path)
    events = json.loads(path.read_text())["traceEvents"]
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names == {0: "locked", 1: "relaxed"}
    assert len({event["id"] for event in events if event["ph"] == "s"}) == 2 * 10
