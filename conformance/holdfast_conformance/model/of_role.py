"""The model for a set of capabilities, whichever role they are of."""

from typing import Any

from holdfast.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast_conformance.model.expectation import Model
from holdfast_conformance.model.image import ImageModel
from holdfast_conformance.model.primary import PrimaryModel


def model_of(capabilities: PrimaryCapabilities | ImageCapabilities) -> Model[Any]:
    """The model of a store that declares these capabilities."""
    if isinstance(capabilities, PrimaryCapabilities):
        return PrimaryModel(capabilities)
    return ImageModel(capabilities)
