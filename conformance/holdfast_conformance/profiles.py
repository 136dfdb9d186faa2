"""Profiles: how much of the suite a run executes, counted in operations, never in time."""

import msgspec

from holdfast.errors import ConfigurationError
from holdfast.opening import nearest_names


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One profile.

    ``rounds`` is how often every scenario is played; ``ops`` is how many steps of random plans are
    executed for each role beside them; ``steps`` is how long a random plan is.
    """

    name: str
    rounds: int
    ops: int
    steps: int
    purpose: str


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(name="smoke", rounds=2, ops=750, steps=25, purpose="tells of most defects soon"),
        Profile(name="ci", rounds=3, ops=9_000, steps=30, purpose="for every change of a driver"),
        Profile(name="certify", rounds=10, ops=100_000, steps=40, purpose="for a certificate"),
        Profile(name="soak", rounds=31, ops=1_000_000, steps=60, purpose="for a night"),
    )
}


def find_profile(name: str) -> Profile:
    """The profile of this name, or ``ConfigurationError`` with the nearest names."""
    if name not in PROFILES:
        raise ConfigurationError(f"no profile {name!r}; {nearest_names(name, list(PROFILES))}")
    return PROFILES[name]
