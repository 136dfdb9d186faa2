"""Random plans for image stores: a walk through the model, a few steps at a time."""

import msgspec

from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.requests import GetStats, Role
from holdfast_conformance.generate.image_steps import ImageChance
from holdfast_conformance.model.image_store import ImageModel
from holdfast_conformance.model.role_model import Fenced
from holdfast_conformance.plan import Plan, Step, preparation
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.image_script import HOST

_COUNTING = 6
"""One plan in so many asks for figures after every step."""


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
    # Any of the steps may turn out to be a late one.
    state = msgspec.structs.replace(model.initial(plan), fenced=Fenced())
    for step in preparation(plan):
        state = model.expect(state, step).likely
    drawn_steps: list[Step] = []
    counting = choices.one_in(_COUNTING)
    while len(drawn_steps) < steps and not choices.used_up:
        for step in chance.steps(state):
            drawn_steps.extend((step, GetStats()) if counting else (step,))
            state = model.expect(state, step).likely
    return msgspec.structs.replace(plan, steps=tuple(drawn_steps))
