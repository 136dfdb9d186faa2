import asyncio

import pytest

from holdfast.contract.mutant import Mutant
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import TestbedKind
from holdfast.data import BLOCK_BYTES
from holdfast.stores.open_store import open_image, open_primary
from holdfast.stores.plugins import load_provider, mutants
from holdfast_drivers.memory import MemoryProvider
from holdfast_drivers.memory.blind_mutants import BLIND_MUTANTS
from holdfast_drivers.memory.mutants import MUTANTS

CTX = CallContext(operation="op-1", deadline=1e9)
BLOCK = BLOCK_BYTES
REQUIRED = {
    *(f"CAP-{n:02}" for n in (1, 2, 3, 4, 6, 7)),
    *(f"LIF-{n:02}" for n in (1, 2, 3, 5, 8, 9)),
    *(f"VOL-{n:02}" for n in (1, 2, 3, 4, 6, 7, 8)),
    *(f"SIZ-{n:02}" for n in (1, 2, 4, 5, 7)),
    *(f"ACC-{n:02}" for n in (1, 2, 3, 4, 6, 8, 11)),
    *(f"SNP-{n:02}" for n in (1, 2, 3, 4, 6, 7, 9)),
    *(f"IMG-{n:02}" for n in (1, 2, 4, 5, 8, 9, 10, 13, 14, 15)),
    *(
        "CPY-01",
        "CPY-02",
        "CST-01",
        "CST-03",
        "IDM-01",
        "DAT-01",
        "ERR-01",
        "ERR-02",
        "SEC-01",
        "SEC-02",
        "PRF-01",
    ),
}


def test_every_property_has_a_mutant() -> None:
    """Each property of levels L0 and L1 that the driver can break has a mutant of its own."""
    missing = REQUIRED - {mutant.property for mutant in MUTANTS}

    assert missing == set()


def test_names_are_unique_and_all_are_installed() -> None:
    """Every mutant has a name of its own, under which it is found like a driver."""
    names = [mutant.name for mutant in (*MUTANTS, *BLIND_MUTANTS)]

    assert list(mutants()) == names
    assert isinstance(load_provider(f"mutant:{names[0]}"), MemoryProvider)


def test_every_mutant_says_what_is_wrong_with_it() -> None:
    """A mutant's statement is a sentence, and its category that of its property."""
    for mutant in MUTANTS:
        assert mutant.statement.endswith("."), mutant.name
        assert mutant.property.startswith(f"{mutant.category}-")
        assert not mutant.blind
        assert not mutant.loses_data


def test_a_blind_mutant_names_no_property() -> None:
    """Its author knew of none; what it does is a sentence as well."""
    for mutant in BLIND_MUTANTS:
        assert mutant.blind
        assert (mutant.property, mutant.category) == ("", "")
        assert mutant.statement.endswith("."), mutant.name


@pytest.mark.parametrize("mutant", [*MUTANTS, *BLIND_MUTANTS], ids=lambda mutant: mutant.name)
def test_every_mutant_opens(mutant: Mutant) -> None:
    """A mutant starts its testbed and opens both roles like the driver it was made from."""
    provider = mutant.provider()

    async def story() -> None:
        async with provider.testbeds()[TestbedKind.EMBEDDED]("test") as testbed:
            config = testbed.config(Role.PRIMARY, "ns")
            async with open_primary(provider, config) as driver:
                assert driver.capabilities.volume.size_granularity_bytes == BLOCK
            async with open_image(provider, testbed.config(Role.IMAGE, "ns")) as images:
                assert images.capabilities.upload.parts_max == 32

    asyncio.run(story())
