from __future__ import annotations

import os
import signal

import pytest

from pipepita.runs.interrupt import Interrupt

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(params=SIGNALS, ids=lambda number: number.name)
def number(request):
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_the_first_asks_and_the_second_forces(number, capsys):
    signal.signal(number, signal.SIG_DFL)
    with Interrupt() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        assert "stopping after the samples in flight" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            signal.sigtimedwait([], 5)  # until the handler has run
    assert signal.getsignal(number) is signal.SIG_DFL


def test_what_was_ignored_stays_ignored(number):
    """As under nohup."""
    signal.signal(number, signal.SIG_IGN)
    with Interrupt() as stop:
        os.kill(os.getpid(), number)
        assert not stop()
    assert signal.getsignal(number) is signal.SIG_IGN
