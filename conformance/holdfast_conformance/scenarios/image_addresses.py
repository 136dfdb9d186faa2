"""Stories about temporary addresses: for whom, for how long, and for what else they are no good."""

from collections.abc import Iterator

from holdfast.contract.requests import CancelMaintenance, DeleteObject, GetObject, MaintainStore
from holdfast_conformance.address_steps import FetchAddress, FetchExpired, MakeAddress, Method
from holdfast_conformance.image_limits import large_bytes
from holdfast_conformance.model.image_address import LASTING_S
from holdfast_conformance.plan import Reopen, Step
from holdfast_conformance.scenarios.image_script import Script

_OTHER = "the other one"
_BRIEF_S = 1.0
"""As short as servers allow that count in whole seconds: somebody waits for its end."""


def addresses(script: Script) -> Iterator[Step]:
    """Everybody who has an address reads that object, and does nothing else with it."""
    yield script.put()
    yield script.put(_OTHER)
    yield _make(script, "first", script.key)
    yield FetchAddress(address="first")
    yield _make(script, "second", script.key)
    yield from (FetchAddress(address="second"), FetchAddress(address="first"))
    yield _make(script, "other", _OTHER)
    yield FetchAddress(address="first", path_of="other")
    yield FetchAddress(address="other", path_of="second")
    for method in (Method.PUT, Method.DELETE):
        yield FetchAddress(address="first", method=method)
    yield GetObject(key=script.key)
    yield Reopen()
    yield from (FetchAddress(address="first"), FetchAddress(address="other"))


def address_expires(script: Script) -> Iterator[Step]:
    """An address ends when its time is over, and no other with it."""
    yield script.put()
    brief_s = min(_BRIEF_S, _allowed_s(script))
    brief = MakeAddress(address="brief", key=script.key, expires_s=brief_s)
    yield from script.choices.shuffled((brief, _make(script, "lasting", script.key)))
    yield FetchExpired(address="brief")
    yield FetchAddress(address="lasting")


def addresses_of_all_objects(script: Script) -> Iterator[Step]:
    """Objects of 0 bytes and of several parts have addresses like any other."""
    yield script.put("empty", 0)
    yield from _made_and_fetched(script, "empty")
    if script.can_join:
        start = script.start("joined")
        yield from script.sent(start, 1)
        yield script.part(start, 2)
        yield script.finish(start, 1, 2)
        yield from _made_and_fetched(script, "joined")
    size_bytes = large_bytes(script.declared)
    if size_bytes is not None:
        yield script.put("large", size_bytes)
        yield from _made_and_fetched(script, "large")


def addresses_refused(script: Script) -> Iterator[Step]:
    """An address that cannot be made is an error."""
    yield _make(script, "absent", script.key)
    yield FetchAddress(address="absent")
    yield script.put()
    for expires_s in (0.0, -1.0, 2 * _allowed_s(script) + LASTING_S):
        yield MakeAddress(address="never", key=script.key, expires_s=expires_s)
    yield MakeAddress(address="longest", key=script.key, expires_s=_allowed_s(script))
    yield FetchAddress(address="longest")
    yield DeleteObject(key=script.key)
    yield _make(script, "late", script.key)


def address_of_a_deleted_object(script: Script) -> Iterator[Step]:
    """What is gone is not given to anybody; what comes after it is whole."""
    yield script.put()
    yield _make(script, "address", script.key)
    yield DeleteObject(key=script.key)
    yield FetchAddress(address="address")
    yield script.put(size_bytes=500)
    yield FetchAddress(address="address")


def address_at_rest(script: Script) -> Iterator[Step]:
    """Addresses are for reading, which maintenance does not end."""
    yield script.put()
    yield _make(script, "before", script.key)
    yield MaintainStore()
    yield FetchAddress(address="before")
    yield _make(script, "within", script.key)
    yield FetchAddress(address="within")
    yield CancelMaintenance()
    yield FetchAddress(address="within")


def _allowed_s(script: Script) -> float:
    return script.declared.url.expires_max_s if script.declared.url else 0.0


def _make(script: Script, name: str, key: str) -> MakeAddress:
    """An address for longer than any plan takes, as far as the store allows."""
    return MakeAddress(address=name, key=key, expires_s=min(2 * LASTING_S, _allowed_s(script)))


def _made_and_fetched(script: Script, key: str) -> Iterator[Step]:
    step = _make(script, f"of {key}", key)
    yield from (step, FetchAddress(address=step.address))


STORIES = (
    addresses,
    address_expires,
    addresses_of_all_objects,
    addresses_refused,
    address_of_a_deleted_object,
    address_at_rest,
)
