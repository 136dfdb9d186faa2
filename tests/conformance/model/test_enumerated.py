"""What must be enumerated: everything there is, once, as it is."""

from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast_conformance.model.difference import Aspect, Expected
from holdfast_conformance.model.enumerated import enumeration_differences, unknown_grants

STORE = OwnedThing(kind=OwnedKind.STORE, id="s", key="store")
VOLUME = OwnedThing(kind=OwnedKind.VOLUME, id="v", key="a", size_bytes=4096)
THERE = (
    Expected(kind=OwnedKind.STORE, key="store"),
    Expected(kind=OwnedKind.VOLUME, key="a", size_bytes=4096),
    Expected(kind=OwnedKind.GRANT, key="a", detail="a|host-a|shared"),
    Expected(kind=OwnedKind.GRANT, key="a", detail="a|host-b|shared"),
)


def grant(identifier: str, key: str) -> OwnedThing:
    return OwnedThing(kind=OwnedKind.GRANT, id=identifier, key=key)


def wrong(*things: OwnedThing) -> list[tuple[OwnedKind | None, Aspect]]:
    return [(found.kind, found.aspect) for found in enumeration_differences(THERE, things)]


def test_a_grant_is_shown_under_its_volume_with_its_host_or_without() -> None:
    """Whatever a driver calls it, there are as many as there are grants."""
    for keys in (("a", "a"), ("a|host-b", "a|host-a"), ("", ""), ("a", "a|host-a"), ("", "a")):
        grants = [grant(f"g{index}", key) for index, key in enumerate(keys)]
        assert wrong(STORE, VOLUME, *grants) == []

    assert wrong(STORE, VOLUME, grant("g", "a")) == [(OwnedKind.GRANT, Aspect.MISSING)]
    assert wrong(STORE, VOLUME, *(grant(f"g{n}", "a") for n in range(3))) == [
        (OwnedKind.GRANT, Aspect.EXTRA)
    ]
    assert wrong(STORE, VOLUME, grant("g", "a"), grant("g", "a")) == [
        (OwnedKind.GRANT, Aspect.DUPLICATE)
    ]


def test_what_is_missing_doubled_or_of_another_size_is_told() -> None:
    """By kind and key; sizes are what scrub compares."""
    grants = (grant("g1", "a"), grant("g2", "a"))
    small = OwnedThing(kind=OwnedKind.VOLUME, id="v", key="a", size_bytes=1)
    half = OwnedThing(kind=OwnedKind.TEMPORARY, id="t", unfinished=True)

    assert wrong(STORE, *grants) == [(OwnedKind.VOLUME, Aspect.MISSING)]
    assert wrong(STORE, VOLUME, VOLUME, *grants) == [(OwnedKind.VOLUME, Aspect.DUPLICATE)]
    assert wrong(STORE, small, *grants) == [(OwnedKind.VOLUME, Aspect.SIZE)]
    assert (OwnedKind.TEMPORARY, Aspect.EXTRA) in wrong(STORE, VOLUME, half, *grants)
    assert wrong(STORE, STORE, VOLUME, *grants) == [(OwnedKind.STORE, Aspect.DUPLICATE)]


def test_a_grant_has_the_id_that_it_was_given_with() -> None:
    """Unless the answer that told it was lost."""
    shown = (grant("g1", "a"), grant("g9", "a"))

    assert len(list(unknown_grants(shown, {"a|host-a": "g1", "a|host-b": "g2"}))) == 1
    assert list(unknown_grants(shown, {"a|host-a": "g1", "a|host-b": None})) == []
