"""Users of a testbed's server, as Swift's own tempauth is told of them."""

import msgspec

from holdfast.concurrency.runtime import runtime


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One user of tempauth; an ``admin`` owns the account."""

    account: str
    name: str
    key: str
    groups: tuple[str, ...] = (".admin",)

    @property
    def line(self) -> str:
        """The user's line in the filter's section."""
        return f"user_{self.account}_{self.name} = {' '.join((self.key, *self.groups))}\n"


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of the account's owner, of a user without rights, and of the operator."""

    tester: str
    guest: str
    admin: str

    def all(self) -> tuple[User, ...]:
        """Each of them."""
        return (
            User(account="test", name="tester", key=self.tester),
            User(account="test", name="guest", key=self.guest, groups=()),
            User(
                account="admin",
                name="admin",
                key=self.admin,
                groups=(".admin", ".reseller_admin"),
            ),
        )


def fresh_key() -> str:
    """A key that nobody had before."""
    return f"{runtime().random.getrandbits(128):032x}"
