"""What was asked of tgt and given up: it comes before whatever is asked later."""

import asyncio

import pytest

from engines import require_engine
from holdfast.concurrency.runtime import runtime
from holdfast_drivers.iscsi.testbed import iscsi_testbed

pytestmark = pytest.mark.slow

INSIDE = """
import os, signal, subprocess, threading
from holdfast_drivers.iscsi.tgt import Tgt, TgtUnreachable

# The first process of a container cannot be stopped from inside, and so this is another tgtd.
tgtd = subprocess.Popen(
    ("/usr/sbin/tgtd", "-f", "-C", "7", "--iscsi", "portal=127.0.0.1:33260"),
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
while not Tgt("/var/run/tgtd/socket.7").is_ready():
    if tgtd.poll() is not None:
        raise SystemExit("tgtd has ended")
tgt, hasty = Tgt("/var/run/tgtd/socket.7"), Tgt("/var/run/tgtd/socket.7", timeout_s=0.02)
let_in = 0
for number in range(1000, 1050):
    tgt.new_target(number, f"iqn.2026-11.org.holdfast:late.{number}", ())
    os.kill(tgtd.pid, signal.SIGSTOP)
    os.waitpid(tgtd.pid, os.WUNTRACED)
    try:
        hasty.allow(number, "iqn.2026-11.org.holdfast:host.late")
        raise SystemExit("a stopped tgtd answered")
    except TgtUnreachable:
        revoked = threading.Thread(
            target=tgt.forbid, args=(number, "iqn.2026-11.org.holdfast:host.late")
        )
        revoked.start()
        os.kill(tgtd.pid, signal.SIGCONT)
        revoked.join()
    let_in += bool(tgt.target(number).initiators)
    tgt.delete_target(number)
tgtd.kill()
print(let_in)
"""


@pytest.fixture(autouse=True)
def _engine() -> None:
    require_engine()


def test_an_initiator_that_was_forbidden_is_not_let_in_by_an_earlier_request() -> None:
    """An admission whose caller gave up is carried out before the revoke, never after it."""

    async def story() -> None:
        async with iscsi_testbed(runtime().new_id("test")) as testbed:
            done = await testbed.server.exec(
                ("env", "PYTHONPATH=/opt/holdfast", "python3", "-P", "-c", INSIDE)
            )
            assert (done.status, done.stdout, done.stderr) == (0, b"0\n", b"")

    asyncio.run(story())
