"""Where rules come from, and how one is named: `--rule`, `rule = ...` in a job, and run.json all end here.

    RULE     a name, then its options, if any:  pepita    pepita:modulate=all,form=stash    my_rule:MyRule:scale=0.1
    a name   of a built-in rule, or of one that an installed package offers in the entry-point group `pipepita.rules`;
             or module:Class, or path/to/file.py:Class

A name holds no "=" and an option always does, so the two cannot be taken for each other. In TOML a rule is such a text,
or a table: `[rule]` with `name = "pepita"` and the options. No torch is imported to name a rule or to list its options.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pipepita.errors import UserError, unknown
from pipepita.rules import loading, options
from pipepita.rules.rule import Rule

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILT_IN = {
    "pepita": "pipepita.rules.pepita:Pepita",
    "bp": "pipepita.rules.backward:Backprop",
    "fa": "pipepita.rules.backward:FeedbackAlignment",
    "usf": "pipepita.rules.backward:UniformSigns",
    "brsf": "pipepita.rules.backward:RandomSigns",
    "frsf": "pipepita.rules.backward:FixedSigns",
    "dfa": "pipepita.rules.dfa:DirectFeedbackAlignment",
    "drtp": "pipepita.rules.drtp:TargetProjection",
}
GROUP = "pipepita.rules"  # of entry points
_RULE = re.compile(r"(?P<name>[^:=]+(:[^\W\d][\w.]*(?=:|$))?)(:(?P<options>.*))?", re.DOTALL)


def installed() -> dict[str, EntryPoint]:
    """What installed packages offer, by name, not loaded yet. A built-in name stays the built-in rule's."""
    from importlib.metadata import entry_points  # of all packages: only if a name is not built in

    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def find(name: str) -> type[Rule]:
    """The class of the rule `name`; `UserError` in one line for a name that leads to none."""
    if name in BUILT_IN:
        return cast("type[Rule]", loading.load(BUILT_IN[name]))
    if ":" in name:
        return cast("type[Rule]", loading.load(name))
    offered = installed()
    if name not in offered:
        hint = "; or module:Class, or path/to/file.py:Class"
        raise UserError(f"{unknown('rule', name, [*BUILT_IN, *offered])}{hint}")
    try:
        return cast("type[Rule]", loading.load(offered[name].value))
    except UserError as error:
        package = offered[name].dist
        whose = f" of the package {package.name}" if package is not None else ""
        raise UserError(f"rule {name}{whose}: {error}") from None


def split(text: str) -> tuple[str, dict[str, str]]:
    """`"pepita:modulate=all"` as `("pepita", {"modulate": "all"})`; the options stay text.

    Raises:
        UserError: The text is not of the form above.

    Example:
        >>> split("pepita:modulate=all,form=stash")
        ('pepita', {'modulate': 'all', 'form': 'stash'})
        >>> split("rules/my_rule.py:MyRule:scale=0.1")
        ('rules/my_rule.py:MyRule', {'scale': '0.1'})
        >>> split("my_rule:MyRule")
        ('my_rule:MyRule', {})
    """
    form = "write it like pepita, pepita:modulate=all,form=stash or my_rule.py:MyRule:scale=0.1"
    matched = _RULE.fullmatch(text.strip())
    if matched is None:
        raise UserError(f"rule {text!r} cannot be read: {form}")
    name, found = matched["name"], {}
    first, colon, second = name.partition(":")
    if colon and first in BUILT_IN:
        raise UserError(f"rule {text!r}: {second} has no value: {form}")
    for part in filter(str.strip, _parts(matched["options"] or "")):
        option, equals, value = part.partition("=")
        if not equals or not option.strip():
            raise UserError(f"rule {text!r}: {part.strip()!r} is not option=value: {form}")
        found[option.strip()] = value.strip()
    return name, found


