"""What can befall any server in a container: it is killed, or frozen."""

from holdfast.contract.errors import Unsupported
from holdfast.contract.testbed import Fault
from holdfast_drivers.servers.running_servers import Server


async def begin_fault(server: Server, fault: Fault) -> None:
    """Kill or freeze a server.

    Raises:
        Unsupported: the fault is neither.
    """
    match fault:
        case Fault.KILLED:
            await server.kill()
        case Fault.PAUSED:
            await server.pause()
        case _:
            raise Unsupported(f"this testbed cannot put the fault {fault} in force")


async def end_fault(server: Server, fault: Fault) -> None:
    """Start a server again, or let it go on; whether it answers yet is not asked."""
    if fault is Fault.KILLED:
        await server.start()
    else:
        await server.unpause()
