"""``holdfast backends``: make the servers' images, start servers to work with, and clean up."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from holdfast.cli.step_display import StepDisplay
from holdfast.concurrency.interruptions import run_program
from holdfast.contract.errors import EnvironmentUnavailable, ExitCode, UsageError
from holdfast.contract.ports import Provider
from holdfast.stores.plugins import BrokenPlugin, load_provider, providers
from holdfast.text.foreign import complain, tell, tell_json, tell_table
from holdfast_drivers.servers import kept_testbeds
from holdfast_drivers.servers.building import Made, build_everything, recipes_of, steps_of
from holdfast_drivers.servers.container_client import engine_client
from holdfast_drivers.servers.container_images import BASE_IMAGE, image_id, image_tag, remove_images
from holdfast_drivers.servers.leftovers import (
    RunningServer,
    Swept,
    remove_network,
    running_servers,
    sweep_all,
    sweep_dead,
)
from holdfast_drivers.servers.minio_source import find_minio
from holdfast_drivers.servers.network import host_records

JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[DRIVER]...", help="Drivers; all by default.")
]
_INTERRUPTED = 130


class ImageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One image that a testbed needs."""

    name: str
    state: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What ``holdfast backends status`` says; ``engine`` is empty where none answers."""

    engine: str
    images: tuple[ImageRow, ...] = ()
    testbeds: tuple[kept_testbeds.HeldTestbed, ...] = ()
    servers: tuple[RunningServer, ...] = ()
    hosts: tuple[str, ...] = ()


def register(app: typer.Typer) -> None:
    """Add ``holdfast backends`` and what is under it."""
    group = typer.Typer(no_args_is_help=True, help="Servers in containers, for testbeds.")
    group.command("build")(build)
    group.command("up")(up)
    group.command("down")(down)
    group.command("status")(status)
    group.command("keep", hidden=True)(keep)
    app.add_typer(group, name="backends")


def build(
    names: NamesArgument = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make the base image anew, and with it all others.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make this machine ready: packages, an engine, the base image and every server's image.

    What is there already is left alone. Exits with 3 when something could not be made.
    """
    plugins = _chosen(names)
    outcomes: list[Made] = []
    try:
        run_program(build_everything(plugins, StepDisplay().step, outcomes, fresh=fresh))
    except KeyboardInterrupt:
        _say_interrupted(plugins, outcomes)
        raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        tell_json(outcomes)
    else:
        tell_table(
            ("step", "seconds", "result"),
            ((one.name, f"{one.seconds:.1f}", one.problem or one.detail) for one in outcomes),
        )
    if any(one.problem for one in outcomes):
        raise typer.Exit(ExitCode.UNAVAILABLE)


def _say_interrupted(plugins: dict[str, Provider | BrokenPlugin], outcomes: list[Made]) -> None:
    done = [one.name for one in outcomes if not one.problem]
    rest = [name for name in steps_of(plugins) if name not in done]
    complain(
        f"interrupted; done and kept: {', '.join(done) or 'nothing'}; left: {', '.join(rest)}; "
        "the same command goes on from here"
    )


def up(names: NamesArgument = None, as_json: JsonOption = False) -> None:
    """Start the servers of all drivers, or of some, and leave them running until ``down``."""
    if kept_testbeds.current_holding() is not None:
        raise UsageError("servers are up already; see: holdfast backends status")
    wanted = tuple(
        name
        for name, provider in _chosen(names).items()
        if not isinstance(provider, BrokenPlugin) and kept_testbeds.held_kinds(provider)
    )
    if not wanted:
        raise UsageError("none of these drivers has servers in containers")
    try:
        with StepDisplay().step(f"starting {', '.join(wanted)}"):
            kept_testbeds.start_keeper(wanted)
            holding = run_program(kept_testbeds.await_keeper())
    except KeyboardInterrupt:
        run_program(kept_testbeds.end_keeper())
        complain("interrupted; the servers that were started are removed again")
        raise typer.Exit(_INTERRUPTED) from None
    _print_testbeds(holding.testbeds, as_json=as_json)
    if any(one.state != "ready" for one in holding.testbeds):
        raise typer.Exit(ExitCode.UNAVAILABLE)


