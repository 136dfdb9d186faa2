"""Who drives an operation, and what it was asked to do."""

import enum

import msgspec


class Wish(enum.StrEnum):
    """What an operation was asked to do: seen between its steps, and at a step's checkpoints."""

    NONE = "none"
    PAUSE = "pause"
    CANCEL = "cancel"


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """Who drives an operation: an orchestrator, and the fence of the lease it had then.

    Nobody in particular, before there were owners.
    """

    orchestrator: str = ""
    fence: int = 0
