"""Profiles: how much of the suite a run executes, counted in operations, never in time."""

import msgspec

from holdfast.contract.errors import ConfigurationError
from holdfast.text.nearest import nearest_names


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One profile.

    ``rounds`` is how often every scenario is played; ``ops`` is how many steps of random plans are
    executed for each role beside them; ``steps`` is how long a random plan is. ``many`` are the
    steps of plans of many operations, the first of all kinds, each other of one; ``waits_s`` is
    how long the plans of each role let time pass. With ``corpus`` the plans that are kept run
    first.
    """

    name: str
    rounds: int
    ops: int
    steps: int
    purpose: str
    many: tuple[int, ...] = ()
    waits_s: tuple[float, ...] = ()
    corpus: bool = True


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="quick",
            rounds=1,
            ops=50,
            steps=25,
            purpose="every story once: whether a server still does what it did",
            corpus=False,
        ),
        Profile(
            name="smoke",
            rounds=2,
            ops=25,
            steps=25,
            purpose="tells of most defects soon",
            many=(40,),
            waits_s=(2.1,),
        ),
        Profile(
            name="ci",
            rounds=3,
            ops=7_500,
            steps=30,
            purpose="for every change of a driver",
            many=(72, 256, 256, 256),
            waits_s=(2.2, 2.2),
        ),
        Profile(
            name="certify",
            rounds=10,
            ops=100_000,
            steps=40,
            purpose="for a certificate",
            many=(256, 480, 480, 480),
            waits_s=(2.2, 2.2, 5.0, 5.0),
        ),
        Profile(
            name="soak",
            rounds=31,
            ops=1_000_000,
            steps=60,
            purpose="for a night",
            many=(480, 480, 480, 480),
            waits_s=(2.2, 5.0, 10.0, 30.0, 59.0),
        ),
    )
}


def find_profile(name: str) -> Profile:
    """The profile of this name, or ``ConfigurationError`` with the nearest names."""
    if name not in PROFILES:
        raise ConfigurationError(f"no profile {name!r}; {nearest_names(name, list(PROFILES))}")
    return PROFILES[name]
