"""The page of a small simulation: it parses, needs nothing else, and believes nobody's names."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pipepita.edge import work
from pipepita.edge.report import page, tables
from pipepita.edge.scenario import Scenario
from pipepita.edge.setup import ALONE
from pipepita.edge.simulation import Simulation, simulate
from pipepita.errors import UserError
from pipepita.runs.options.reading import checked

pytestmark = pytest.mark.slow  # they draw

NASTY = """<script>alert("x")</script> & 'y' $z$ \x07"""
VOID = {"meta", "br", "link", "img", "hr", "input"}


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    values = {"devices": "cortex-m7*2", "link": "fast-ethernet", "network": "fc:32", "samples": 64, "rate": 500.0}
    return simulate(checked(Scenario, values | {"drift": "remap@30", "seed": 7, "normalize": True}))


class Reader(HTMLParser):
    """Collects tags, attributes and text; that every tag is closed is checked on the way."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.inside: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open:
            self.inside.setdefault(self.open[-1], []).append(data)


def made(simulation: Simulation) -> tuple[str, Reader]:
    scores = tables.scores(simulation)
    text = page.page(simulation, scores, tables.rows(simulation, scores))
    return text, Reader(text)


@pytest.fixture(scope="module")
def drawn(simulation) -> tuple[str, Reader]:
    return made(simulation)


def test_three_svgs_with_ids_of_their_own(drawn):
    text, found = drawn
    assert found.tags["svg"] == 3
    ids = [value for _, name, value in found.attributes if name == "id"]
    assert len(ids) > 100
    assert len(set(ids)) == len(ids)
    used = [value[1:] for _, name, value in found.attributes if name in ("xlink:href", "href")]
    used += re.findall(r"url\(#([^)]*)\)", text)
    assert len(used) > 50
    assert set(used) <= set(ids)
    assert {"text"} & set(found.inside)  # text as text
    assert "prediction, p50: ms" in found.inside["text"]
    assert "1 cortex-m7" in found.inside["text"]
    assert "remap" in found.inside["text"]


def test_nothing_is_loaded_from_anywhere(drawn):
    text, found = drawn
    for _, name, value in found.attributes:
        if not name.startswith("xmlns"):
            assert "//" not in value
        if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert value.startswith("#")
    assert set(re.findall(r"url\(['\"]?(.)", text)) == {"#"}
    assert "@import" not in text
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    policy = next(value for tag, name, value in found.attributes if tag == "meta" and "default-src" in value)
    assert policy.startswith("default-src 'none'")


def test_pictures_take_the_colours_of_the_page(drawn):
    text, _ = drawn
    svgs = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "currentColor" in svgs
    assert "#000000" not in svgs
    assert "<style" not in svgs
    backgrounds = re.findall(r'<g id="rates-patch_1">\s*<path[^>]*>', svgs)
    assert backgrounds and all("fill: none" in one or "opacity: 0" in one for one in backgrounds)


def test_what_was_simulated_is_said(simulation, drawn):
    _, found = drawn
    said = dict(zip(found.inside["dt"], found.inside["dd"], strict=False))
    wanted = {
        "devices": "cortex-m7*2", "link": "fast-ethernet", "network": "fc:32", "rule": "pepita", "stream": "digits",
        "drift": "remap@30", "rate": "500 per second", "seed": "7", "normalize": "yes", "samples": "64",
    }  # fmt: skip
    assert said.items() >= wanted.items()
    assert found.inside["h1"] == ["cortex-m7*2 learning digits"]
    plain = replace(simulation, scenario=checked(Scenario, {"data_dir": "/secret"}))
    text, found = made(plain)
    said = dict(zip(found.inside["dt"], found.inside["dd"], strict=False))
    assert (said["rate"], said["drift"], said["link"]) == ("as fast as they are taken", "none", "wifi")
    assert "/secret" not in text


def test_the_table_has_a_column_a_setup(simulation):
    scores = tables.scores(simulation)
    rows = [{"setup": "a", "b": "1", "<c>": "2"}, {"setup": "<d>", "b": "3"}]
    found = Reader(page.page(simulation, scores, rows))
    assert found.inside["td"] == ["1", "3", "2"]
    assert [text for text in found.inside["th"] if text.strip()] == ["setup", "a", "<d>", "b", "<c>"]
    assert Reader(page.page(simulation, scores, [])).tags["table"] == 0


