"""`pipepita schedule` as people use it."""

import json

import pytest
from commandline import error_of, run


def test_each_pass_has_its_slot(tmp_path):
    drawn = json.loads(run("schedule", "--layers", 3, "--samples", 2, "--json", cwd=tmp_path).stdout)
    assert len(drawn["rows"]) == 3 and drawn["rows"][0][0] == "S0" and drawn["rows"][2][2] == "S0"
    assert drawn["period_slots"] < drawn["locked_period_slots"]


@pytest.mark.parametrize("option", ["--layers", "--samples"])
def test_what_is_too_large_to_draw_is_refused_at_once(tmp_path, option):
    assert f"{option} 99999999: at most 100 can be drawn" in error_of(run("schedule", option, 99999999, cwd=tmp_path))
