"""The registry of properties."""

import re

import pytest

from holdfast.contract.requests import Role
from holdfast_conformance.judgement.evidence import Moment
from holdfast_conformance.judgement.judge import COMPLETE_TO
from holdfast_conformance.judgement.registry import all_properties, checks
from holdfast_conformance.verdict import Level


def test_every_property_says_what_it_demands() -> None:
    """A statement is a sentence for people, and an id names category and number."""
    for found in all_properties():
        assert re.fullmatch(r"[A-Z]{3}-\d\d", found.id), found.id
        assert found.statement.endswith("."), found.id
        assert found.statement[0].isupper(), found.id
        assert found.roles, found.id
        assert found.min_exercise > 0, found.id


def test_ids_are_in_order_and_unique() -> None:
    """The order of the registry is that of the ids."""
    ids = [found.id for found in all_properties()]

    assert ids == sorted(set(ids))


def test_an_id_is_taken_once() -> None:
    """Two checks cannot share an id."""

    def check(_: Moment) -> None:
        return None

    taken = all_properties()[0].id
    with pytest.raises(ValueError, match="twice"):
        checks(taken, Level.L1, "A second one.", roles=(Role.PRIMARY,))(check)


def test_every_property_has_a_check() -> None:
    """Whatever a store may declare, somebody looks whether it is so."""
    assert [found.id for found in all_properties() if found.check is None] == []


def test_levels_are_those_that_can_be_awarded() -> None:
    """L0 and L1 are complete; what lies above is judged and awards nothing yet."""
    levels = {found.level for found in all_properties()}

    assert {Level.L0, Level.L1} <= levels
    assert COMPLETE_TO is Level.L1
