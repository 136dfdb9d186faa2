"""Profiles: how much of the suite a run executes, counted in operations, never in time."""

import msgspec

from holdfast.errors import ConfigurationError
from holdfast.opening import nearest_names


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One profile.

    ``ops`` is how many steps of random plans are executed for each role, beside the scenarios;
    ``steps`` is how long a random plan is.
    """

    name: str
    ops: int
    steps: int
    purpose: str


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(name="smoke", ops=750, steps=25, purpose="tells of most defects in seconds"),
        Profile(name="ci", ops=9_000, steps=30, purpose="for every change of a driver"),
        Profile(name="certify", ops=100_000, steps=40, purpose="for a certificate"),
        Profile(name="soak", ops=1_000_000, steps=60, purpose="for a night"),
    )
}


def find_profile(name: str) -> Profile:
    """The profile of this name, or ``ConfigurationError`` with the nearest names."""
    if name not in PROFILES:
        raise ConfigurationError(f"no profile {name!r}; {nearest_names(name, list(PROFILES))}")
    return PROFILES[name]
