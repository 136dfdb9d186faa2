"""Everything that must be made before the container testbeds can start, in order, one by one."""

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import HoldfastError
from holdfast.contract.ports import Provider
from holdfast.stores.plugins import BrokenPlugin
from holdfast_drivers.servers.base_image import ensure_base
from holdfast_drivers.servers.container_engine import ensure_engine
from holdfast_drivers.servers.container_images import ImageRecipe, build_image
from holdfast_drivers.servers.logged_command import CommandRun, Progress, run_interruptibly
from holdfast_drivers.servers.minio_source import fetch_minio
from holdfast_drivers.servers.packages import (
    HOST_PACKAGES,
    can_install,
    install_command,
    install_packages,
    is_debian_like,
    missing_packages,
)
from holdfast_drivers.servers.server_specs import NeedsServers

StepDisplay = Callable[[str], AbstractContextManager[Progress]]
"""Shows one step by its name while the context lasts."""
Making = Callable[[Progress], Coroutine[Any, Any, str]]


class Made(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What became of one step; ``problem`` is empty where all is well."""

    name: str
    detail: str = ""
    problem: str = ""
    seconds: float = 0.0


def recipes_of(plugins: dict[str, Provider | BrokenPlugin]) -> dict[str, ImageRecipe]:
    """Each image that the providers need, once, by its name."""
    recipes: dict[str, ImageRecipe] = {}
    for provider in plugins.values():
        if isinstance(provider, NeedsServers):
            for server in provider.servers():
                recipes.update({recipe.name: recipe for recipe in server.images})
    return recipes


async def build_everything(
    plugins: dict[str, Provider | BrokenPlugin],
    show: StepDisplay,
    outcomes: list[Made],
    *,
    fresh: bool = False,
) -> None:
    """Make host packages, engine, base image, MinIO and every provider's images.

    ``fresh`` makes the base image anew, from today's packages, and with it all others.
    A step that fails stops those that need it and no others. ``outcomes`` grows as steps end, so
    that an interrupted caller knows what is left.
    """
    for name, provider in plugins.items():
        if isinstance(provider, BrokenPlugin):
            outcomes.append(Made(name=f"driver {name}", problem=provider.reason))
    await _make("host packages", _host_packages, show, outcomes)
    ready = await _make("engine", _engine, show, outcomes)
    if ready and await _make("base image", _fresh_base if fresh else _base, show, outcomes):
        await _make("MinIO", _minio, show, outcomes)
        for name, recipe in recipes_of(plugins).items():
            await _make(name, _image(recipe), show, outcomes)


def steps_of(plugins: dict[str, Provider | BrokenPlugin]) -> tuple[str, ...]:
    """The names of all steps, in their order."""
    return ("host packages", "engine", "base image", "MinIO", *recipes_of(plugins))


async def _make(name: str, making: Making, show: StepDisplay, outcomes: list[Made]) -> bool:
    begun = runtime().now()
    problem = detail = ""
    with show(name) as progress:
        try:
            detail = await making(progress)
        except HoldfastError as error:
            problem = str(error)
    seconds = round(runtime().now() - begun, 1)
    outcomes.append(Made(name=name, detail=detail, problem=problem, seconds=seconds))
    return not problem


async def _host_packages(progress: Progress) -> str:
    if not is_debian_like():
        return "not looked for, as this is no Debian; holdfast doctor says what is lacking"
    missing = await runtime().run_blocking(missing_packages, HOST_PACKAGES)
    if not missing:
        return "all there"
    if not can_install():
        return f"missing: {' '.join(missing)}; add them: {install_command(missing)}"

    def install(commands: CommandRun) -> None:
        install_packages(commands, missing)

    await run_interruptibly(progress, install)
    return f"installed {' '.join(missing)}"


async def _engine(progress: Progress) -> str:
    await ensure_engine(progress)
    return "answers"


async def _base(progress: Progress) -> str:
    return await run_interruptibly(progress, ensure_base)


async def _fresh_base(progress: Progress) -> str:
    return await run_interruptibly(progress, lambda commands: ensure_base(commands, fresh=True))


async def _minio(progress: Progress) -> str:
    return (await fetch_minio(progress)).detail


def _image(recipe: ImageRecipe) -> Making:
    async def build(progress: Progress) -> str:
        return await build_image(recipe, progress)

    return build
