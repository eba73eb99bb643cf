import errno
import os

import pytest

from pipepita.errors import RunError
from pipepita.live.journal import Journal, read


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_lines_are_there_again_with_their_numbers(tmp_path):
    journal = Journal(tmp_path / "journal", 5)
    assert [journal.add([b"a", b"b"]), journal.add([b"c"])] == [5, 7]
    journal.dropped(6)
    journal.close()
    assert read(tmp_path / "journal") == {5: b"a", 7: b"c"}
    assert read(tmp_path / "nothing") == {}


def test_lines_may_begin_with_what_marks_dropped_ones(tmp_path):
    journal, lines = Journal(tmp_path), [b"# sensor 3", b"#0", b"\\#1", b"\\", b"1,2"]
    journal.add(lines)
    journal.dropped(3)
    journal.close()
    assert read(tmp_path) == {number: line for number, line in enumerate(lines) if number != 3}


def test_a_disk_that_takes_a_part_is_asked_again_and_one_that_is_full_is_an_error(tmp_path, monkeypatch):
    write, journal, room = os.write, Journal(tmp_path), 11

    def little(handle, content):
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(handle, bytes(content)[: min(3, room)])
        room -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", little)
        journal.add([b"aaaa", b"bbbb"])
        with pytest.raises(RunError, match="No space left"):
            journal.add([b"cccc"])
    journal.close()
    assert read(tmp_path) == {0: b"aaaa", 1: b"bbbb"}
    after = Journal(tmp_path, 2)
    after.add([b"dddd"])
    after.close()
    assert read(tmp_path) == {0: b"aaaa", 1: b"bbbb", 2: b"dddd"}


def test_a_first_line_that_was_not_written_to_its_end_is_cut_off(tmp_path):
    (tmp_path / "000000000000").write_bytes(b"half a li")
    journal = Journal(tmp_path)
    journal.add([b"a"])
    journal.close()
    assert read(tmp_path) == {0: b"a"}


def test_a_line_that_was_not_written_to_its_end_does_not_count(tmp_path):
    journal = Journal(tmp_path)
    journal.add([b"a", b"b"])
    journal.close()
    (tmp_path / "000000000000").write_bytes(b"a\nb")
    assert read(tmp_path) == {0: b"a"}
    after = Journal(tmp_path, 1)  # a run that goes on begins another file behind it
    after.add([b"c"])
    assert read(tmp_path) == {0: b"a", 1: b"c"}
    after.close()


def test_files_go_when_nothing_in_them_is_needed(tmp_path):
    journal = Journal(tmp_path)
    journal.add([b"0", b"1"])
    journal.forget(1)
    journal.add([b"2", b"3"])
    assert names(tmp_path) == ["000000000000", "000000000002"]
    journal.forget(2)
    assert names(tmp_path) == ["000000000002", "000000000004"]
    journal.forget(4)
    journal.forget(4)
    journal.add([b"4"])
    assert names(tmp_path) == ["000000000004"] and read(tmp_path) == {4: b"4"}
    journal.close()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write .*file"):
        Journal(tmp_path / "file")
