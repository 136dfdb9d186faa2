"""The model for a set of capabilities, whichever role they are of."""

from typing import Any

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast_conformance.model.image_store import ImageModel
from holdfast_conformance.model.primary_store import PrimaryModel
from holdfast_conformance.model.role_model import Model


def model_of(capabilities: PrimaryCapabilities | ImageCapabilities) -> Model[Any]:
    """The model of a store that declares these capabilities."""
    if isinstance(capabilities, PrimaryCapabilities):
        return PrimaryModel(capabilities)
    return ImageModel(capabilities)