def down(
    everything: Annotated[
        bool,
        typer.Option(
            "--everything", help="Also servers of tests that run now, the network and all images."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """End what ``up`` started, and remove whatever was left behind by processes that ended."""
    ended = run_program(kept_testbeds.end_keeper())
    swept = sweep_all() if everything else sweep_dead()
    images: tuple[str, ...] = ()
    if everything:
        remove_network()
        images = remove_images()
    if as_json:
        answer = msgspec.to_builtins(swept) | {"was_up": ended, "images": images}
        tell_json(answer)
        return
    tell(*_swept_lines(swept, images, was_up=ended))


def _swept_lines(swept: Swept, images: tuple[str, ...], *, was_up: bool) -> list[str]:
    lines = ["the servers that were up are removed"] if was_up else ["no servers were up"]
    for what, names in (
        ("containers", swept.containers),
        ("hosts", swept.hosts),
        ("folders", swept.folders),
        ("images", images),
    ):
        if names:
            lines.append(f"removed {what}: {', '.join(names)}")
    return lines


def status(as_json: JsonOption = False) -> None:
    """Show images, servers that are up, and every container and simulated host of this project."""
    try:
        overview = _status()
    except EnvironmentUnavailable as problem:
        if as_json:
            tell_json(Status(engine=""))
        raise EnvironmentUnavailable(str(problem)) from None
    if as_json:
        tell_json(overview)
        return
    tell(f"engine {overview.engine}")
    tell_table(("image", "state"), ((image.name, image.state) for image in overview.images))
    if overview.testbeds:
        _print_testbeds(overview.testbeds, as_json=False)
    if overview.servers:
        headings = ("container", "run", "state", "address", "")
        tell_table(headings, map(_server_cells, overview.servers))
    else:
        tell("no containers")
    tell(f"simulated hosts: {', '.join(overview.hosts) or 'none'}")


def _server_cells(one: RunningServer) -> tuple[str, ...]:
    remark = "" if one.owned else "left behind; remove it: holdfast backends down"
    return (one.name, one.run, one.state, one.address, remark)


def _status() -> Status:
    with engine_client() as client:
        engine = str(client.version()["Version"])
        base = "built" if image_id(client, BASE_IMAGE) else "missing"
        images = [ImageRow(name=BASE_IMAGE, state=base)]
        for name, recipe in recipes_of(providers()).items():
            built = base == "built" and image_id(client, image_tag(client, recipe))
            images.append(ImageRow(name=name, state="built" if built else "missing"))
    minio = run_program(find_minio())
    images.append(ImageRow(name="MinIO", state=minio.detail))
    holding = kept_testbeds.current_holding()
    return Status(
        engine=engine,
        images=tuple(images),
        testbeds=tuple(holding.testbeds) if holding else (),
        servers=running_servers(),
        hosts=tuple(f"{one.namespace} {one.address}" for one in host_records()),
    )


def keep(names: NamesArgument = None) -> None:
    """Keep testbeds running; started by ``up``."""
    run_program(kept_testbeds.keep(tuple(names or ())))


def _print_testbeds(testbeds: Sequence[kept_testbeds.HeldTestbed], *, as_json: bool) -> None:
    if as_json:
        tell_json(testbeds)
        return
    tell_table(
        ("driver", "state", "server", "configurations"),
        ((one.provider, one.state, one.detail, one.configs) for one in testbeds),
    )


def _chosen(names: list[str] | None) -> dict[str, Provider | BrokenPlugin]:
    if not names:
        return dict(providers())
    return {name: load_provider(name) for name in names}
