"""`pipepita profile`, with few and short measurements."""

from __future__ import annotations

import json

import pytest
from commandline import error_of, run

from pipepita.edge.devices.profiles import catalogue
from pipepita.profiling import coordination, memory, passes


@pytest.fixture
def shortly(monkeypatch):
    monkeypatch.setattr(passes, "_NETWORKS", [passes._NETWORKS[0], passes._NETWORKS[2], passes._NETWORKS[-3]])
    monkeypatch.setattr(passes, "_ROUNDS", 1)
    monkeypatch.setattr(coordination, "_ROUNDS", 1)
    monkeypatch.setattr(coordination, "_SELDOM", coordination._SELDOM[:2])
    for name in ("_SAMPLES", "_APART_SAMPLES"):
        monkeypatch.setattr(coordination, name, 40)
    monkeypatch.setattr(memory, "_BYTES", 1 << 24)


@pytest.mark.slow
def test_a_device_measures_itself_and_is_simulated(shortly, tmp_path):
    (tmp_path / "mine.toml").write_text('# my own\n[devices.other]\nflops = "1G"\nbandwidth = "1G"\nram = "1G"\n'
                                        "idle_watts = 1\nactive_watts = 2\n")  # fmt: skip
    options = ("--name", "here", "--into", "mine.toml", "--load-seconds", 1)
    done = run("profile", *options, "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 0 and "written: mine.toml" in done.stderr
    assert found["flops"] > 1e7 and found["ram"] > 1e6 and 0 < found["kept_under_load"] <= 1
    assert found["microseconds"]["batch 1"]["call"] > 0 and found["microseconds"]["message"] > 0
    for one in found["coordinator"].values():
        figures = (one["sample"], one["wake"], one["cold_share"])
        assert min(figures) >= 0 < max(figures)  # a busy machine's may be explained by one of them alone
    phases = {(one["kind"], one["phase"], one["batch"]) for one in found["passes"]}
    assert {("convolution", "second", 8), ("linear", "update", 64), ("linear", "standard", 1)} <= phases
    text = (tmp_path / "mine.toml").read_text()
    assert text.startswith("# my own\n[devices.other]") and "under load it kept" in text
    known = catalogue(tmp_path / "mine.toml")
    assert known.device("here").measured.rates and known.device("other").flops == 1e9
    again = error_of(run("profile", *options, cwd=tmp_path), 2)
    assert "devices.here is there already: choose another name" in again
    chain = ("--devices", "here*2", "--profiles", "mine.toml", "--network", "fc:32", "--samples", 50, "--link", "wifi")
    simulated = json.loads(run("simulate", *chain, "--json", cwd=tmp_path).stdout)
    assert simulated["setups"]["one device"]["capacity"] > 1
    shown = run("devices", "--profiles", "mine.toml", "--json", cwd=tmp_path).stdout
    assert json.loads(shown)["devices"]["here"]["flops"] == pytest.approx(found["flops"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.rest
def test_a_table_for_people(shortly, tmp_path):
    done = run("profile", "--name", "here", "--into", "mine.toml", "--load-seconds", 0, cwd=tmp_path)
    assert "of the coordinator" in done.stdout and "not tried" in done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--name", "a b", "--into", "a.toml"), "name 'a b': only letters, digits"),
        (("--name", "a.b", "--into", "a.toml"), "name 'a.b'"),
        (("--name", "a", "--into", "none/a.toml"), "into none/a.toml: its folder does not exist"),
        (("--name", "a", "--into", "a.toml", "--load-seconds", -1), "load-seconds -1"),
        (("--name", "a", "--into", "a.toml", "--load-seconds", "nan"), "load-seconds nan"),
        (("--name", "a", "--into", "a.toml", "--address", "auto"), "address auto needs --link"),
    ],
)
def test_mistakes_are_one_line(options, words, tmp_path):
    assert words in error_of(run("profile", *options, cwd=tmp_path), 2)
    assert not list(tmp_path.iterdir())
