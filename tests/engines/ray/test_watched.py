"""The coordinator's ends of its channels, which notice what becomes of the stages while they wait."""

import pytest

from pipepita.channels import handshake
from pipepita.channels.channel import DONE, Wire
from pipepita.channels.transports import Listener, connect
from pipepita.engines.ray.watched import WatchedInlet
from pipepita.errors import StageDied


class Stages:
    """Die after so many looks at them."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def check(self):
        self._looks -= 1
        if self._looks < 0:
            raise self.diagnose()

    def diagnose(self):
        return StageDied("stage 1 died", 1)


@pytest.fixture
def ends():
    wire = Wire("outputs", 0, -1, 4, 2, (3,), (DONE,))
    secret = handshake.new_secret()
    listener = Listener("tcp", wire, secret, "127.0.0.1")
    outlet, inlet = connect(listener.address, wire, secret), listener.inlet()
    yield outlet, inlet
    outlet.close()
    inlet.close()


def test_a_wait_that_has_an_end_ends(ends):
    """An order that is decided on the way only glances at the outputs."""
    outlet, inlet = ends
    watched = WatchedInlet(inlet, Stages(2))
    with pytest.raises(TimeoutError):
        watched.receive(0.001)
    outlet.send(DONE, 7)
    assert watched.receive(60.0).step == 7


def test_a_wait_ends_when_a_stage_dies(ends):
    with pytest.raises(StageDied):
        WatchedInlet(ends[1], Stages(2)).receive()
    with pytest.raises(StageDied):
        WatchedInlet(ends[1], Stages(2)).receive(60.0)


def test_a_closed_end_is_explained(ends):
    outlet, inlet = ends
    outlet.close()
    with pytest.raises(StageDied):
        WatchedInlet(inlet, Stages(1000)).receive()
