"""Experiments' results on their pages: each has a table of its own, beside those of the others."""

import json

import pytest

from bench import reproduced
from bench.reproduced import locality, write

PAGE = "<!-- table: result.json signs -->\n<!-- end -->\n\n<!-- table: result.json memory -->\n<!-- end -->\n"
COSTS = {"items/s, one process": 1000, "staleness": 2}


def row(place, rule, accuracy, seconds):
    found = {"network, data": place, "rule": rule, "lr": "0.001", "test %": accuracy, "over bp": "-", "over F = 0": "-"}
    return found | {"s to 90 % of bp": seconds, "s to 98 %": "-"} | COSTS


def said(rows, *files):
    return {"rows": rows, "notes": [], "files": [str(file) for file in files]}


def test_each_experiment_has_its_table_and_picture(tmp_path):
    (tmp_path / "README.md").write_text(PAGE)
    old = {"commands": {"memory": {"command": "earlier"}}, "tables": {"memory": [{"network": "fc", "KiB": 20.1}]}}
    (tmp_path / "result.json").write_text(json.dumps(old))
    picture = tmp_path / "signs-seeds-1.png"
    picture.write_bytes(b"a picture")
    rows = [{"rule": "bp", "test %": 98.765}, {"rule": "usf", "test %": None}]
    write(tmp_path, ["signs", "--seeds", "1"], said(rows, tmp_path / "signs-seeds-1.md", picture))
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["tables"]["memory"] == old["tables"]["memory"]
    assert result["commands"]["memory"] == {"command": "earlier"}
    assert result["commands"]["signs"]["command"] == "pipepita reproduce signs --seeds 1"
    assert (tmp_path / "signs.png").read_bytes() == b"a picture"
    page = (tmp_path / "README.md").read_text()
    assert "| bp | 98.77 |" in page and "| usf | - |" in page and "| fc | 20.1 |" in page


def test_locality_is_shown_by_data_set_and_by_network():
    places = ("fc mnist", "fc cifar10", "conv mnist")
    rows = [row(place, rule, f"{rule} on {place}", 1.5) for place in places for rule in ("bp", "drtp")]
    tables = locality(rows, {})
    assert list(tables) == ["accuracy", "seconds", "rates", "costs fc", "costs conv"]
    assert tables["accuracy"][1] == {"rule": "drtp"} | {place: f"drtp on {place}" for place in places}
    assert tables["seconds"][0] == {"rule": "bp"} | dict.fromkeys(places, "1.5 / -")
    assert tables["costs conv"] == [{"rule": "bp"} | COSTS, {"rule": "drtp"} | COSTS]


def test_a_part_of_locality_stands_beside_what_was_there(tmp_path):
    (tmp_path / "README.md").write_text("<!-- table: result.json accuracy -->\n<!-- end -->\n")
    parts = {"fc": "fc mnist", "conv mnist": "conv mnist", "conv cifar10": "conv cifar10"}
    for only, place in parts.items():
        rules = ("bp", "drtp", "product") if only == "fc" else ("bp", "drtp")
        picture = tmp_path / "made.png"
        picture.write_bytes(only.encode())
        rows = [row(place, rule, f"{rule} on {place}", 1) for rule in rules]
        write(tmp_path, ["locality", "--only", only], said(rows, picture))
    result = json.loads((tmp_path / "result.json").read_text())
    accuracy = result["tables"]["accuracy"]
    assert accuracy[0] == {"rule": "bp"} | {place: f"bp on {place}" for place in parts.values()}
    assert accuracy[2] == {"rule": "product", "fc mnist": "product on fc mnist", "conv mnist": "-", "conv cifar10": "-"}
    assert [one["command"] for one in result["commands"].values()] == [
        "pipepita reproduce locality --only fc",
        "pipepita reproduce locality --only 'conv mnist'",
        "pipepita reproduce locality --only 'conv cifar10'",
    ]
    assert {"costs fc", "costs conv"} < set(result["tables"])
    for only in parts:
        assert (tmp_path / f"locality-{only.replace(' ', '-')}.png").read_bytes() == only.encode()


@pytest.mark.parametrize("arguments", [[], ["--quick"], ["-h"]])
def test_without_an_experiment_it_says_how_it_is_used(arguments, capsys):
    assert reproduced.main(arguments) == 2
    assert "usage: python -m bench.reproduced EXPERIMENT" in capsys.readouterr().err


def test_the_command_is_kept_without_folders_of_this_machine():
    words = ["signs", "--out", "here", "--only", "bp", "--data-dir", "there", "--seeds", "0,1"]
    assert reproduced._elsewhere_too(words) == ["signs", "--only", "bp", "--seeds", "0,1"]


def test_what_reproduce_refuses_is_passed_on(capfd):
    assert reproduced.main(["nothing"]) == 2
    assert "experiment 'nothing'" in capfd.readouterr().err
