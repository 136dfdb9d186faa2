"""What must be in a list that is made while its store changes."""

import pytest

from holdfast.contract.answers import OwnedKind, OwnedThing, VolumeInfo, VolumePage
from holdfast.contract.requests import DeleteVolume, EnumerateOwned, ListVolumes
from holdfast_conformance.model.at_once import CallMade
from holdfast_conformance.model.difference import Expected
from holdfast_conformance.model.shown_at_once import missing_of_lasting
from holdfast_conformance.plan import Call
from holdfast_conformance.trace import Enumerated, Reply


def volumes(*keys: str, born: int = 1) -> tuple[Expected, ...]:
    return tuple(Expected(kind=OwnedKind.VOLUME, key=key, born=born) for key in keys)


def made(step: Call, reply: Reply | None) -> CallMade:
    return CallMade(step=step, kind=None, reply=reply, invoked_s=0.0, returned_s=1.0)


def enumerated(*keys: str) -> CallMade:
    things = tuple(OwnedThing(kind=OwnedKind.VOLUME, key=key, id=key) for key in keys)
    return made(EnumerateOwned(), Enumerated(things))


def page(*keys: str, token: str = "") -> CallMade:
    items = tuple(VolumeInfo(key=key, id=key, size_bytes=1) for key in keys)
    return made(ListVolumes(limit=10), VolumePage(items=items, token=token))


DELETION = made(DeleteVolume(key="a"), None)
BEFORE, AFTER = volumes("a", "b", "c"), volumes("b", "c", "d")


@pytest.mark.parametrize("shown", [("b", "c"), ("a", "b", "c"), ("b", "c", "d")])
def test_what_changes_may_be_shown_or_not(shown: tuple[str, ...]) -> None:
    """Nobody promises at which moment a walk looks."""
    for look in (enumerated(*shown), page(*shown)):
        assert list(missing_of_lasting((DELETION, look), (BEFORE, AFTER))) == []


@pytest.mark.parametrize("look", [enumerated("a", "b"), page("b")])
def test_what_lasts_is_shown(look: CallMade) -> None:
    """Whoever takes it for lost would make it again, or count it as a leak."""
    (missing,) = missing_of_lasting((look, DELETION), (BEFORE, AFTER))

    assert missing.key == "c"


def test_a_page_that_is_not_the_last_need_not_show_everything() -> None:
    """The rest is on the next one."""
    assert list(missing_of_lasting((page("b", token="more"), DELETION), (BEFORE, AFTER))) == []


def test_what_was_made_anew_meanwhile_did_not_last() -> None:
    """It is another thing under the same key."""
    after = (*volumes("b"), *volumes("c", born=2))

    assert list(missing_of_lasting((enumerated("b"), DELETION), (BEFORE, after))) == []
