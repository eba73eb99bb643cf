"""The best settings as a job file."""

import tomllib

import pytest

from pipepita.runs.job import Job
from pipepita.tuning.found import toml


@pytest.mark.parametrize("name", ["plain", "a \N{GRINNING FACE} b", 'quo"tes \\ and\ttabs', "ä"])
def test_a_job_file_holds_any_text(name):
    job = Job(dataset=f"npz:{name}.npz", lr=1e-5, rule={"name": "pepita", "f_scale": 0.2})
    read = tomllib.loads(toml(job, None))
    assert read == {"dataset": f"npz:{name}.npz", "lr": 1e-5, "rule": {"name": "pepita", "f_scale": 0.2}}
