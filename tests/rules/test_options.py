"""Options of every type: values, values read from text, and values that are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

import pipepita as pp
from pipepita.rules import options


@dataclass(frozen=True)
class Many(pp.Rule):
    flow = pp.Flow.ALL
    on: bool = False
    count: int = 1
    share: float = 0.5
    word: str = "a"
    how: Literal["fast", "slow", 3] = "fast"
    limit: int | None = None
    sizes: tuple[int, ...] = (1, 2)
    made: list[int] = field(default_factory=list)

    def learner(self, layer, layers, classes, seed):
        raise NotImplementedError


@dataclass(frozen=True)
class Needs(Many):
    more: int = field(kw_only=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on=true", True), ("count=-3", -3), ("share=2", 2.0), ("share=1e-3", 0.001), ("word=fast", "fast"),
        ("word=3", "3"), ("word=true", "true"), ('word="3"', "3"), ("word=", ""), ("how=slow", "slow"), ("how=3", 3),
        ("limit=null", None), ("limit=4", 4), ("sizes=[3,4]", (3, 4)), ("made=[1]", [1]),
    ],
)  # fmt: skip
def test_text_becomes_a_value_of_the_options_type(text, value):
    option, _, written = text.partition("=")
    read = options.fitted(Many, "many", {option: written}, text=True)[option]
    assert (read, type(read)) == (value, type(value))
    assert options.fitted(Many, "many", {option: read}) == {option: read}
    assert getattr(Many(**{option: read}), option) == value


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("on", 1, "true or false"), ("on", "true", "true or false"), ("count", True, "a whole number"),
        ("count", 1.0, "a whole number"), ("count", 1 << 63, "a whole number"), ("share", "0.5", "a number"),
        ("share", True, "a number"), ("word", 3, "a text"), ("how", 4, "one of fast, slow, 3"),
        ("limit", "4", "a whole number or null"), ("sizes", 3, "a list"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_name(option, value, right):
    for refuse in (lambda: options.fitted(Many, "many", {option: value}), lambda: Many(**{option: value})):
        with pytest.raises(pp.UserError, match=rf"^(rule many: )?{option} .* is not {right}$"):
            refuse()


def test_a_number_that_is_too_large_to_show_is_refused():
    with pytest.raises(pp.UserError, match=r"^count \(too large to show\) is not a whole number$"):
        Many(count=1 << 20_000)


def test_an_option_without_a_default_is_asked_for():
    with pytest.raises(pp.UserError, match="^rule needs needs its option more: write it like needs:more=..."):
        options.fitted(Needs, "needs", {"count": 3})
    assert options.fitted(Needs, "needs", {"more": 3}) == {"more": 3}


def test_an_option_is_described_with_what_else_it_may_be():
    known = options.options(Many)
    assert options.described(known["how"], Many) == "how=fast (or slow, 3)"
    assert [options.described(known[name], Many) for name in ("on", "share")] == ["on=false", "share=0.5"]
    assert options.described(known["limit"], Many) == "limit=None (or a whole number)"
    assert options.described(options.options(pp.Pepita)["f_scale"], pp.Pepita) == "f_scale=auto (or a number)"
