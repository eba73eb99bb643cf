"""Finds rules by name and makes them: for `--rule`, for `rule = ...` in a job, and for the run.json of an earlier run.

    RULE     a name, then perhaps options:  pepita    pepita:modulate=all,form=stash    my_rule:MyRule:scale=0.1
    name     of a built-in rule, or of one that an installed package offers in the entry-point group `pipepita.rules`;
             or module:Class, or path/to/file.py:Class

A name holds no "=" and an option always does, so they cannot be confused. In TOML a rule is such a text, or a table:
`[rule]` with `name = "pepita"` and the options. Naming a rule or listing its options does not import torch.
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
    "gevb": "pipepita.rules.gevb:ErrorVectors",
    "local": "pipepita.rules.local:LocalLoss",
    "dni": "pipepita.rules.dni:SyntheticGradients",
}
GROUP = "pipepita.rules"  # the entry-point group in which packages offer rules
_RULE = re.compile(r"(?P<name>[^:=]+(:[^\W\d][\w.]*(?=:|$))?)(:(?P<options>.*))?", re.DOTALL)


def installed() -> dict[str, EntryPoint]:
    """The rules that installed packages offer, by name, not loaded yet. None of them can replace a built-in rule.

    Example:
        >>> "pepita" in installed()
        False
    """
    from importlib.metadata import entry_points  # slow: it reads about all installed packages

    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def find(name: str) -> type[Rule]:
    """The class of the rule called `name`. Raises `UserError` if there is none."""
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
    """Splits a text like "pepita:modulate=all" into the rule's name and its options.

    Args:
        text: A rule, as at the top of this module.

    Returns:
        The name, and the options by name, whose values are text.

    Raises:
        UserError: The text is not of that form.

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
    name, given = matched["name"], {}
    first, colon, second = name.partition(":")
    if colon and first in BUILT_IN:
        raise UserError(f"rule {text!r}: {second} has no value: {form}")
    for part in _parts(matched["options"]) if matched["options"] else []:
        option, equals, value = part.partition("=")
        if not equals or not option.strip():
            raise UserError(f"rule {text!r}: {part.strip()!r} is not option=value: {form}")
        given[option.strip()] = value.strip()
    return name, given


def split_several(text: str) -> list[str]:
    """Splits a comma-separated list of rules into their texts.

    A comma begins another rule unless an option follows it.

    Args:
        text: The list.

    Returns:
        One text per rule.

    Example:
        >>> split_several("bp,usf:form=stash,keep_signs=true,my_rule.py:MyRule:scale=1")
        ['bp', 'usf:form=stash,keep_signs=true', 'my_rule.py:MyRule:scale=1']
    """
    texts: list[str] = []
    for part in _parts(text):
        option, equals, _ = part.partition("=")
        if texts and equals and ":" not in option:
            texts[-1] += f",{part}"
        else:
            texts.append(part.strip())
    return texts


def _parts(text: str) -> list[str]:
    """Splits `text` at its commas, except those in brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "[{(") - (sign in ")}]")
        if sign == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def make(name: str, given: Mapping[str, Any]) -> Rule:
    """Makes the rule called `name` with these options.

    Args:
        name: The name of a built-in or installed rule, module:Class, or file.py:Class; `reference` returns one.
        given: Values for fields of its dataclass. The other fields have their defaults.

    Raises:
        UserError: There is no such rule, or it does not take such options.

    Example:
        >>> make("usf", {"keep_signs": True})
        UniformSigns(form='stash', same_norm=False, keep_signs=True)
    """
    return _made(find(name), name, given, text=False)


def read(spec: str | Mapping[str, Any]) -> Rule:
    """Makes the rule that a text or a table describes.

    Args:
        spec: A text like "pepita:modulate=all", or a table like {"name": "pepita", "modulate": "all"}.

    Raises:
        UserError: The text or table cannot be read, there is no such rule, or it does not take such options.

    Example:
        >>> read("bp:form=textbook") == read({"name": "bp", "form": "textbook"})
        True
    """
    if isinstance(spec, str):
        name, given = split(spec)
        return _made(find(name), name, given, text=True)
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        raise UserError(f'rule {spec!r}: write it like "pepita:modulate=all", or as a table with its name and options')
    return make(spec["name"], {option: value for option, value in spec.items() if option != "name"})


def _made(kind: type[Rule], name: str, given: Mapping[str, Any], *, text: bool) -> Rule:
    values = options.fitted(kind, name, given, text=text)
    try:
        return kind(**values)
    except UserError as error:
        raise UserError(f"rule {name}: {error}") from None
    except Exception as error:  # a class from outside may raise anything
        shown = ", ".join(f"{option}={value!r}" for option, value in values.items()) or "no options"
        raise UserError(f"rule {name} cannot be made with {shown}: {loading.in_words(error)}") from None


def reference(rule: Rule) -> str:
    """The name under which `make` finds the class of `rule` again.

    Args:
        rule: The rule.

    Returns:
        Its short name if it is built in or offered by an installed package, else module:Class or file.py:Class.

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
    """Makes the rule of an earlier run again, from what its run.json says.

    Args:
        name: What `reference` returned.
        given: What `options_of` returned, perhaps written to JSON and read again.
        passed: The rule itself, if its class cannot be loaded by name because a script defines it.

    Raises:
        UserError: The rule cannot be loaded, or `passed` is another rule or has other options.

    Example:
        >>> again("bp", {"form": "textbook"})
        Backprop(form='textbook')
    """
    if passed is None:
        try:
            return make(name, given)
        except UserError as error:
            raise UserError(f"{error} (you can also pass the run's rule itself: rule=...)") from None
    passed_options, given = (json.loads(json.dumps(dict(one))) for one in (options_of(passed), given))
    if reference(passed).rpartition(":")[2] != name.rpartition(":")[2] or passed_options != given:
        raise UserError(
            f"rule {reference(passed)} with {passed_options} is not the run's, which is {name} with {given}"
        )
    return passed


def options_of(rule: Rule) -> dict[str, Any]:
    """The options of `rule` and their values, as `make` takes them.

    Example:
        >>> options_of(make("bp", {}))
        {'form': 'stash'}
    """
    return {name: getattr(rule, name) for name in options.options(type(rule))}


def text_of(rule: Rule) -> str:
    """The rule as `read` takes it, with the options that are not at their defaults.

    Example:
        >>> text_of(make("pepita", {"modulate": "all", "mirror": 3}))
        'pepita:modulate=all,mirror=3'
    """
    given = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, field in options.options(type(rule)).items()
        if (value := getattr(rule, name)) != field.default
    ]
    return f"{reference(rule)}:{','.join(given)}" if given else reference(rule)
