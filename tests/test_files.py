from pathlib import Path

import pytest

from pipepita.errors import UserError
from pipepita.files import check_apart, check_folder, check_picture, check_writable, write_whole


def test_a_file_in_a_folder_that_is_there(tmp_path):
    check_writable(tmp_path / "new.json", "trace")
    check_picture(tmp_path / "new.PNG", "plot")
    check_writable(None, "trace")
    check_picture(None, "plot")
    assert not list(tmp_path.iterdir())


def test_refused_before_anything_begins(tmp_path):
    with pytest.raises(UserError, match="trace .* is a folder"):
        check_writable(tmp_path, "trace")
    with pytest.raises(UserError, match="its folder does not exist"):
        check_writable(tmp_path / "no" / "x", "trace")
    with pytest.raises(UserError, match="plot .*ends in .png"):
        check_picture(tmp_path / "x.bmp", "plot")


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_whole(path, b"before")
    link = tmp_path / "link"
    link.symlink_to(path)
    write_whole(link, b"through")
    assert path.read_bytes() == b"through"
    assert link.is_symlink()

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"through"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "link"]
    with pytest.raises(UserError, match="cannot be written"):
        write_whole(tmp_path / "no" / "a", b"")


def test_two_outputs_need_two_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_apart({"--plot": Path("a.png"), "--page": Path("b.html"), "--trace": None, "--timeline": None})
    with pytest.raises(UserError, match="--page .*a.png is the file of --plot, too"):
        check_apart({"--plot": Path("a.png"), "--page": tmp_path / "a.png"})


def test_a_file_is_no_folder(tmp_path):
    check_folder(tmp_path, "--out")
    check_folder(tmp_path / "new", "--out")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--out .*file is no folder: name another one"):
        check_folder(tmp_path / "file", "--out")
