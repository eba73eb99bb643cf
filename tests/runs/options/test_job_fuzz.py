"""Whatever a job file or an assignment holds, it is read as a job or refused with a `UserError` of one line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import pipepita as pp
from pipepita.pipeline.optimizers import _known
from pipepita.rules import Defaults
from pipepita.runs.options.job import Job
from pipepita.runs.options.reading import read_job

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning:torch.*")]
fuzz = settings(max_examples=300, deadline=None, derandomize=True)

HUGE = "0x" + "f" * 5000
scalars = st.one_of(
    st.integers().map(str),
    st.sampled_from(["true", "false", "inf", "-nan", "1e400", "0x10", HUGE, "9" * 5000, "1979-05-27", "07:32:00"]),
    st.floats().map(repr),
    st.text(max_size=12).map(json.dumps),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        inner.map(lambda value: f"{{a = {value}}}"),
    ),
    max_leaves=4,
)
keys = st.one_of(
    st.sampled_from(sorted(Job.model_fields)),
    st.sampled_from(sorted(Job.model_fields)).map(lambda key: key.replace("_", "-")),
    st.text(max_size=8).map(json.dumps),
)
documents = st.lists(st.tuples(keys, values), max_size=4).map(
    lambda pairs: "".join(f"{key} = {value}\n" for key, value in pairs)
)
# options that have a syntax of their own, with values that are nearly right
numbers = st.one_of(
    st.integers(-2, 99).map(str), st.floats().map(repr), st.sampled_from(["", "x", "1e999", "9" * 5000])
)
decays = st.tuples(numbers, st.lists(numbers, max_size=3)).map(lambda pair: f"{pair[0]}@{','.join(pair[1])}")
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=1), st.dictionaries(st.text(max_size=3), inner, max_size=1)),
    max_leaves=3,
).map(json.dumps)
names = (
    "betas",
    "eps",
    "weight_decay",
    "momentum",
    "etas",
    "lr",
    "nesterov",
    "lambd",
    "params",
    "foreach",
    "d",
    "x\ny",
)
optimizers = st.tuples(
    st.sampled_from(sorted(_known())), st.lists(st.tuples(st.sampled_from(names), json_values), max_size=2)
).map(lambda pair: f"{pair[0]}:{','.join(f'{key}={value}' for key, value in pair[1])}")
rules = st.tuples(
    st.sampled_from(["pepita", "bp", "dfa", "", "os:getcwd", "no.py:Rule", "json:Rule:a", "a\0b.py:C", "x\n:y"]),
    st.lists(
        st.tuples(st.sampled_from(["form", "modulate", "f_scale", "mirror", "x\ny", ""]), json_values), max_size=2
    ),
).map(lambda pair: f"{pair[0]}:{','.join(f'{key}={value}' for key, value in pair[1])}")
paths = st.text("ab/.\n\0\x1b~", max_size=8).map(lambda name: f"{name}.png")
nearly = st.one_of(
    st.tuples(st.just("lr_decay"), decays),
    st.tuples(st.just("optimizer"), optimizers),
    st.tuples(st.sampled_from(["trace", "timeline", "run_dir", "profiles", "data_dir"]), paths),
    st.tuples(st.just("rule"), rules),
)


def assert_read(content: bytes | None, assignments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = None
        if content is not None:
            path = Path(folder) / "job.toml"
            path.write_bytes(content)
        try:
            job = read_job(path, {}, assignments)
        except pp.UserError as error:
            assert str(error).isprintable()  # so it is one line, too
            return
    assert type(job) is Job
    assert (
        job.settled(Defaults()).rate_in(1) >= 0 and job.make_rule().passes and job.options().epochs == job.epochs >= 1
    )
    assert Job(**job.model_dump()) == job and str(job)


@fuzz
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode), documents.map(str.encode)))
@example(b"lr = " + b"[" * 5000)
@example(b"epochs = " + HUGE.encode())
@example(b"network = [" + HUGE.encode() + b"]")
@example(b'trace = "' + b"a" * 5000 + b'"')
@example(b'trace = "a\\nb/c"')
@example(b'run_dir = "a\\u0000b"')
def test_any_file_is_a_job_or_refused_in_one_line(content):
    assert_read(content, [])


@fuzz
@given(st.lists(st.one_of(st.tuples(keys, values), st.tuples(keys, st.text(max_size=12)), nearly), max_size=3))
@example([("lr", "[" * 5000)])
@example([("optimizer", "adam:betas=[0.9]")])
@example([("optimizer", "adam:eps=" + "[" * 5000)])
@example([("optimizer", "rprop:etas={}")])
def test_any_assignment_is_a_job_or_refused_in_one_line(pairs):
    assert_read(None, [f"{key}={value}" for key, value in pairs])


@fuzz
@given(st.lists(nearly, min_size=1, max_size=2))
def test_what_is_nearly_right_is_a_job_or_refused_in_one_line(pairs):
    assert_read("".join(f"{key} = {json.dumps(value)}\n" for key, value in dict(pairs).items()).encode(), [])


@fuzz
@given(st.text(max_size=30))
def test_an_assignment_of_anything(text):
    assert_read(None, [text])
