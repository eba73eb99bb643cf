"""The checker of rules as a whole; the other files here have one rule for each failure that it names."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from testing.test_declaration import Deaf, Rude

import pipepita as pp
from pipepita.rules import read
from pipepita.testing import check_rule


@dataclass(frozen=True)
class Twice(Rude, Deaf):
    """It is wrong in two ways."""


def test_all_failures_are_in_one_line():
    with pytest.raises(pp.RunError, match=r"^rule .*Twice breaks the contract: .*scale = -1 .*; .*signal") as error:
        check_rule(Twice(), ray=False)
    assert "\n" not in str(error.value)


def test_what_is_no_rule_is_refused():
    for wrong in (3, pp.Pepita, "pepita"):
        with pytest.raises(pp.UserError, match="pass a rule, like pipepita.Pepita"):
            check_rule(wrong, ray=False)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["pepita:form=recompute", "pepita:modulate=all", "brsf:keep_signs=true", "drtp"])
def test_built_in_rules_pass(text):
    assert len(check_rule(read(text), ray=False)) == 9


def test_a_rule_for_linear_layers_only_is_checked_on_them():
    verdicts = {verdict.name: verdict for verdict in check_rule(read("pepita:mirror=3,modulate=all"), ray=False)}
    assert verdicts["trains"].note.startswith("only linear layers: mirror 3: layer 1 is a convolution")
