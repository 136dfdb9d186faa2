"""What is under test: a provider that is loaded, and what its testbed needs around it."""

import msgspec

from holdfast.concurrency.runtime import Runtime
from holdfast.contract.ports import Provider
from holdfast.contract.testbed import InsideTestbed, TestbedFactory
from holdfast_conformance.protocol import Blame, Setup
from holdfast_conformance.testbed_process.provider_and_testbed import (
    Stopped,
    chosen_testbed,
    find_provider,
)
from holdfast_conformance.worker.provider_origin import Origin, origin_of
from holdfast_conformance.worker.signatures import provider_defects
from holdfast_conformance.worker.testbed_runtime import runtime_of


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A provider and what starts its testbed; nothing of it runs yet.

    ``runtime`` is the one that the testbed needs, and ``None`` where it needs none of its own.
    """

    setup: Setup
    provider: Provider
    origin: Origin
    factory: TestbedFactory
    runtime: Runtime | None

    @property
    def inside(self) -> bool:
        """Whether the backend lives in this process, and ends with it."""
        return isinstance(self.factory, InsideTestbed)


def subject_of(setup: Setup) -> Subject:
    """Load the provider, before there is the loop that its testbed needs.

    Raises:
        Stopped: there is no such provider or testbed, or they are not what they must be.
    """
    provider = find_provider(setup.provider)
    if defects := provider_defects(provider):
        raise Stopped(Blame.DRIVER, "; ".join(defects))
    factory = chosen_testbed(provider, setup.testbed)
    return Subject(
        setup=setup,
        provider=provider,
        origin=origin_of(provider),
        factory=factory,
        runtime=runtime_of(factory),
    )
