"""Which steps a plan of a role can have; what comes from strangers may have any."""

from collections.abc import Iterator
from typing import Final, get_args

from holdfast.contract.requests import (
    CompleteUpload,
    ImageRequest,
    PrimaryRequest,
    Request,
    Role,
    UploadPart,
)
from holdfast_conformance.address_steps import FetchAddress, FetchExpired, MakeAddress
from holdfast_conformance.byte_steps import (
    DiscardBytes,
    KeepHandle,
    ReadBytes,
    WriteBytes,
    WriteRanges,
)
from holdfast_conformance.list_steps import NextPage, TakePage, WalkSnapshots
from holdfast_conformance.plan import (
    CreateFromData,
    FinishUpload,
    Plan,
    PutObject,
    ReadBlocks,
    ReadStale,
    SendPart,
    WalkObjects,
    WalkVolumes,
    WriteBlocks,
    subjects_of,
)

_STEPS: Final[dict[Role, frozenset[type]]] = {
    Role.PRIMARY: frozenset(
        {
            *get_args(PrimaryRequest),
            WriteBlocks,
            ReadBlocks,
            ReadStale,
            WriteBytes,
            WriteRanges,
            ReadBytes,
            DiscardBytes,
            KeepHandle,
            CreateFromData,
            WalkVolumes,
            WalkSnapshots,
        }
    ),
    Role.IMAGE: frozenset(
        {
            *get_args(ImageRequest),
            PutObject,
            SendPart,
            FinishUpload,
            WalkObjects,
            MakeAddress,
            FetchAddress,
            FetchExpired,
        }
    ),
}
_IN_OTHER_WORDS: Final = (UploadPart, CompleteUpload)
"""Requests with content or tags, for which plans have steps of their own."""


def strange_steps(plan: Plan) -> Iterator[tuple[int, str]]:
    """The steps that no plan of this role has, with why."""
    other = Role.IMAGE if plan.role is Role.PRIMARY else Role.PRIMARY
    foreign = _STEPS[other] - _STEPS[plan.role]
    put: set[str] = set()
    for index, step in enumerate(plan.steps):
        for subject in subjects_of(step):
            asked: Request = subject.of if isinstance(subject, TakePage | NextPage) else subject
            if type(asked) in foreign:
                yield index, f"a {type(asked).__name__}, which is no step for {plan.role} stores"
            if isinstance(asked, _IN_OTHER_WORDS):
                yield index, f"a {type(asked).__name__}, for which plans have a step of their own"
            if isinstance(asked, PutObject):
                if asked.upload in put:
                    yield index, f"the upload {asked.upload!r} again, which an object was put by"
                put.add(asked.upload)
