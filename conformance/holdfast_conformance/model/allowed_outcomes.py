"""What the rule of one verb says: success, or the errors that must or may come instead."""

import msgspec

from holdfast.contract.errors import ErrorKind
from holdfast_conformance.model.primary_state import PrimaryState, Situation
from holdfast_conformance.model.role_model import Branch, Expectation, down_branches, only

_TOLD_AT_ONCE = (ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE)


class Ruling(msgspec.Struct, frozen=True):
    """One verb's rule applied to one request, while the backend is up.

    With ``errors`` the call must fail with one of them. Without, it succeeds and leaves ``state``,
    or fails with one of ``perhaps`` and leaves everything as it was.
    """

    situations: tuple[Situation, ...]
    state: PrimaryState
    errors: tuple[ErrorKind, ...] = ()
    perhaps: tuple[ErrorKind, ...] = ()

    def expectation(self, before: PrimaryState) -> Expectation[PrimaryState]:
        """All allowed outcomes, also where the backend is down."""
        situations = frozenset(self.situations)
        if before.down:
            succeeded = before if self.errors else self.state
            # What is wrong with the request itself may be told without the backend.
            malformed = tuple(error for error in self.errors if error in _TOLD_AT_ONCE)
            down = (*down_branches(before, succeeded), *only(before, *malformed))
            return Expectation(situations | {Situation.DOWN}, down)
        if self.errors:
            return Expectation(situations, only(before, *self.errors))
        branches = (Branch(None, self.state), *only(before, *self.perhaps))
        return Expectation(situations, branches)


class Reasons:
    """Collects why a call is interesting and why it must fail; all reasons count alike."""

    def __init__(self) -> None:
        self._situations: list[Situation] = []
        self._errors: list[ErrorKind] = []

    def note(self, situation: Situation, *errors: ErrorKind) -> None:
        """Something is the case, and (with errors) a reason to fail with one of them."""
        self._situations.append(situation)
        self._errors.extend(error for error in errors if error not in self._errors)

    @property
    def failing(self) -> bool:
        """Whether there is a reason to fail."""
        return bool(self._errors)

    def ruling(self, state: PrimaryState, *perhaps: ErrorKind) -> Ruling:
        """The ruling, with ``state`` after success."""
        return Ruling(tuple(self._situations), state, tuple(self._errors), perhaps)
