"""A container engine: the one that runs, or Debian's own, installed and started."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.container_client import engine_answers
from holdfast_drivers.servers.logged_command import (
    CommandRun,
    Progress,
    answer_of,
    log_path,
    run_interruptibly,
)
from holdfast_drivers.servers.packages import can_install, install_packages, is_debian_like

ENGINE_PACKAGE = "docker.io"
_START_S = 60.0
_POLL_S = 0.1
_STARTED: list["subprocess.Popen[bytes]"] = []
"""Engines that were started here; they go on when this process ends."""


async def ensure_engine(progress: Progress) -> None:
    """An engine answers afterwards.

    Raises:
        EnvironmentUnavailable: none does, and none can be started here; says what to do.
    """
    if await _answers():
        return
    if address := os.environ.get("DOCKER_HOST"):
        raise EnvironmentUnavailable(
            f"no container engine answers at DOCKER_HOST={address}; start it, or unset DOCKER_HOST"
        )
    if not can_install():
        raise EnvironmentUnavailable(f"no container engine answers; {engine_advice()}")
    if _daemon() is None:
        progress(f"installing {ENGINE_PACKAGE}")
        await run_interruptibly(progress, _install)
    if not await _answers():
        progress("starting dockerd")
        await _wait_for_engine(await run_interruptibly(progress, _start_daemon))


async def _answers() -> bool:
    return await runtime().run_blocking(engine_answers)


def _install(commands: CommandRun) -> None:
    install_packages(commands, (ENGINE_PACKAGE, "iptables"))


def engine_advice() -> str:
    """What a person does to have an engine here."""
    if is_debian_like():
        return (
            "run as root: holdfast backends build (it installs docker.io and starts it), "
            "or: sudo apt-get install docker.io && sudo usermod --append --groups docker $USER"
        )
    return "install Docker Engine and start it, or point DOCKER_HOST at one"


def _daemon() -> str | None:
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _start_daemon(commands: CommandRun) -> "subprocess.Popen[bytes] | None":
    """Start the engine: by systemd where it rules, else as a process that outlives this one."""
    if Path("/run/systemd/system").is_dir():
        commands.run(
            ["systemctl", "start", "docker"], log="dockerd", failing="starting docker by systemd"
        )
        return None
    daemon = _daemon()
    if daemon is None:
        raise EnvironmentUnavailable(f"{ENGINE_PACKAGE} was installed, and dockerd is not there")
    # A session of its own: Ctrl-C in this terminal is not meant for the engine.
    with log_path("dockerd").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - the daemon found above
            [daemon], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    _STARTED.append(process)
    return process


async def _wait_for_engine(process: "subprocess.Popen[bytes] | None") -> None:
    deadline = runtime().now() + _START_S
    while runtime().now() < deadline:
        if await _answers():
            return
        if process is not None and process.poll() is not None:
            raise EnvironmentUnavailable(
                f"dockerd ended at once with status {process.returncode}: {_last_line()}; "
                f"its log is {log_path('dockerd')}"
            )
        await asyncio.sleep(_POLL_S)
    raise EnvironmentUnavailable(
        f"dockerd does not answer after {_START_S:.0f} s; its log is {log_path('dockerd')}"
    )


def _last_line() -> str:
    return answer_of(["tail", "-n", "1", str(log_path("dockerd"))])
