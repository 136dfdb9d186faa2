"""One piece of work before it is accepted: what it holds and reads, and how it decides."""

from collections.abc import Callable

import msgspec

from holdfast.catalogue.port import Transaction
from holdfast.credentials.secret_keeper import Withheld
from holdfast.model.rows import Involved
from holdfast.operations.plans import Plan

NEW = "new"
"""``Involved.begun`` of a plain row that the operation made: a clean failure drops it."""
GOING = "going"
"""``Involved.begun`` of a plain row that success drops."""
TEMPORARY = "temporary"
"""``Involved.begun`` of a plain row that both success and a clean failure drop."""

SHARED = "shared"
"""``Involved.begun`` of a row that the operation only reads: its end changes nothing of it, and
until then nobody deletes it (``row_holds.check_unread``)."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a workflow decided inside the accepting transaction: the plan and the rows it holds."""

    plan: Plan
    involved: tuple[Involved, ...]


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work, before it is accepted.

    ``draft`` runs inside the accepting transaction, with the operation's id: it checks, reserves,
    moves rows by their events and returns the plan. It is pure, and may be run again or rolled back
    (``--dry-run``). ``holds`` are the ids of existing rows it needs for itself, ``shares`` of those
    that it only reads: work on the same row waits its turn, but that those who share a row do so at
    once. ``secrets`` are kept apart from rows and plan, before anything is written.
    ``parent`` is the operation of whose work it is a part.
    """

    kind: str
    subject: str
    holds: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    secrets: Withheld = msgspec.field(default_factory=Withheld)
    parent: str = ""
    draft: Callable[[Transaction, str], Draft]
