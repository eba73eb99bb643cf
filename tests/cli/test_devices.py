"""`pipepita devices`: its tables, its JSON, and the mistakes that it names."""

from __future__ import annotations

import json

import pytest
from commandline import error_of, process, run


@pytest.mark.slow
def test_tables(tmp_path):
    done = process("devices", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("rpi4", "23.8 G", "3.5 GiB", "4.5 µW", "gigabit", "941 Mbit/s", "3.75 ms", "0.2 %"):
        assert words in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.strip().startswith("coral  ")]
    assert row.rstrip().endswith("no")
    assert "coral cannot train: 8-bit inference only" in done.stdout
    assert "https://" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if "cannot train" not in line) <= 80


def test_every_figure_has_a_source(tmp_path):
    done = run("devices", "--sources", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("devices.", "links."))]
    assert len(lines) == 8 * 5 + 1 + 6 * 4
    assert not [line for line in lines if "no source given" in line]
    assert "links.wifi.rate 30 Mbit/s: https://github.com/tylertreat/comcast: " in done.stdout


def test_one_object_with_a_file_of_ones_own(tmp_path):
    (tmp_path / "own.toml").write_text(
        '[devices.rpi4]\nram = "1Gi"\n[links.tube]\ntitle = "[red]tube[/]"\ndelay = "1ms"\n'
    )
    done = run("devices", "--profiles", "own.toml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    known = json.loads(done.stdout, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert set(known) == {"devices", "links"}
    assert known["devices"]["rpi4"]["ram"] == 2**30
    assert known["devices"]["coral"]["trains"] is False
    assert known["links"]["tube"] | {"sources": {}} == {
        "name": "tube", "title": "[red]tube[/]", "delay": 1e-3, "jitter": 0, "rate": None, "loss": 0, "sources": {},
    }  # fmt: skip
    shown = run("devices", "--profiles", "own.toml", "--sources", cwd=tmp_path).stdout
    assert "[red]tube[/]" in shown
    assert "devices.rpi4.ram 1 GiB: no source given" in shown
    assert "links.tube.rate no limit: no source given" in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "profiles own.toml: there is no such file"),
        ("[devices", "profiles own.toml cannot be read"),
        ('[links.wifi]\nloss = "100%"', "profiles own.toml: links.wifi.loss '100%': has to be at least 0"),
        ('[devices.mine]\nflops = "1G"', "profiles own.toml: devices.mine: bandwidth is missing"),
    ],
)
def test_mistakes_are_one_line(tmp_path, text, words):
    if text is not None:
        (tmp_path / "own.toml").write_text(text)
    assert words in error_of(run("devices", "--profiles", "own.toml", "--json", cwd=tmp_path))
