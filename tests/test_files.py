import pytest

from pipepita.errors import UserError
from pipepita.files import check_picture, check_writable


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
