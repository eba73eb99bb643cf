"""Meters, as Linux shows them."""

import time
from pathlib import Path

import pytest

from pipepita.profiling.power import meter


def zone(folder: Path, name: str, microjoules: int, most: int = 1_000_000) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text(f"{most}\n")
    return path / "energy_uj"


def test_rapl_counts_the_packages_and_begins_anew(tmp_path):
    one, other = zone(tmp_path, "intel-rapl:0", 500_000), zone(tmp_path, "intel-rapl:1", 900_000)
    zone(tmp_path, "intel-rapl:0:0", 123)  # a part of the first
    with meter(tmp_path, tmp_path / "none") as found:
        assert found.name == "RAPL, 2 packages" and found.joules() == 0
        one.write_text("700000")
        assert found.joules() == pytest.approx(0.2)
        other.write_text("100000")  # it had reached a million
        assert found.joules() == pytest.approx(0.4)


def test_sensors_are_added_up_over_time(tmp_path):
    chip = tmp_path / "hwmon0"
    chip.mkdir()
    (chip / "name").write_text("ina219\n")
    (chip / "power1_input").write_text("3000000\n")
    (chip / "power2_input").write_text("1000000\n")
    with meter(tmp_path / "none", tmp_path) as found:
        assert found.name == "ina219, 2 sensors"
        before, began = found.joules(), time.perf_counter()
        time.sleep(0.6)
        watts = (found.joules() - before) / (time.perf_counter() - began)
        assert 2 < watts <= 4.8  # four, seen every tenth of a second


def test_without_a_meter_there_is_none(tmp_path):
    with meter(tmp_path, tmp_path) as found:
        assert found is None
    broken = zone(tmp_path, "intel-rapl:0", 0)
    broken.write_text("no number")
    with meter(tmp_path, tmp_path) as found:
        assert found is None


def test_what_goes_wrong_under_a_meter_is_not_swallowed(tmp_path):
    zone(tmp_path / "rapl", "intel-rapl:0", 1)
    chip = tmp_path / "hwmon" / "hwmon0"
    chip.mkdir(parents=True)
    (chip / "power1_input").write_text("1\n")
    for places in ((tmp_path / "rapl", tmp_path), (tmp_path, tmp_path / "hwmon"), (tmp_path, tmp_path)):
        with pytest.raises(ValueError, match="of the body"), meter(*places):
            raise ValueError("of the body")
