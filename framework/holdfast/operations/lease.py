"""The lease of a catalogue: who drives its operations, and when it is over for somebody else.

Where the lease cannot be read, nobody knows which fences were given out: a lower one would let a
call that was given up act after those of today. Nothing is done in any store then; what only reads
goes on.
"""

from typing import Final

import msgspec

from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.contract.errors import EnvironmentUnavailable, HoldfastError
from holdfast.model.owner_and_wish import Owner
from holdfast.model.rows import Capacity, Lease, Operation, Store

OWNER: Final = "catalogue"
_BEGIN_S: Final = 1 << 30
"""A renewed fence is the number of seconds since this one (in January 2004)."""


class LeaseDamaged(RowDamaged):
    """The catalogue's lease cannot be read; no fence is known to be higher than all before."""


class NotItsOwner(HoldfastError):
    """Somebody else drives the operation by now; nothing more is written of it here."""


def current(tx: Transaction, operation: str, owner: Owner) -> Operation:
    """An operation as it is stored: what it was asked to do meanwhile is in it.

    Raises:
        NotItsOwner: another orchestrator took it over, because it took this one for dead.
    """
    row = tx.get(Operation, operation)
    if row.owner != owner:
        raise NotItsOwner(
            f"operation {row.id} is driven by orchestrator {row.owner.orchestrator} now"
        )
    return row


def take_lease(tx: Transaction, owner: str) -> int | LeaseDamaged:
    """The fence of a new owner; where none is known to be new, why that is so.

    Who owns a catalogue is settled already, by the locks on its file: the lease keeps owners apart
    in the stores.
    """
    try:
        held = tx.find(Lease, OWNER)
    except RowDamaged:
        return _damaged("is damaged")
    if held is not None:
        return tx.update(msgspec.structs.replace(held, owner=owner, fence=held.fence + 1)).fence
    if tx.damaged(Lease):
        return _damaged("is damaged")
    if _is_used(tx):
        return _damaged("is not there")
    return tx.insert(Lease(id=OWNER, owner=owner, fence=1)).fence


def lease_is_over(tx: Transaction, owner: Owner, now_s: float) -> bool:
    """Whether an orchestrator that drove operations does so no more: another has the lease now, or
    the time of its own is up.
    """
    held = tx.find(Lease, OWNER)
    if held is None or (held.owner, held.fence) != (owner.orchestrator, owner.fence):
        return True
    return held.expires_s is not None and held.expires_s <= now_s


def _is_used(tx: Transaction) -> bool:
    """Whether fences may have been given out: a damaged row tells it too, and so does a store, all
    of whose operations may be in the archive.
    """
    return any(tx.page(kind, limit=1) or tx.damaged(kind) for kind in (Operation, Store))


def _damaged(problem: str) -> LeaseDamaged:
    return LeaseDamaged(
        f"the lease in the catalogue {problem}, so that nobody knows which fences were given out; "
        "nothing is done in any store, scrub can be run. When no other Holdfast works on these "
        "stores: holdfast recover --renew-lease",
        OWNER,
    )


def renew_lease(tx: Transaction, now_s: float) -> None:
    """Give up a lease that cannot be read, for one with a fence above all that were given out.

    A fence rises by one whenever the catalogue is opened, and from the time at which it was renewed
    before: the time of day is above it as long as that was less than once a second on average. A
    lease that can be read stays as it is.

    Raises:
        EnvironmentUnavailable: the clock is behind what the catalogue has seen.
    """
    if not isinstance(take_lease(tx, ""), LeaseDamaged):
        return
    seen = [one.accepted_s for one in tx.intact(Operation)]
    # Where all operations are in the archive, the figures of the stores are newer.
    seen += [one.refreshed_s for one in tx.intact(Capacity)]
    last_s = max(seen, default=0.0)
    if now_s < max(last_s, _BEGIN_S + 1):
        raise EnvironmentUnavailable(
            "the clock of this machine is behind the operations in the catalogue, and a new lease "
            "is made by it; set the clock and try again"
        )
    for problem in tx.damaged(Lease):
        tx.discard(Lease, problem.row_id)
    tx.insert(Lease(id=OWNER, owner="", fence=int(now_s) - _BEGIN_S))
