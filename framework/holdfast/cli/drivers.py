"""``holdfast drivers``: what is installed, with roles, capabilities and limits."""

import asyncio
from typing import Annotated, Any

import msgspec
import typer

from holdfast.concurrency.interruptions import run_program
from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import Capabilities
from holdfast.contract.errors import ConfigurationError, ExitCode
from holdfast.contract.ports import Provider
from holdfast.contract.requests import CallContext, DeleteStore, InitializeStore, Role
from holdfast.contract.testbed import Testbed, TestbedKind
from holdfast.stores.open_store import open_image, open_life_cycle, open_primary
from holdfast.stores.plugins import BrokenPlugin, load_provider, providers
from holdfast.text.foreign import tell, tell_json, tell_table

LOOK_DEADLINE_S = 30.0


class DriverRow(msgspec.Struct, frozen=True, kw_only=True):
    """One installed plug-in; ``broken`` says why it cannot be used, and is empty where it can."""

    name: str
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    testbeds: tuple[str, ...] = ()
    broken: str = ""


def register(app: typer.Typer) -> None:
    """Add ``holdfast drivers``."""
    app.command("drivers")(show_drivers)


def show_drivers(
    name: Annotated[
        str, typer.Argument(help="Show what this driver declares on its embedded testbed.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what is installed: roles, capabilities, limits; a broken plug-in is shown as broken."""
    if name:
        _show_one(name, as_json=as_json)
    else:
        _show_all(as_json=as_json)


def _show_all(*, as_json: bool) -> None:
    rows = [_row(name, plugin) for name, plugin in sorted(providers().items())]
    if as_json:
        tell_json(rows)
        return
    tell_table(("driver", "roles", "scopes", "testbeds", "state"), map(_cells, rows))


def _cells(row: DriverRow) -> tuple[str, ...]:
    state = f"broken: {row.broken}" if row.broken else "ok"
    columns = (row.roles, row.scopes, row.testbeds)
    return (row.name, *(", ".join(column) for column in columns), state)


def _row(name: str, plugin: Provider | BrokenPlugin) -> DriverRow:
    if isinstance(plugin, BrokenPlugin):
        return DriverRow(name=name, broken=plugin.reason)
    return DriverRow(
        name=name,
        roles=tuple(plugin.roles),
        scopes=tuple(plugin.scopes),
        testbeds=(*plugin.testbeds(), *plugin.testbed_variants()),
    )


def _show_one(name: str, *, as_json: bool) -> None:
    provider = load_provider(name)
    if TestbedKind.EMBEDDED not in provider.testbeds():
        raise ConfigurationError(
            f"driver {name} has no embedded testbed; its capabilities belong to each opened store"
        )
    documents = run_program(_declared(provider))
    plain = {
        role.value: msgspec.to_builtins(capabilities) for role, capabilities in documents.items()
    }
    if as_json:
        tell_json({"driver": name, "capabilities": plain})
        return
    for role, document in plain.items():
        tell(f"{name}, {role} store (on its embedded testbed)")
        ports = {port: values for port, values in document.items() if port != "role"}
        tell_table(
            ("port", "declares"), ((port, _described(values)) for port, values in ports.items())
        )
    if not plain:
        raise typer.Exit(ExitCode.FAILED)


def _described(values: dict[str, Any] | bool | None) -> str:
    """One port's values in a line; ``None`` is a port that is not declared."""
    if values is None or values is False:
        return "not declared"
    if values is True:
        return "declared"
    parts = (
        f"{field}={', '.join(value) if isinstance(value, list | tuple) else value}"  # pyright: ignore[reportUnknownArgumentType] - plain JSON
        for field, value in values.items()
        if value is not None
    )
    return "  ".join(parts)


async def _declared(provider: Provider) -> dict[Role, Capabilities]:
    async with provider.testbeds()[TestbedKind.EMBEDDED](runtime().new_id("look")) as testbed:
        return {role: await _declared_by(provider, testbed, role) for role in provider.roles}


async def _declared_by(provider: Provider, testbed: Testbed, role: Role) -> Capabilities:
    config = testbed.config(role, "look")
    deadline = asyncio.get_running_loop().time() + LOOK_DEADLINE_S
    ctx = CallContext(operation="look", deadline=deadline)
    async with open_life_cycle(provider, config, role) as life_cycle:
        await life_cycle.initialize(ctx, InitializeStore(name="look"))
        try:
            if role is Role.PRIMARY:
                async with open_primary(provider, config) as primary:
                    return primary.capabilities
            async with open_image(provider, config) as image:
                return image.capabilities
        finally:
            await life_cycle.delete_store(ctx, DeleteStore())
