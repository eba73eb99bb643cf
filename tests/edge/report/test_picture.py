"""Pictures of small simulations: what the data call for is in them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from matplotlib.image import imread

from pipepita.edge.devices.profiles import catalogue
from pipepita.edge.report import gantt, picture, tables
from pipepita.edge.scenario import Scenario
from pipepita.edge.setup import ALONE
from pipepita.edge.simulation import Outcome, Simulation, simulate
from pipepita.edge.words import number
from pipepita.errors import UserError
from pipepita.runs.options.reading import checked
from pipepita.schedule import Action

pytestmark = pytest.mark.slow  # they draw

NAMES = ["locked", "relaxed", "streaming", "adaptive", ALONE]


def simulated(**values) -> Simulation:
    small = {"devices": "cortex-m7*2", "link": "fast-ethernet", "network": "fc:32", "samples": 64, "sliding": 16}
    return simulate(checked(Scenario, small | values))


@pytest.fixture(scope="module")
def dropping() -> Simulation:
    return simulated(rate=20000, policy="drop-newest", queue=2, drift="remap@20,noise:0.5@21")


def changed(simulation: Simulation, **values) -> Simulation:
    """With other options, and outcomes that can be changed."""
    scenario = simulation.scenario.model_copy(update=values)
    return replace(simulation, scenario=scenario, outcomes=[replace(one) for one in simulation.outcomes])


def texts(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def lines(axes, colour) -> list:
    """Drawn in `colour` with more than marks: no vertical line among them."""
    return [line for line in axes.lines if line.get_color() == colour and line.get_linestyle() == "-"]


def test_rates_have_a_line_a_setup_its_capacity_and_the_simulated_rate(dropping):
    figure = picture.rates(dropping)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["prediction, p50: ms", "prediction, p95: ms", "update, p95: ms", "dropped: %"]
    values = [
        lambda timing: timing.prediction.p50,
        lambda timing: timing.prediction.p95,
        lambda timing: timing.update.p95,
        lambda timing: 100 * timing.dropped_share,
    ]
    for axes, value in zip(figure.axes, values, strict=True):
        upright = [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]
        for place, outcome in enumerate(dropping.outcomes):
            (line,) = lines(axes, picture._look(place)["color"])
            assert list(line.get_xdata()) == [point.rate for point in outcome.curve]
            assert list(line.get_ydata()) == [value(point.timing) for point in outcome.curve]
            assert outcome.capacity in upright
        assert dropping.scenario.rate in upright
    named = texts(figure)
    assert [text.split(" (")[0] for text in named[:5]] == NAMES
    assert number(dropping.outcomes[2].capacity) in named[2]
    assert named[5:] == ["beyond capacity: samples are dropped", "simulated: 20000/s"]


def test_points_beyond_capacity_are_hollow(dropping):
    axes = picture.rates(dropping).axes[0]
    outcome = dropping.outcomes[2]
    points = [line for line in axes.lines if line.get_color() == "tab:cyan" and line.get_marker() == "s"]
    hollow = {x for line in points if line.get_markerfacecolor() == "none" for x in line.get_xdata()}
    full = {x for line in points if line.get_markerfacecolor() != "none" for x in line.get_xdata()}
    assert hollow == {point.rate for point in outcome.curve if point.rate > outcome.capacity} != set()
    assert full == {point.rate for point in outcome.curve} - hollow != set()


def test_a_blocking_queue_shows_what_is_learnt_instead_of_drops(dropping):
    figure = picture.rates(changed(dropping, policy="block", rate=None))
    axes = figure.axes[-1]
    assert axes.get_title(loc="left") == "learnt from: samples per second"
    (line,) = lines(axes, "tab:red")
    assert list(line.get_ydata()) == [point.timing.throughput for point in dropping.outcomes[0].curve]
    (all_of_them,) = [line for line in axes.lines if line.get_gid() == "all"]
    assert list(all_of_them.get_xdata()) == list(all_of_them.get_ydata())
    assert texts(figure)[-1] == "beyond capacity: the source waits"


def test_a_far_rate_does_not_squeeze_the_curves(dropping):
    ends = picture.rates(changed(dropping, rate=1e9)).axes[0].get_xlim()
    assert ends[1] < 2 * max(point.rate for outcome in dropping.outcomes for point in outcome.curve)


def test_setups_without_curve_or_capacity(dropping, tmp_path):
    some = changed(dropping)
    some.outcomes[1].curve = []
    some.outcomes[1].capacity = math.nan
    figure = picture.rates(some)
    assert texts(figure)[1] == "relaxed (capacity unknown)"
    (line,) = lines(figure.axes[0], "gold")
    assert len(line.get_xdata()) == 0
    none = changed(dropping)
    for outcome in none.outcomes:
        outcome.curve, outcome.capacity, outcome.events = [], math.nan, []
        outcome.learnt = replace(outcome.learnt, indices=[], predictions=[], labels=[])
    assert "no latencies" in picture.rates(none).axes[0].texts[0].get_text()
    assert "nothing was predicted" in [
        text.get_text() for text in picture.accuracy(none, tables.scores(none)).axes[0].texts
    ]
    assert all("no passes" in axes.texts[0].get_text() for axes in picture.gantt(none).axes)
    picture.draw(none, tables.scores(none), tmp_path / "none.png")


def test_accuracy_is_over_the_items_of_the_stream(dropping):
    scores = tables.scores(dropping)
    figure = picture.accuracy(dropping, scores)
    (axes,) = figure.axes
    locked = dropping.outcomes[0].learnt
    assert len(locked.indices) < 64  # some were dropped: places among the served are none in the stream
    (line,) = lines(axes, "tab:red")
    assert list(line.get_xdata()) == locked.indices
    assert list(line.get_ydata()) == [percent for _, percent in scores["locked"].curve]


def test_setups_that_learnt_the_same_share_a_line():
    simulation = simulated()
    figure = picture.accuracy(simulation, tables.scores(simulation))
    assert texts(figure) == ["locked = relaxed = one device", "streaming = adaptive"]
    assert len([line for line in figure.axes[0].lines if line.get_linestyle() == "-"]) == 2


def test_drifts_are_named_side_by_side(dropping):
    figure = picture.accuracy(dropping, tables.scores(dropping))
    (axes,) = figure.axes
    drifts = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "drift"]
    assert drifts == [20, 21]
    assert [text.get_text() for text in axes.texts] == ["remap", "noise:0.5"]
    figure.canvas.draw()
    one, other = (text.get_window_extent() for text in axes.texts)
    assert not one.overlaps(other)


def test_long_and_many_drifts_stay_inside_and_apart(dropping):
    marks = [(index, rf"$\frac$ {'long ' * 20}") for index in range(50, 62)]
    stream = replace(dropping.stream, marks=marks)
    figure = picture.accuracy(replace(dropping, stream=stream), tables.scores(dropping))
    (axes,) = figure.axes
    assert len([line for line in axes.lines if line.get_gid() == "drift"]) == 12
    assert figure.legends[0].get_title().get_text() == f"and {12 - len(axes.texts)} more drifts"
    assert len(axes.texts) == picture._MARK_ROWS
    assert axes.texts[0].get_text().startswith(r"$\frac$ long")  # no formula
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_detections_are_ticks_at_items_of_the_stream(dropping):
    simulation, scores = changed(dropping, detector="adwin"), tables.scores(dropping)
    for score in scores.values():
        score.detected = [3, 5]
    figure = picture.accuracy(simulation, scores)
    ticks = [line for line in figure.axes[0].lines if line.get_gid() == "detected"]
    learnt = [simulation.outcomes[place].learnt for place, _ in picture._alike(simulation.outcomes)]
    assert [list(line.get_xdata()) for line in ticks] == [[one.indices[3], one.indices[5]] for one in learnt]
    assert len({line.get_ydata()[0] for line in ticks}) == len(ticks)
    assert "(2 detected)" in texts(figure)[0]


def test_gantt_has_a_panel_a_setup_on_one_scale():
    simulation = simulated(rate=500)
    figure = picture.gantt(simulation)
    assert [axes.get_title(loc="left") for axes in figure.axes] == NAMES
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    labels = [[tick.get_text() for tick in axes.get_yticklabels()] for axes in figure.axes]
    assert labels == [["1 cortex-m7", "2 cortex-m7"]] * 4 + [["1 cortex-m7"]]
    assert texts(figure) == ["standard pass", "modulated pass", "update"]
    # locked is idle between passes: each bar that is not cut off is a pass or an update as it was
    unit = {"milliseconds": 1e-3, "microseconds": 1e-6}[figure.axes[-1].get_xlabel()]
    bars = figure.axes[0].collections
    assert len(bars) == 6  # two devices with two passes and an update each
    (standard,) = [bar for bar in bars if bar.get_label() == "0 tab:blue"]
    lengths = {round(end - begin, 9) for stage, action, begin, end, _ in simulation.outcomes[0].events
               if stage == 0 and action.name == "standard"}  # fmt: skip
    drawn = [path.vertices[:, 0] * unit for path in standard.get_paths()]
    assert len(drawn) >= 2
    assert {round(float(x.max() - x.min()), 9) for x in drawn} == lengths


def excerpt(window: int, samples: range, served: int) -> Outcome:
    """Passes of 1 s and updates of 1 s, on one device that is never idle: 3 s a sample."""
    events = []
    for step in samples:
        events.append((0, Action("standard", step), 3.0 * step, 3.0 * step + 1, 3.0 * step + 1))
        second = 3.0 * (step + window - 1) + 1
        events.append((0, Action("modulated", step), second, second + 1, second + 2))
    return type("Found", (), {"events": events, "timing": type("Timing", (), {"served": served})()})()


def test_what_was_not_recorded_is_not_shown_as_idle():
    passes = ("standard", "modulated")
    part = gantt._Excerpt.of(excerpt(3, range(100, 112), 500), passes)
    assert (part.since, part.until) == (307.0, 334.0)  # from the first modulated pass to the last standard one
    assert part.whole == {103, 104, 105, 106, 107}
    assert part.gaps(309, 12) == []
    assert part.gaps(306, 30) == [(0.0, 1.0), (28.0, 30)]
    ended = gantt._Excerpt.of(excerpt(3, range(100, 112), 112), passes)
    assert ended.gaps(309, 100) == []
    begun = gantt._Excerpt.of(excerpt(3, range(12), 500), passes)
    assert begun.gaps(0, 10) == []
    assert gantt._Excerpt.of(excerpt(20, range(100, 112), 500), passes).whole == set()
    assert gantt._Excerpt.of(excerpt(3, range(0), 500), passes) is None


def test_excerpts_begin_with_the_same_sample():
    passes = ("standard", "modulated")
    outcomes = [replaced_capacity(excerpt(window, range(100, 112), 500)) for window in (1, 3)]
    parts = [gantt._Excerpt.of(outcome, passes) for outcome in outcomes]
    origins, width = gantt._time(outcomes, parts)
    assert [origins[id(part)] for part in parts] == [309.0, 309.0]
    assert width == 12.0


def replaced_capacity(outcome, capacity: float = 1 / 3):
    outcome.capacity = capacity
    return outcome


def test_where_little_arrives_work_is_still_seen():
    outcome = replaced_capacity(excerpt(1, range(100, 112), 500), capacity=100.0)
    part = gantt._Excerpt.of(outcome, ("standard", "modulated"))
    assert gantt._time([outcome], [part])[1] == pytest.approx(0.04)


@pytest.mark.parametrize("values", [{"devices": "rpi4", "link": None}, {"rule": "drtp"}, {"rule": "bp", "rate": 5.0}])
def test_one_device_and_other_rules(values, tmp_path):
    simulation = simulated(**values)
    figure = picture.gantt(simulation)
    passes = [f"{name} pass" for name in simulation.network.passes]
    assert texts(figure)[: len(passes)] == passes
    assert all(axes.collections for axes in figure.axes)
    picture.draw(simulation, tables.scores(simulation), tmp_path / "a.png")


def test_of_many_devices_the_first_are_shown(dropping):
    many = changed(dropping)
    setup = many.outcomes[0].setup
    device = catalogue(None).device("cortex-m7")
    chain = replace(setup.chain, devices=(replace(device, name="d" * 60),) * 20)
    many.outcomes[0].setup = replace(setup, chain=chain, parts=[range(1)] * 20)
    axes = picture.gantt(many).axes[0]
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert len(labels) == 16
    assert max(map(len, labels)) == 24
    assert axes.get_title(loc="left") == "locked, the first 16 of 20 devices"


@pytest.mark.parametrize(
    ("suffix", "begins"), [("svg", b"<?xml"), pytest.param("pdf", b"%PDF", marks=pytest.mark.rest)]
)
def test_draw_by_suffix(dropping, tmp_path, suffix, begins):
    path = tmp_path / f"a.{suffix}"
    picture.draw(dropping, tables.scores(dropping), path)
    assert path.read_bytes().startswith(begins)


def test_draw_puts_all_on_one_picture(dropping, tmp_path):
    path = tmp_path / "a.PNG"
    picture.draw(dropping, tables.scores(dropping), path)
    pixels = imread(path)[..., :3]
    assert all(part.std() > 0.05 for part in (pixels[:800], pixels[800:1400], pixels[1400:]))
    assert [found.name for found in tmp_path.iterdir()] == ["a.PNG"]
    with pytest.raises(UserError, match="picture"):
        picture.draw(dropping, tables.scores(dropping), tmp_path / "a.txt")
