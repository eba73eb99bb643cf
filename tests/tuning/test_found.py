"""The best settings as a job file."""

import tomllib

import pytest

from pipepita.runs.options.job import Job
from pipepita.tuning.found import Found, Tried, toml


@pytest.mark.parametrize("name", ["plain", "a \N{GRINNING FACE} b", 'quo"tes \\ and\ttabs', "ä"])
def test_a_job_file_holds_any_text(name):
    job = Job(dataset=f"npz:{name}.npz", lr=1e-5, rule={"name": "pepita", "f_scale": 0.2})
    read = tomllib.loads(toml(job, None))
    assert read == {"dataset": f"npz:{name}.npz", "lr": 1e-5, "rule": {"name": "pepita", "f_scale": 0.2}}


def test_the_best_is_one_that_came_to_its_last_epoch():
    stopped, slow, quick = Tried(1, {}, (0.9,)), Tried(2, {}, (0.5, 0.7), "a"), Tried(3, {}, (0.6, 0.6), "b")
    assert Found(Job(), [stopped, slow, quick]).best is slow
    assert Found(Job(), [stopped]).best is None
