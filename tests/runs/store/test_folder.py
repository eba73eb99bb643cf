"""Files of a run's folder that grow line by line, also if the process died within a line."""

import pytest

from pipepita.runs.store.folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.create({"rule": "pepita"})
    yield made
    made.release()


def test_a_line_that_was_not_written_to_its_end_costs_no_later_one(folder):
    folder.event("resume", changes={"epochs": 2})
    with (folder.path / "events.jsonl").open("a") as file:
        file.write('{"event": "resume", "chan')
    with (folder.path / "events.jsonl").open("a") as file:
        file.write('\n3\n{"event": "resume", "changes": "abc"}\n' + "[" * 200_000)
    folder.event("resume", changes={"max_restarts": 7})
    assert folder.changes() == {"epochs": 2, "max_restarts": 7}
    folder.metrics({"epoch": 1})
    with (folder.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"epoch": 2, "\xff')
    assert folder.lines() == [{"epoch": 1}]
    folder.metrics({"epoch": 2})
    assert folder.lines() == [{"epoch": 1}, {"epoch": 2}]


def test_decisions_behind_a_snapshot_take_the_place_of_those_of_the_run_that_died(folder):
    folder.order([True, False, True, False], step=0)
    folder.order([True, True, False, False], step=1)
    assert (folder.path / "order.txt").read_text() == "10" + "1100"
    folder.order([], step=0)
    assert (folder.path / "order.txt").read_text() == "10" + "1100"
