"""Device and link profiles: every figure has a source, units, users' files, and what cannot be."""

from __future__ import annotations

import math
import pickle
import re

import pytest

from pipepita.edge.devices.profiles import catalogue, parse_link
from pipepita.errors import UserError

DEVICE = ("flops", "bandwidth", "ram", "idle_watts", "active_watts")
LINK = ("delay", "jitter", "rate", "loss")
MINE = """
[devices.mine]
flops = "2G"
bandwidth = 1e9
ram = "512Mi"
idle_watts = 0
active_watts = "300m"
"""


@pytest.fixture
def own(tmp_path):
    """Reads a user's file of this text."""

    def read(text):
        path = tmp_path / "own.toml"
        path.write_text(text)
        return catalogue(path)

    return read


def test_every_built_in_figure_has_a_source():
    known = catalogue()
    figures = [(one, key) for one in known.devices.values() for key in DEVICE]
    figures += [(one, key) for one in known.links.values() for key in LINK]
    for one, key in figures:
        source = one.sources.get(key, "")
        assert re.match(r"https?://\S+\.\S+: .|derived: .|assumed: .", source), (one.name, key, source)
    assert all(one.title != one.name for one in (*known.devices.values(), *known.links.values()))


def test_what_is_built_in():
    known = catalogue()
    assert set(known.devices) == {
        "rpi4", "rpi5", "jetson-nano", "orin-nano", "laptop-core", "cortex-m7", "cortex-m4", "coral",
    }  # fmt: skip
    assert set(known.links) == {"gigabit", "fast-ethernet", "wifi", "ble", "lte", "slow-4g"}
    assert known.device("rpi4").flops == pytest.approx(23.8e9)
    assert known.device("cortex-m4").idle_watts == pytest.approx(4.5e-6)
    assert known.device("cortex-m4").ram == 243 * 1024
    wifi = known.link("wifi")
    assert (wifi.delay, wifi.jitter, wifi.rate, wifi.loss) == pytest.approx((1.5e-3, 1e-3, 30e6, 2e-3))
    by_speed = ["cortex-m4", "cortex-m7", "rpi4", "rpi5", "jetson-nano", "orin-nano"]
    assert sorted(by_speed, key=lambda name: known.device(name).flops) == by_speed


def test_coral_cannot_train_and_says_why():
    known = catalogue()
    assert [name for name, device in known.devices.items() if not device.trains] == ["coral"]
    assert "8-bit" in known.device("coral").reason
    assert known.device("coral").sources["trains"].startswith("https://")


def test_profiles_travel_between_processes():
    known = catalogue()
    assert pickle.loads(pickle.dumps(known)) == known


def test_a_new_device_and_link(own):
    known = own(MINE + '[links."garden"]\ntitle = "a long cable"\ndelay = "1ms"\n')
    mine = known.device("mine")
    assert (mine.title, mine.trains, mine.reason, mine.sources) == ("mine", True, "", {})
    assert [getattr(mine, key) for key in DEVICE] == pytest.approx([2e9, 1e9, 2**29, 0, 0.3])
    assert isinstance(mine.ram, int)
    garden = known.link("garden")
    assert (garden.title, garden.delay, garden.rate, garden.loss) == ("a long cable", 1e-3, math.inf, 0)
    assert known.device("rpi4") == catalogue().device("rpi4")


def test_a_known_name_keeps_what_the_file_does_not_give(own):
    before = catalogue()
    known = own('[devices.rpi4]\nram = "7Gi"\n[links.wifi]\nloss = {value = "2%", source = "my garden"}\n')
    rpi4, wifi = known.device("rpi4"), known.link("wifi")
    assert rpi4.ram == 7 * 2**30
    assert "ram" not in rpi4.sources
    assert (rpi4.flops, rpi4.title) == (before.device("rpi4").flops, before.device("rpi4").title)
    assert rpi4.sources["flops"] == before.device("rpi4").sources["flops"]
    assert (wifi.loss, wifi.sources["loss"]) == (0.02, "my garden")
    assert wifi.rate == before.link("wifi").rate
    assert own("[devices.coral]\ntrains = true\n").device("coral").reason == ""


