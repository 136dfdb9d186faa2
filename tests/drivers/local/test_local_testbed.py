"""The testbed of folders, whatever a driver does to them."""

import asyncio
from pathlib import Path

from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast_drivers.local.testbed import local_testbed


def make(folder: str) -> None:
    Path(folder).mkdir(parents=True)


def test_what_is_made_while_the_disk_is_gone_is_seen(tmp_path: Path) -> None:
    """The disk comes back all the same, and what was made meanwhile is something outside."""

    async def main() -> None:
        async with local_testbed(f"run-{tmp_path.name}") as testbed:
            root = testbed.config(Role.PRIMARY, "one").root
            inspector = testbed.inspector(Role.PRIMARY, "one")
            before = await inspector.inventory()
            async with testbed.inject(Fault.DOWN):
                make(root)
            after = await inspector.inventory()

            assert before.things == after.things == ()
            assert before.outside_digest != after.outside_digest

    asyncio.run(main())
