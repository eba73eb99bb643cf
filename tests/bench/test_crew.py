"""The processes that benchmarks measure in: they answer, and neither errors nor death nor silence hang anybody."""

from __future__ import annotations

import multiprocessing as mp
import os
import time

import pytest

import pipepita as pp
from bench.crew import Crew


def double(number: int) -> int:
    return 2 * number


def one_fails(number: int) -> None:
    if number:
        raise ValueError("a first line\nand a second one")
    time.sleep(60)


def one_dies(number: int) -> None:
    if number:
        os._exit(3)
    time.sleep(60)


@pytest.mark.slow
def test_a_crew_answers_in_order_and_again():
    with Crew(2) as crew:
        assert crew.ask(double, [(1,), (2,)], 30) == [2, 4]
        assert crew.ask(double, [(3,), (4,)], 30) == [6, 8]
    assert not mp.active_children()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "words"),
    [
        (one_fails, "one_fails: process 1 failed: ValueError: a first line$"),
        (one_dies, "one_dies: process 1 died$"),
    ],
)
def test_an_error_or_a_death_ends_the_wait_and_every_process(job, words):
    with pytest.raises(pp.RunError, match=words), Crew(2) as crew:
        crew.ask(job, [(0,), (1,)], 30)
    assert not mp.active_children()


@pytest.mark.slow
def test_silence_ends_after_the_timeout():
    with pytest.raises(pp.RunError, match=r"sleep: process 0 did not answer in 0\.2 s"), Crew(1) as crew:
        crew.ask(double, [(1,)], 30)
        crew.ask(time.sleep, [(60,)], 0.2)
    assert not mp.active_children()