@pytest.mark.parametrize(
    ("text", "delay", "jitter", "rate", "loss"),
    [
        ("delay 10ms 2ms rate 20mbit loss 1%", 0.01, 0.002, 20e6, 0.01),
        ("tc qdisc add dev eth0 root netem delay 10ms", 0.01, 0, math.inf, 0),
        ("rate 1.5gbit delay 0.5s", 0.5, 0, 1.5e9, 0),
        ("delay 250usecs loss random 0.5%", 250e-6, 0, math.inf, 0.005),
        ("rate 10MBit", 0, 0, 10e6, 0),
        ("rate 10mbps", 0, 0, 80e6, 0),
        ("rate 1kibit loss 0", 0, 0, 1024, 0),
        ("rate 800bit", 0, 0, 800, 0),
        ("delay 1e1ms", 0.01, 0, math.inf, 0),
    ],
)
def test_links_in_netems_words(text, delay, jitter, rate, loss):
    for link in (parse_link(text), catalogue().link(text)):
        assert (link.delay, link.jitter, link.rate, link.loss) == pytest.approx((delay, jitter, rate, loss))
        assert link.name == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "says nothing"),
        ("delay 10", "delay '10': write it like 10ms"),
        ("delay ten", "delay 'ten': write it like 10ms"),
        ("delay 10mbit", "delay '10mbit': write it like 10ms"),
        ("delay -10ms", "delay '-10ms': has to be at least 0"),
        ("delay 10ms -2ms", "jitter '-2ms': has to be at least 0"),
        ("delay 10ms 2ms 25%", "25% is one value too many after delay"),
        ("rate 20mbit 10", "10 is one value too many after rate"),
        ("delay 10ms delay 5ms", "delay is given twice"),
        ("delay 10ms los 1%", "did you mean 'loss'"),
        ("delay 10ms distribution normal", "unknown word"),
        ("delay 10ms loss", "loss needs a value, like loss 1%"),
        ("rate 20", "rate '20': write it like 20mbit"),
        ("rate 0mbit", "rate '0mbit': has to be above 0"),
        ("rate 1e999mbit", "finite"),
        ("loss 0.5", "loss '0.5': write it like 1%"),
        ("loss 100%", "loss '100%': has to be at least 0 and below 90%"),
        ("loss nan%", "loss 'nan%': write it like 1%"),
    ],
)
def test_links_that_cannot_be(text, words):
    with pytest.raises(UserError) as caught:
        parse_link(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names():
    known = catalogue()
    with pytest.raises(UserError, match="unknown device 'rpi': .*did you mean 'rpi"):
        known.device("rpi")
    with pytest.raises(UserError, match="unknown link 'wify': .*did you mean 'wifi'"):
        known.link("wify")
    with pytest.raises(UserError, match="unknown word in link 'wifi 20mbit': 'wifi'"):
        known.link("wifi 20mbit")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[devices.mine", "cannot be read"),
        ("[device.mine]", "own.toml: 'device': did you mean 'devices'? It is one of devices, links"),
        ("devices = 3", "devices 3: write tables like [devices.name]"),
        ("[devices]\nmine = 3", "devices.mine 3: write a table [devices.mine]"),
        ('[devices."a,b"]', "devices name 'a,b'"),
        (MINE + 'flop = "1G"', "devices.mine: 'flop': did you mean 'flops'? It is one of"),
        (MINE.replace('flops = "2G"', ""), "devices.mine: flops is missing: give it like 20G"),
        (MINE.replace('"2G"', '"2 W"'), "devices.mine.flops '2 W': write it like 20G (FLOP/s)"),
        (MINE.replace('"2G"', '"2g"'), "devices.mine.flops '2g': write it like 20G (FLOP/s)"),
        (MINE.replace('"2G"', "0"), "devices.mine.flops 0: has to be above 0"),
        (MINE.replace('"2G"', "-1"), "devices.mine.flops -1: has to be above 0"),
        (MINE.replace('"2G"', "nan"), "devices.mine.flops nan: write it like 20G"),
        (MINE.replace('"2G"', "inf"), "devices.mine.flops inf: has to be above 0 and finite"),
        (MINE.replace('"2G"', "true"), "devices.mine.flops True: write it like 20G"),
        (MINE.replace('"2G"', "1" + "0" * 400), "has to be above 0 and finite"),
        (MINE.replace('"2G"', "[]"), "devices.mine.flops []: write it like 20G"),
        (MINE.replace('"2G"', '{source = "x"}'), "devices.mine.flops: value is missing"),
        (
            MINE.replace('"2G"', '{value = 1, sorce = "x"}'),
            "devices.mine.flops: 'sorce': did you mean 'source'? It is one of source, value",
        ),
        (MINE.replace('"2G"', "{value = 1, source = 2}"), "devices.mine.flops.source 2: write a text"),
        (MINE.replace("1e9", '"1Gbit"'), "devices.mine.bandwidth '1Gbit': write it like 5G (bytes/s)"),
        (MINE.replace('"512Mi"', "0.5"), "devices.mine.ram 0: has to be at least one byte"),
        (MINE.replace('"300m"', "-1"), "devices.mine.active_watts -1"),
        (MINE.replace("= 0", "= 1"), "devices.mine.active_watts 0.3: has to be at least idle_watts, which is 1"),
        (MINE + "trains = false", "devices.mine: trains = false needs a reason"),
        (MINE + "trains = 0", "devices.mine.trains 0: write true or false"),
        (MINE + "title = 3", "devices.mine.title 3: write a text"),
        ("[devices.rpi4]\nidle_watts = 8", "devices.rpi4.active_watts 7.2: has to be at least idle_watts, which is 8"),
        ("[devices.rpi4]\ntrains = false", "devices.rpi4: trains = false needs a reason"),
        ("[links.mine]", "links.mine says nothing: give at least one of delay, jitter, rate, loss"),
        ("[links.mine]\nspeed = 1", "links.mine: 'speed': one of"),
        ("[links.mine]\ndelay = 0.01", "links.mine.delay 0.01: write it like 10ms"),
        ('[links.wifi]\nloss = "100%"', "links.wifi.loss '100%': has to be at least 0 and below 90%"),
        ('[links.wifi]\nrate = "0bit"', "links.wifi.rate '0bit': has to be above 0"),
    ],
)
def test_files_that_cannot_be(own, text, words):
    with pytest.raises(UserError) as caught:
        own(text)
    assert words in str(caught.value)
    assert "own.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="none.toml: there is no such file"):
        catalogue(tmp_path / "none.toml")
    with pytest.raises(UserError, match="cannot be read"):
        catalogue(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        catalogue(tmp_path / "bytes.toml")
