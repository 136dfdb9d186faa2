"""To which property a divergence belongs that no property claims: nothing is silently accepted."""

from collections.abc import Mapping

from holdfast.contract.answers import OwnedKind
from holdfast_conformance.judgement.evidence import StepMoment, TogetherMoment, Violated
from holdfast_conformance.model.difference import Aspect, Difference

_BY_VERB: Mapping[str, str] = {
    "create_volume": "VOL-01",
    "get_volume": "VOL-01",
    "list_volumes": "VOL-01",
    "walk_volumes": "VOL-01",
    "create_from_data": "CAP-03",
    "delete_volume": "VOL-04",
    "resize_volume": "SIZ-02",
    "revert_volume": "SNP-07",
    "create_snapshot": "SNP-01",
    "get_snapshot": "SNP-01",
    "list_snapshots": "SNP-01",
    "delete_snapshot": "SNP-04",
    "grant": "ACC-01",
    "open": "ACC-01",
    "revoke": "ACC-06",
    "read_stale": "ACC-06",
    "write_blocks": "ACC-01",
    "read_blocks": "ACC-01",
    "write_bytes": "DAT-05",
    "write_ranges": "DAT-05",
    "read_bytes": "DAT-05",
    "discard_bytes": "DAT-06",
    "keep_handle": "ACC-01",
    "pools": "CST-01",
    "stats": "CST-01",
    "health": "CAP-06",
    "start_upload": "IMG-05",
    "upload_part": "IMG-05",
    "complete_upload": "IMG-05",
    "abort_upload": "IMG-05",
    "put_object": "IMG-01",
    "send_part": "IMG-05",
    "finish_upload": "IMG-05",
    "get": "IMG-01",
    "head": "IMG-01",
    "open_object": "IMG-01",
    "list": "IMG-10",
    "walk_objects": "IMG-10",
    "delete": "IMG-09",
    "copy": "CPY-01",
    "make_address": "IMG-14",
    "fetch_address": "IMG-13",
    "fetch_expired": "IMG-13",
    "probe": "PRB-01",
    "late": "FEN-01",
    "walk_snapshots": "LST-01",
    "take_page": "LST-02",
    "next_page": "LST-02",
    "enumerate": "PRB-05",
    "initialize": "LIF-01",
    "initialize_bad": "LIF-02",
    "inspect_store": "LIF-01",
    "attach": "LIF-03",
    "detach": "LIF-03",
    "maintain": "LIF-05",
    "cancel_maintenance": "LIF-05",
    "delete_store": "LIF-08",
}
_BY_KIND: Mapping[OwnedKind, str] = {
    OwnedKind.STORE: "LIF-03",
    OwnedKind.VOLUME: "VOL-01",
    OwnedKind.SNAPSHOT: "SNP-02",
    OwnedKind.GRANT: "ACC-01",
    OwnedKind.OBJECT: "IMG-01",
    OwnedKind.UPLOAD: "IMG-05",
    OwnedKind.TEMPORARY: "VOL-01",
    OwnedKind.UNREADABLE: "VOL-01",
}
_LAST = "CAP-03"
"""Applies to every store: a declared operation does not do what it is for."""


def attribute(
    moment: StepMoment | TogetherMoment, applicable: frozenset[str]
) -> tuple[str, Violated]:
    """The property that is violated by an unclaimed divergence, and how."""
    if isinstance(moment, TogetherMoment):
        return _LAST, Violated(f"{moment.verb} at once: as in some order", moment.observed_outcome)
    if not moment.allowed:
        wrong = Violated(f"{moment.verb}: {moment.expected_outcome}", moment.observed_outcome)
        return _first(applicable, _BY_VERB.get(moment.verb, _LAST)), wrong
    first = moment.differences[0]
    wrong = Violated(f"{first.subject}: {first.expected}", first.observed)
    return _first(applicable, *_candidates(first), _BY_VERB.get(moment.verb, _LAST)), wrong


def answers_for(verb: str, identifier: str) -> bool:
    """Whether a step of this verb can violate a property that does not count it when it is right.

    These are the wrong outcomes that nobody claims, and what a refused configuration gives away:
    only the driver knows whether there was a secret in it.
    """
    gives_away = (verb, identifier) == ("initialize_bad", "SEC-01")
    return gives_away or _BY_VERB.get(verb, _LAST) == identifier


def _candidates(difference: Difference) -> tuple[str, ...]:
    if difference.aspect is Aspect.OUTSIDE:
        return ("SEC-02",)
    if difference.aspect in {Aspect.BLOCK, Aspect.DIGEST}:
        return ("DAT-01", "IMG-01")
    if difference.aspect is Aspect.TYPE:
        return ("CAP-01",)
    return (_BY_KIND[difference.kind],) if difference.kind is not None else ()


def _first(applicable: frozenset[str], *candidates: str) -> str:
    return next((candidate for candidate in candidates if candidate in applicable), _LAST)
