"""What a host shows at a store to be let in: made at its first use, kept, and never a setting."""

from holdfast.concurrency.runtime import runtime
from holdfast.credentials.secret_keeper import SecretKeeper


async def host_credential(store: str, host: str, keeper: SecretKeeper) -> str:
    """The credential of a host at a store: made at its first use, and the same ever after.

    Drivers form their keys from it: 128 bits as letters and digits.
    """
    name = f"{store}/host/{host}"
    credential = await keeper.find(name)
    if credential is None:
        # Two volumes may be granted to a new host at once: both get what was kept first.
        credential = await keeper.keep_first(name, f"{runtime().random.getrandbits(128):032x}")
    return credential
