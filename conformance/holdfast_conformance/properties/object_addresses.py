"""IMG-13 and IMG-14: temporary addresses of objects."""

from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.image_limits import can_join
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    Judgement,
    Moment,
    StepMoment,
    agreed_on,
)
from holdfast_conformance.judgement.registry import checks
from holdfast_conformance.model.image_address import LASTING_S
from holdfast_conformance.model.image_state import ImageSituation
from holdfast_conformance.verdict import Level

_S = ImageSituation


def _url_undeclared(declared: Capabilities) -> str | None:
    if isinstance(declared, ImageCapabilities) and declared.url is None:
        return "the store does not declare temporary addresses"
    return None


_FETCHES = {
    _S.FETCH: "before it expires",
    _S.FETCH_EMPTY: "an object of 0 bytes",
    _S.FETCH_JOINED: "an object of several parts",
    _S.FETCH_SECOND: "after a second one was made",
    _S.FETCH_EXPIRED: "after it expired",
    _S.FETCH_METHOD: "another method",
    _S.FETCH_OTHER: "another object",
    _S.FETCH_GONE: "an object that was deleted",
}


def _fetch_aspects(declared: Capabilities) -> tuple[str, ...]:
    if not isinstance(declared, ImageCapabilities):
        return ()
    without = set[ImageSituation]() if can_join(declared) else {_S.FETCH_JOINED}
    if declared.url is not None and declared.url.expires_max_s < LASTING_S:
        # What lives for so short may have ended before anybody could try it.
        without |= {_S.FETCH, _S.FETCH_EMPTY, _S.FETCH_JOINED, _S.FETCH_SECOND}
    return tuple(name for situation, name in _FETCHES.items() if situation not in without)


@checks(
    "IMG-13",
    Level.L1,
    "A temporary address gives the whole object before it expires, not after and for no other "
    "object or method, and a second one does not end the first.",
    roles=(Role.IMAGE,),
    gate=_url_undeclared,
    aspects=_fetch_aspects,
)
def _addresses(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    return agreed_on(moment, _FETCHES, moment.differences)


_MAKES = {
    _S.MAKE: "an address",
    _S.MAKE_ABSENT: "an absent object",
    _S.MAKE_NO_TIME: "no time at all",
    _S.MAKE_TOO_LONG: "more time than the store allows",
}


@checks(
    "IMG-14",
    Level.L1,
    "A temporary address that cannot be made is an error, and none is ever empty.",
    roles=(Role.IMAGE,),
    gate=_url_undeclared,
    aspects=lambda _: tuple(_MAKES.values()),
)
def _made_or_refused(moment: Moment) -> Judgement:
    if not isinstance(moment, StepMoment):
        return None
    return agreed_on(moment, _MAKES, moment.differences)
