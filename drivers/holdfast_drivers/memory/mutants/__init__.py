"""The mutants of driver ``memory``: one planted defect each, one module per category."""

from holdfast.mutant import Mutant
from holdfast_drivers.memory.mutants import (
    access,
    address,
    capability,
    content,
    copies,
    failure,
    image,
    life_cycle,
    repetition,
    size,
    snapshot,
    statistics,
    volume,
)

MUTANTS: tuple[Mutant, ...] = (
    *capability.MUTANTS,
    *life_cycle.MUTANTS,
    *volume.MUTANTS,
    *size.MUTANTS,
    *access.MUTANTS,
    *snapshot.MUTANTS,
    *statistics.MUTANTS,
    *image.MUTANTS,
    *copies.MUTANTS,
    *address.MUTANTS,
    *repetition.MUTANTS,
    *content.MUTANTS,
    *failure.MUTANTS,
)

__all__ = ["MUTANTS"]
