"""Where a process runs, for whom its id means that process, and how busy it is."""

import os
from dataclasses import replace
from types import SimpleNamespace

from pipepita.pipeline import pulse
from pipepita.pipeline.pulse import Place, Vitals


def test_an_id_of_another_container_is_not_known_here():
    here = Place.here("host", "127.0.0.1", 2, "node")
    assert (here.pid, here.cores, here.node) == (os.getpid(), 2, "node")
    assert here.is_known_here()
    assert not replace(here, namespace=f"{here.namespace}1").is_known_here()


def test_a_loop_is_busy_while_it_does_not_wait(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(pulse, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    vitals = Vitals()
    for waits, works in ((1.0, 1.0), (0.5, 1.5)):
        now[0] += waits
        vitals.goes_on(7)
        now[0] += works
        vitals.waits()
    first = vitals.pulse(3)
    assert (first.step, first.queue, first.busy) == (7, 3, 2.5 / 4)
    now[0] += 10
    assert vitals.pulse(0).busy == 0  # since the last report
