"""Blind mutants of ``memory``: written from contract and reference driver alone.

Their authors had read neither the suite's plans nor its properties; what is seen of them measures
what the suite sees that nobody wrote it for. A survivor stays here once the suite sees it.
"""

from holdfast.contract.mutant import Mutant
from holdfast_drivers.memory.blind_mutants import (
    content,
    content_at_once,
    fifth_content,
    fifth_image_stores,
    fifth_objects,
    fifth_volumes,
    fourth_content,
    fourth_image_stores,
    fourth_objects,
    fourth_volumes,
    image_stores,
    objects,
    second_content,
    second_image_stores,
    second_objects,
    second_volumes,
    sixth_content,
    sixth_copies,
    sixth_image_stores,
    sixth_objects,
    sixth_volumes,
    third_content,
    third_image_stores,
    third_objects,
    third_volumes,
    uploads,
    volumes,
)

BLIND_MUTANTS: tuple[Mutant, ...] = (
    *content.MUTANTS,
    *content_at_once.MUTANTS,
    *volumes.MUTANTS,
    *uploads.MUTANTS,
    *objects.MUTANTS,
    *image_stores.MUTANTS,
    *third_content.MUTANTS,
    *third_volumes.MUTANTS,
    *third_objects.MUTANTS,
    *third_image_stores.MUTANTS,
    *second_content.MUTANTS,
    *second_volumes.MUTANTS,
    *second_objects.MUTANTS,
    *second_image_stores.MUTANTS,
    *fourth_content.MUTANTS,
    *fourth_volumes.MUTANTS,
    *fourth_objects.MUTANTS,
    *fourth_image_stores.MUTANTS,
    *fifth_content.MUTANTS,
    *fifth_volumes.MUTANTS,
    *fifth_objects.MUTANTS,
    *fifth_image_stores.MUTANTS,
    *sixth_content.MUTANTS,
    *sixth_copies.MUTANTS,
    *sixth_volumes.MUTANTS,
    *sixth_objects.MUTANTS,
    *sixth_image_stores.MUTANTS,
)

__all__ = ["BLIND_MUTANTS"]
