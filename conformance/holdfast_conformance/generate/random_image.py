"""Random plans for image stores: a walk through the model, a few steps at a time."""

import msgspec

from holdfast.capabilities import ImageCapabilities
from holdfast.requests import Role
from holdfast_conformance.generate.image import ImageChance
from holdfast_conformance.model.image import ImageModel
from holdfast_conformance.plan import Plan, Step, preparation
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_script import HOST


def random_image(
    declared: ImageCapabilities, choices: Choices, identifier: str, steps: int
) -> Plan:
    """A plan of about this many steps."""
    plan = Plan(
        id=identifier,
        role=Role.IMAGE,
        origin="random",
        store=f"store-{identifier}",
        hosts=(HOST,),
        ready=True,
        steps=(),
    )
    model, chance = ImageModel(declared), ImageChance(declared, choices)
    state = model.initial(plan)
    for step in preparation(plan):
        state = model.expect(state, step).likely
    taken: list[Step] = []
    while len(taken) < steps and not choices.used_up:
        for step in chance.steps(state):
            taken.append(step)
            state = model.expect(state, step).likely
    return msgspec.structs.replace(plan, steps=tuple(taken))
