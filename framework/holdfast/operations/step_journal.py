"""The checkpoints of a step: how far it has come, and where it can be stopped."""

from holdfast.catalogue.port import Catalogue, RowDamaged, Transaction
from holdfast.contract.errors import HoldfastError, Internal, Precondition
from holdfast.model.owner_and_wish import Owner, Wish
from holdfast.model.rows import CHECKPOINT_MAX_BYTES, Checkpoint, Step
from holdfast.model.state_tables import StepState
from holdfast.operations.lease import current

_OPEN = (StepState.INTENDED, StepState.UNCERTAIN)


class StopAsked(HoldfastError):
    """The operation was asked to pause or to be cancelled; ``perform`` lets it pass."""

    def __init__(self, wish: Wish) -> None:
        super().__init__(f"the operation was asked to {wish}")
        self.wish = wish


class StepJournal:
    """What a step that is being performed may write beside its plan.

    Args:
        catalogue: where it is kept.
        owner: who drives the operation; once it is another, nothing more is written.
        step: the step's row.
        stoppable: the wishes that may stop the step at a checkpoint; ``None`` for a kind that
            leaves no checkpoints, or while it is taken back.
    """

    __slots__ = ("_catalogue", "_next", "_owner", "_step", "_stoppable")

    def __init__(
        self, catalogue: Catalogue, owner: Owner, step: Step, stoppable: frozenset[Wish] | None
    ) -> None:
        self._catalogue = catalogue
        self._owner = owner
        self._step = step
        self._stoppable = stoppable
        self._next = 0

    async def checkpoint(self, reached: bytes) -> None:
        """Remember durably how far the step has come: at most 4 KiB, in words of its kind.

        What it tells must be durable already, at the target. The kind must say ``checkpoints``.

        Raises:
            StopAsked: the operation is to stop here; the checkpoint is kept.
            Precondition: the step has ended, or is taken back; nothing was written.
            NotItsOwner: another drives the operation; nothing was written.
        """
        stoppable = self._stoppable
        if stoppable is None:
            raise Internal("a step of this kind leaves no checkpoints now")
        if len(reached) > CHECKPOINT_MAX_BYTES:
            raise Internal(f"a checkpoint of {len(reached)} bytes is past {CHECKPOINT_MAX_BYTES}")

        def commit(tx: Transaction) -> Wish:
            operation = current(tx, self._step.operation, self._owner)
            # Somebody's late task, after the step had its outcome: it would leave a row for ever.
            if tx.get(Step, self._step.id).state not in _OPEN:
                raise Precondition("the step has ended", object=self._step.id)
            number = self._free_number(tx)
            tx.insert(
                Checkpoint(id=self._id(number), step=self._step.id, number=number, reached=reached)
            )
            return operation.wish

        wish = await self._catalogue.transact(commit)
        if wish in stoppable:
            raise StopAsked(wish)

    def _id(self, number: int) -> str:
        return f"{self._step.id}.{number:09d}"

    def _free_number(self, tx: Transaction) -> int:
        """The first number that is free: a commit whose answer was lost has taken one, too.

        The numbers before ``_next`` are taken for good, since nobody removes a checkpoint before
        the step has ended; a function that is run again only looks further.
        """
        while self._is_taken(tx, self._next):
            self._next += 1
        return self._next

    def _is_taken(self, tx: Transaction, number: int) -> bool:
        try:
            return tx.find(Checkpoint, self._id(number)) is not None
        except RowDamaged:
            return True

    async def checkpoints(self) -> tuple[bytes, ...]:
        """What earlier attempts and owners reached in this step, oldest first.

        Raises:
            RowDamaged: one of them cannot be read, so that nobody knows what it told.
        """
        rows = await self._catalogue.transact(lambda tx: tx.select(Checkpoint, step=self._step.id))
        return tuple(row.reached for row in rows)
