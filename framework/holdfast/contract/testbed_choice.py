"""From the name of a backend to what starts it: KIND, KIND:VARIANT or live:FILE."""

from pathlib import Path

from holdfast.contract.errors import ConfigurationError
from holdfast.contract.live_store import LIVE_PREFIX, read_live_store
from holdfast.contract.ports import Provider
from holdfast.contract.testbed import TestbedFactory, TestbedKind


def offered_testbeds(provider: Provider) -> dict[str, TestbedFactory]:
    """Every testbed of a provider by the name that asks for it, in its own order.

    Raises:
        ValueError: the provider names a variant wrongly.
    """
    offered = {str(kind): factory for kind, factory in provider.testbeds().items()}
    for name, factory in provider.testbed_variants().items():
        kind, _, variant = name.partition(":")
        if not variant or kind not in tuple(TestbedKind) or name.startswith(LIVE_PREFIX):
            raise ValueError(f"{name!r} is no KIND:VARIANT")
        offered[name] = factory
    return offered


def choose_testbed(provider: Provider, backend: str) -> TestbedFactory:
    """What starts a backend; the provider's first where ``backend`` is empty.

    Raises:
        ConfigurationError: there is none of this name, or the file of a real store is wrong.
        ValueError: the provider names a variant wrongly.
    """
    if backend.startswith(LIVE_PREFIX):
        return provider.live_testbed(read_live_store(Path(backend.removeprefix(LIVE_PREFIX))))
    offered = offered_testbeds(provider)
    if backend and backend not in offered:
        names = ", ".join(offered) or "none"
        raise ConfigurationError(f"it offers no backend {backend!r}; it offers: {names}")
    if not offered:
        raise ConfigurationError(f"provider {provider.name} offers no testbed")
    return offered[backend] if backend else next(iter(offered.values()))
