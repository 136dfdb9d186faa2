"""What the lists of a primary store hold, for pages that are gone on from."""

from collections.abc import Iterator

from holdfast.contract.answers import ObjectInfo, OwnedKind
from holdfast.contract.requests import ListSnapshots, ListVolumes
from holdfast_conformance.list_steps import NextPage, PagedList
from holdfast_conformance.model.difference import Difference
from holdfast_conformance.model.life_cycle import wrong_type
from holdfast_conformance.model.page_tokens import Listing, next_differences
from holdfast_conformance.model.primary_reply import item_differences, snapshots_in
from holdfast_conformance.model.primary_state import PrimaryState
from holdfast_conformance.trace import Continued, Ok, Reply


def listing_of(state: PrimaryState, of: PagedList) -> Listing:
    """What a list shows, as the state is now."""
    match of:
        case ListVolumes():
            return Listing(
                OwnedKind.VOLUME, {key: volume.born for key, volume in state.volumes.items()}
            )
        case ListSnapshots(volume=volume):
            keys = snapshots_in(state, volume)
            return Listing(OwnedKind.SNAPSHOT, {key: state.snapshots[key].born for key in keys})
        case _:
            raise TypeError(f"a primary store has no list {type(of).__name__}")


def next_page_differences(
    state: PrimaryState, step: NextPage, reply: Reply
) -> Iterator[Difference]:
    """What is wrong with the page after one that was taken."""
    if isinstance(reply, Ok):
        return  # The list was at its end, so that nothing was asked.
    if not isinstance(reply, Continued):
        yield wrong_type("Continued", reply)
        return
    yield from next_differences(state, step, reply, listing_of(state, step.of))
    for item in reply.page.items:
        if not isinstance(item, ObjectInfo):
            yield from item_differences(state, item)
