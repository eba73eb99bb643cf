import itertools

import pytest

from pipepita.edge.chain import Chain, assign, parse_chain
from pipepita.edge.devices.profiles import DeviceProfile, Watts, catalogue
from pipepita.edge.work import LayerWork, Work, memory
from pipepita.errors import UserError
from pipepita.schedule.topology import COORDINATOR

PROFILES = catalogue()


def device(rate: float, ram: int = 10**9) -> DeviceProfile:
    return DeviceProfile(f"{rate:g} {ram}", "", flops=rate, bandwidth=1e12, ram=ram, watts=Watts(1, 2))


def names(chain) -> list[str]:
    """Of each link and of the way back: both directions."""
    return [f"{link.away.name} {link.home.name}" for link in (*chain.links, chain.back)]


def layer(flops: float, size: int = 100) -> LayerWork:
    return LayerWork(Work(flops), Work(), Work(), size, 10, 1, 1)


def test_reads_devices_and_their_number():
    chain = parse_chain("rpi4*3,orin-nano", "wifi", PROFILES)
    assert [one.name for one in chain.devices] == ["rpi4"] * 3 + ["orin-nano"]
    assert names(chain) == ["wifi wifi"] * 4


def test_a_link_a_hop_and_one_back():
    chain = parse_chain("rpi4*3", "wifi,gigabit", PROFILES)
    assert names(chain) == ["wifi wifi", "gigabit gigabit", "wifi wifi"]  # the slower
    chain = parse_chain("rpi4*3", "wifi,gigabit,delay 10ms rate 1mbit", PROFILES)
    assert names(chain)[:2] == ["wifi wifi", "gigabit gigabit"] and chain.back.away.delay == 0.01


def test_who_is_linked_to_whom():
    chain = parse_chain("rpi4*3", "wifi,gigabit,lte", PROFILES)
    assert chain.link(COORDINATOR, 0) is None and chain.link(0, COORDINATOR) is None
    assert chain.link(0, 1).name == chain.link(1, 0).name == "wifi"
    assert chain.link(1, 2).name == "gigabit"
    assert chain.link(2, COORDINATOR).name == chain.link(COORDINATOR, 1).name == "lte"


def test_the_directions_of_a_link_may_differ():
    chain = parse_chain("rpi4*3", "lte/wifi, gigabit / delay 1s", PROFILES)
    assert names(chain) == ["lte wifi", "gigabit delay 1s", "lte delay 1s"]  # the slowest, each way
    assert chain.link(0, 1).name == "lte" and chain.link(1, 0).name == "wifi"
    assert chain.link(2, 1).delay == 1
    assert chain.link(COORDINATOR, 2).name == "lte" and chain.link(1, COORDINATOR).delay == 1


def test_one_device_needs_no_link():
    chain = parse_chain("rpi4", None, PROFILES)
    assert chain.links == () and chain.back is None


@pytest.mark.parametrize(
    ("devices", "link", "words"),
    [
        ("rpi9", "wifi", "unknown device 'rpi9'"),
        ("rpi4*0", "wifi", "'0' is no number of devices"),
        ("rpi4*x", "wifi", "'x' is no number of devices"),
        ("rpi4*20000", "wifi", "10000 are the most"),
        ("", "wifi", "unknown device ''"),
        ("rpi4", "wifi", "link 'wifi': one device needs none"),
        ("rpi4*3", "wify", "did you mean 'wifi'?"),
        ("rpi4*2", "lte/wifi/lte", "link 'lte/wifi/lte' has more than two directions: write it like lte/wifi"),
        ("rpi4*2", "lte/", "unknown link ''"),
        ("rpi4*4", "wifi,wifi", "2 links for 4 devices: one for all, 3 (one a hop), or 4"),
        ("rpi4,coral", "wifi", "device 'coral' cannot train: 8-bit inference only"),
    ],
)
def test_says_what_is_wrong(devices, link, words):
    with pytest.raises(UserError) as error:
        parse_chain(devices, link, PROFILES)
    assert words in str(error.value)


def test_the_slowest_device_is_as_fast_as_it_can_be():
    devices = (device(1), device(4), device(2))
    works = [layer(flops) for flops in (3, 1, 4, 1, 5, 9, 2, 6)]
    parts = assign(Chain(devices), works, 1)

    def slowest(ends):
        bounds = [0, *ends, len(works)]
        return max(
            sum(work.standard.flops for work in works[a:b]) / one.flops
            for (a, b), one in zip(itertools.pairwise(bounds), devices, strict=True)
        )

    best = min(slowest(ends) for ends in itertools.combinations(range(1, len(works)), 2))
    assert slowest([part.stop for part in parts[:-1]]) == best


def test_memory_bounds_the_cut():
    works = [layer(1, 100) for _ in range(4)]
    roomy = assign(Chain((device(1), device(100))), works, 1)
    assert [len(part) for part in roomy] == [1, 3]
    tight = assign(Chain((device(1), device(100, memory(works[:2], 1)))), works, 1)
    assert [len(part) for part in tight] == [2, 2]


def test_layers_by_hand():
    works = [layer(1) for _ in range(4)]
    chain = Chain((device(1), device(1), device(1)))
    assert assign(chain, works, 1, "1,2,1") == [range(0, 1), range(1, 3), range(3, 4)]
    for wrong in ("1,2", "1,2,2", "0,2,2", "a,b,c", "4,-1,1"):
        with pytest.raises(UserError, match="3 numbers of at least 1, one a device, that add up to 4 layers"):
            assign(chain, works, 1, wrong)


def test_refuses_what_does_not_fit_and_says_by_how_much():
    works = [layer(1, 5000) for _ in range(2)]
    chain = Chain((device(1), device(1, 3000)))
    with pytest.raises(UserError) as error:
        assign(chain, works, 3)
    assert "device 2 (1 3000) has 3 kB, but layer 2 with 3 samples in flight need 5.0" in str(error.value)
    with pytest.raises(UserError, match="2 devices for 1 layers"):
        assign(chain, works[:1], 1)
