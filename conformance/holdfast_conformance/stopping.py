"""Why a role is not run through all of its plans: what follows from so few is no certificate."""

import enum

DIVERGED_MAX = 100
"""After so many plans that left the model's paths, a role is known to be wrong."""
BROKEN_MAX = 3
"""After so many broken processes a role is known to be wrong, too; each costs seconds."""


class Stop(enum.StrEnum):
    """Why the plans of a role were not all begun."""

    OUT_OF_TIME = "out of time"
    KNOWN_WRONG = "known to be wrong"


def known_wrong(diverged: int, broken: int) -> bool:
    """Whether a role is known to be wrong, by its plans that diverged and that broke a process."""
    return diverged >= DIVERGED_MAX or broken >= BROKEN_MAX