def split_several(text: str) -> list[str]:
    """`"pepita:modulate=all,form=stash,bp"` as `["pepita:modulate=all,form=stash", "bp"]`.

    A comma begins another rule unless an option follows it.

    Example:
        >>> split_several("bp,usf:form=stash,keep_signs=true,my_rule.py:MyRule:scale=1")
        ['bp', 'usf:form=stash,keep_signs=true', 'my_rule.py:MyRule:scale=1']
    """
    found: list[str] = []
    for part in _parts(text):
        option, equals, _ = part.partition("=")
        if found and equals and ":" not in option:
            found[-1] += f",{part}"
        else:
            found.append(part.strip())
    return found


def _parts(text: str) -> list[str]:
    """`text` at its commas, but for those in brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "[{(") - (sign in ")}]")
        if sign == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def make(name: str, given: Mapping[str, Any]) -> Rule:
    """The rule called `name` with these options.

    Args:
        name: Of a built-in or installed rule, module:Class, or file.py:Class; as `reference` gives it.
        given: Values of the fields of its dataclass; those left out have their defaults.

    Raises:
        UserError: The name leads to no rule, or the rule does not take such options.

    Example:
        >>> make("usf", {"keep_signs": True})
        UniformSigns(form='stash', same_norm=False, keep_signs=True)
    """
    return _made(find(name), name, given, text=False)


def read(spec: str | Mapping[str, Any]) -> Rule:
    """The rule of a text like `pepita:modulate=all`, or of a table like `{"name": "pepita", "modulate": "all"}`.

    Raises:
        UserError: As `make`, or the text cannot be read.

    Example:
        >>> read("bp:form=textbook") == read({"name": "bp", "form": "textbook"})
        True
    """
    if isinstance(spec, str):
        name, found = split(spec)
        return _made(find(name), name, found, text=True)
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        raise UserError(f'rule {spec!r}: write it like "pepita:modulate=all", or as a table with its name and options')
    return make(spec["name"], {option: value for option, value in spec.items() if option != "name"})


def _made(kind: type[Rule], name: str, given: Mapping[str, Any], *, text: bool) -> Rule:
    found = options.fitted(kind, name, given, text=text)
    try:
        return kind(**found)
    except UserError as error:
        raise UserError(f"rule {name}: {error}") from None
    except Exception as error:  # a stranger's class may raise anything
        shown = ", ".join(f"{option}={value!r}" for option, value in found.items()) or "no options"
        raise UserError(f"rule {name} cannot be made with {shown}: {loading.in_words(error)}") from None


def reference(rule: Rule) -> str:
    """What names the class of `rule` again, for `make`: its name if it is built in or installed, else where it is.

    Example:
        >>> reference(make("dfa", {}))
        'dfa'
    """
    where = loading.home(type(rule))
    known = {place: name for name, place in BUILT_IN.items()}
    if where not in known and not where.startswith("pipepita."):
        known |= {point.value: name for name, point in installed().items()}
    return known.get(where, where)


def again(name: str, given: Mapping[str, Any], passed: Rule | None = None) -> Rule:
    """The rule of an earlier run, from what its run.json says.

    Args:
        name: As `reference` gave it.
        given: As `options_of` gave it, perhaps through JSON.
        passed: The rule itself, if its class cannot be found by name: defined in a script that is not running now.

    Raises:
        UserError: The rule cannot be found, or what was passed is another one.
    """
    if passed is None:
        try:
            return make(name, given)
        except UserError as error:
            raise UserError(f"{error} (the run's own rule can be passed, too: rule=...)") from None
    own = json.loads(json.dumps(options_of(passed)))
    if reference(passed).rpartition(":")[2] != name.rpartition(":")[2] or own != given:
        raise UserError(f"rule {reference(passed)} with {own} is not the run's, which is {name} with {given}")
    return passed


def options_of(rule: Rule) -> dict[str, Any]:
    """The options of `rule` and their values, for `make`.

    Example:
        >>> options_of(make("bp", {}))
        {'form': 'stash'}
    """
    return {name: getattr(rule, name) for name in options.options(type(rule))}
