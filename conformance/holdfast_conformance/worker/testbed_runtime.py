"""The clock, the loop and the randomness that a testbed brings into the driver's process."""

from holdfast.concurrency.named_runtimes import load_runtime
from holdfast.concurrency.runtime import Runtime
from holdfast.contract.errors import ConfigurationError
from holdfast.contract.testbed import InsideTestbed, TestbedFactory
from holdfast_conformance.protocol import Blame
from holdfast_conformance.testbed_process.provider_and_testbed import Stopped


def runtime_of(factory: TestbedFactory) -> Runtime | None:
    """The runtime that a testbed needs; its ids and random numbers are the same ones each time.

    Raises:
        Stopped: there is none of the name that it gives.
    """
    name = factory.runtime if isinstance(factory, InsideTestbed) else ""
    try:
        return load_runtime(name, seed=0) if name else None
    except ConfigurationError as problem:
        raise Stopped(Blame.DRIVER, f"its testbed's runtime cannot be had: {problem}") from problem
