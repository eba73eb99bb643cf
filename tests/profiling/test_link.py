"""A link, from its round trips, and through real channels."""

import random
import statistics
import sys

import hosts
import pytest

from pipepita.edge.devices.profiles import catalogue
from pipepita.errors import UserError
from pipepita.profiling.link import Link, explained, measure


def test_figures_of_a_known_link_are_found_again():
    draw = random.Random(0)
    delay, jitter, rate = 0.01, 0.004, 20e6

    def trip(bits: float) -> float:
        return 2 * delay + draw.uniform(-jitter, jitter) + draw.uniform(-jitter, jitter) + bits / rate

    small = [trip(512) for _ in range(4000)]
    large = [trip(32 * (1 << 18)) for _ in range(400)]
    found = explained(small, large, 0.02, "tls")
    assert found.delay == pytest.approx(delay, rel=0.02)
    assert found.jitter == pytest.approx(jitter, rel=0.1)
    assert found.rate == pytest.approx(rate, rel=0.02)
    assert statistics.median(large) > 0.4


def test_its_table_is_a_profile(tmp_path):
    path = tmp_path / "mine.toml"
    air, inside = Link(0.0123, 0.001, 2.5e7, 0.015, "tls"), Link(1e-5, 0, 1e11, None, "shared_memory")
    path.write_text(air.table("air") + inside.table("inside"))
    links = catalogue(path).links
    assert (links["air"].delay, links["air"].rate, links["air"].loss) == pytest.approx((0.0123, 2.5e7, 0.015))
    assert links["inside"].loss == 0 and links["inside"].rate == 1e11


@pytest.mark.slow
def test_on_one_host(monkeypatch):
    monkeypatch.setattr("pipepita.profiling.link._SECONDS", 0.5)
    with pytest.raises(UserError, match="unknown node '203.0.113.9'"):
        measure("203.0.113.9", address=None)
    import ray

    found = measure(ray.util.get_node_ip_address(), address=None)
    assert found.transport == "shared_memory" and found.loss is None
    assert 1e-6 < found.delay < 0.1 and found.rate > 1e7
    assert not ray.is_initialized()


_SCRIPT = """
import sys
from pipepita.profiling import link
link._SECONDS = 1.0
print(link.measure(sys.argv[1], address=sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.rest
def test_between_two_hosts():
    if reason := hosts.why_not():
        pytest.skip(reason)
    with hosts.hosts(2) as (first, second):
        address = first.start_ray(cpus=2)
        second.start_ray(address, cpus=1)
        done = first.popen([sys.executable, "-c", _SCRIPT, second.address, address], stdout=-1, stderr=-1, text=True)
        out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err[-2000:]
    assert "transport='tls'" in out and "loss=0.0" in out, out