def test_the_formulas_are_those_of_the_work():
    stated = " ".join(inspect.getdoc(work).split())
    for name, formula, remark in page.FORMULAS:
        assert f"{name} = {formula} {remark}".strip() in stated


@pytest.mark.parametrize(("busy", "said"), [(0.02, True), (0.5, False)])
def test_the_page_says_if_devices_hardly_work(simulation, busy, said):
    outcomes = [replace(one, timing=replace(one.timing, busy=[busy])) for one in simulation.outcomes]
    text = page.page(replace(simulation, outcomes=outcomes), tables.scores(simulation), [])
    assert ("Devices work for 2 % of the time at most" in text) == said


@pytest.mark.parametrize("calibrate", [False, True])
def test_the_page_says_how_passes_were_timed(simulation, calibrate):
    timed = replace(simulation, scenario=simulation.scenario.model_copy(update={"calibrate": calibrate}))
    text = page.page(timed, tables.scores(simulation), [])
    assert ("max(flops / rate" in text, "was measured to take" in text) == (not calibrate, calibrate)


@pytest.mark.parametrize(
    ("capacities", "words"),
    [
        ((100, 100, 149, 1000), "149 samples per second: 49 % more than locked (100), and one device from 6.71 times"),
        ((100, 100, 300, 300), "3 times as many as locked (100), and as many as one device."),
        ((100, 100, 90, 0), "10 % fewer than locked (100), and one device's capacity is not known."),
        ((float("nan"), 1, 90, 30), "locked's capacity is not known, and 3 times as many as one device (30)."),
        ((1, 1, float("nan"), 1), "is not known."),
    ],
)  # fmt: skip
def test_summary(simulation, capacities, words):
    capacities = (*capacities[:3], capacities[2], *capacities[3:])  # adaptive is as streaming
    outcomes = [replace(one, capacity=c) for one, c in zip(simulation.outcomes, capacities, strict=True)]
    assert words in page.summary(replace(simulation, outcomes=outcomes))


def test_summary_without_one_device(simulation):
    some = [outcome for outcome in simulation.outcomes if outcome.setup.name != ALONE]
    text = page.summary(replace(simulation, outcomes=some, alone="it fits on none"))
    assert text.endswith("There is no comparison with one device: it fits on none.")
    assert "more than locked" in text or "times as many as locked" in text


def test_nobody_s_names_become_html(simulation):
    stream = replace(simulation.stream, name=NASTY, marks=[(30, NASTY)])
    scenario = simulation.scenario.model_copy(update={"devices": NASTY, "drift": NASTY})
    setup = simulation.outcomes[0].setup
    devices = tuple(replace(device, name=NASTY) for device in setup.chain.devices)
    setup = replace(setup, chain=replace(setup.chain, devices=devices))
    outcomes = [replace(simulation.outcomes[0], setup=setup), *simulation.outcomes[1:]]
    nasty = replace(simulation, scenario=scenario, stream=stream, outcomes=outcomes, alone=NASTY)
    text, found = made(nasty)
    assert found.tags["script"] == 0
    assert "<script" not in text
    assert found.inside["h1"] == [f"{NASTY} learning {NASTY}"]
    assert sum("<script>" in one for one in found.inside["text"]) == 3  # two devices and a drift, as they were written


def test_written_whole_or_not_at_all(simulation, tmp_path, monkeypatch):
    scores = tables.scores(simulation)
    path = tmp_path / "page.html"
    page.write(simulation, scores, tables.rows(simulation, scores), path)
    before = path.read_bytes()
    assert before.startswith(b"<!DOCTYPE html>")
    assert before.rstrip().endswith(b"</html>")

    def broken(*_):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("pipepita.edge.report.picture.gantt", broken)
        with pytest.raises(RuntimeError):
            page.write(simulation, scores, [], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match="cannot be written"):
        page.write(simulation, scores, [], tmp_path / "no" / "page.html")


def test_the_same_simulation_is_the_same_page(simulation, drawn):
    assert made(simulation)[0] == drawn[0]
