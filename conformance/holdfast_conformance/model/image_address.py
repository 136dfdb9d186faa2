"""Temporary addresses: the allowed outcomes of making one, and what a request to one must give."""

from collections.abc import Iterator

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import UrlCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast_conformance.address_steps import FetchAddress, FetchExpired, MakeAddress, Method
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.image_state import (
    AddressModel,
    ImageSituation,
    ImageState,
    ObjectModel,
)
from holdfast_conformance.model.image_upload import Expecting, expecting
from holdfast_conformance.trace import AddressMade, Fetched, FetchResult

_S = ImageSituation
LASTING_S = 30.0
"""An address that is made for less may have expired when it is tried: machines can be slow."""


def expect_make(state: ImageState, limits: UrlCapabilities | None, step: MakeAddress) -> Expecting:
    """``temporary_url``."""
    kinds: list[ErrorKind] = []
    situations: set[_S] = set()
    if not step.expires_s > 0:
        kinds.append(ErrorKind.INVALID)
        situations.add(_S.MAKE_NO_TIME)
    if limits is not None and step.expires_s > limits.expires_max_s:
        kinds.append(ErrorKind.OUT_OF_RANGE)
        situations.add(_S.MAKE_TOO_LONG)
    model = state.objects.get(step.key)
    if model is None:
        kinds.append(ErrorKind.NOT_FOUND)
        situations.add(_S.MAKE_ABSENT)
    if model is None or kinds:
        return expecting(state, situations, *kinds)
    address = AddressModel(step.key, model.born, step.expires_s)
    return expecting(state, {_S.MAKE}, None, then=state.with_address(step.address, address))


def expect_fetch(state: ImageState, step: FetchAddress | FetchExpired) -> Expecting:
    """A request to an address, which the driver has no part in; what came of it is in the reply."""
    return expecting(state, set(_situations(state, step)), None)


def make_differences(step: MakeAddress, reply: AddressMade) -> Iterator[Difference]:
    """What is wrong with an address that was answered."""
    if reply.problem:
        yield _difference(step.key, "an address", reply.problem)


def fetch_differences(
    state: ImageState, step: FetchAddress | FetchExpired, reply: Fetched
) -> Iterator[Difference]:
    """What a request to an address gave and should not have, or did not give and should have."""
    if state.down:
        return
    address = _used(state, step)
    if address is None:
        if reply.result is not FetchResult.NOTHING:
            yield _difference(step.address, "no address", _told(reply))
        return
    model = state.objects.get(address.key)
    right = (
        FetchResult.REFUSED if _must_be_refused(state, step, address, model) else FetchResult.GIVEN
    )
    # Whether an address is of the key or of the object is left to the driver.
    replaced = model is not None and model.born != address.born
    either = right is FetchResult.GIVEN and (address.expires_s < LASTING_S or replaced)
    if reply.result is FetchResult.REFUSED and (either or right is FetchResult.REFUSED):
        return
    if right is FetchResult.REFUSED or model is None:
        yield _difference(address.key, f"refused {_why(state, step, address)}", _told(reply))
    elif (reply.result, reply.length_bytes, reply.sha256) != (
        right,
        model.size_bytes,
        model.sha256,
    ):
        right_answer = f"{model.size_bytes} bytes of SHA-256 {model.sha256}"
        yield _difference(address.key, right_answer, _told(reply))


def _situations(state: ImageState, step: FetchAddress | FetchExpired) -> Iterator[_S]:
    address = _used(state, step)
    if address is None or state.down:
        return
    model = state.objects.get(address.key)
    if isinstance(step, FetchExpired):
        yield _S.FETCH_EXPIRED
    elif step.path_of:
        other = state.addresses[step.path_of].key
        if other != address.key and other in state.objects:
            yield _S.FETCH_OTHER
    elif step.method is not Method.GET:
        yield _S.FETCH_METHOD
    elif model is None:
        yield _S.FETCH_GONE
    elif address.expires_s >= LASTING_S and model.born == address.born:
        yield from _given(model)
        if _newer(state, step.address, address):
            yield _S.FETCH_SECOND


def _given(model: ObjectModel) -> Iterator[_S]:
    """What is interesting about an object that must be given."""
    yield _S.FETCH
    if not model.size_bytes:
        yield _S.FETCH_EMPTY
    if model.parts > 1:
        yield _S.FETCH_JOINED


def _used(state: ImageState, step: FetchAddress | FetchExpired) -> AddressModel | None:
    """The address that a step tries, where all that it names was made."""
    if isinstance(step, FetchAddress) and step.path_of and step.path_of not in state.addresses:
        return None
    return state.addresses.get(step.address)


def _newer(state: ImageState, name: str, address: AddressModel) -> bool:
    """Whether another address of the same object was made later."""
    names = list(state.addresses)
    later = names[names.index(name) + 1 :]
    return any(state.addresses[other].key == address.key for other in later)


def _must_be_refused(
    state: ImageState,
    step: FetchAddress | FetchExpired,
    address: AddressModel,
    model: ObjectModel | None,
) -> bool:
    if isinstance(step, FetchExpired) or model is None or step.method is not Method.GET:
        return True
    return bool(step.path_of) and state.addresses[step.path_of].key != address.key


def _why(state: ImageState, step: FetchAddress | FetchExpired, address: AddressModel) -> str:
    if isinstance(step, FetchExpired):
        return f"after {address.expires_s:g} s"
    if step.method is not Method.GET:
        return f"for {step.method}"
    return "for another object" if address.key in state.objects else "for a deleted object"


def _told(reply: Fetched) -> str:
    """What came, for a person."""
    status = f" with status {reply.status}" if reply.status else ""
    if reply.sha256:
        return f"{reply.length_bytes} bytes of SHA-256 {reply.sha256}"
    return f"{reply.result.value}{status} {reply.detail}".rstrip()


def _difference(key: str, expected: str, observed: str) -> Difference:
    return Difference(Where.REPLY, OwnedKind.OBJECT, key, Aspect.ADDRESS, expected, observed)
