"""Packages of a Debian or Ubuntu machine: which are missing, and how they are added."""

import os
import platform
import shutil

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.logged_command import CommandRun, answer_of

HOST_PACKAGES = (
    "qemu-utils",
    "qemu-block-extra",
    "qemu-system-common",
    "libiscsi-bin",
    "libnfs-utils",
    "libnfs13|libnfs14|libnfs16",
    "python3-libnbd",
    "xfsprogs",
    "iproute2",
    "rclone",
    "restic",
)
"""What the data plane and the testbeds use on this machine; of alternatives, the first there is."""
_DEBIAN_LIKE = ("debian", "ubuntu")


def is_debian_like() -> bool:
    """Whether this machine has apt and the names of packages that Debian gives them."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    names = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return bool(names & set(_DEBIAN_LIKE)) and shutil.which("apt-get") is not None


def can_install() -> bool:
    """Whether this process may install packages: root, on Debian or Ubuntu."""
    return os.geteuid() == 0 and is_debian_like()


def missing_packages(alternatives: tuple[str, ...]) -> tuple[str, ...]:
    """Blocking: which of the packages are not installed; of alternatives, one is enough."""
    if not is_debian_like():
        return ()
    names = [name for one in alternatives for name in one.split("|")]
    question = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", "*"]
    lines = (line.split() for line in answer_of(question).splitlines())
    known = {words[0] for words in lines if words[1:] == ["installed"]}
    installed = known.intersection(names)
    return tuple(one for one in alternatives if not installed.intersection(one.split("|")))


def install_command(packages: tuple[str, ...]) -> str:
    """What a person types to add packages here."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    names = " ".join(one.partition("|")[0] for one in packages)
    return f"{sudo}apt-get install --no-install-recommends {names}"


def install_packages(commands: CommandRun, packages: tuple[str, ...]) -> None:
    """Blocking: install packages; nothing to do for none.

    Raises:
        EnvironmentUnavailable: it may not, or apt failed; says what to type.
    """
    if not packages:
        return
    if not can_install():
        raise EnvironmentUnavailable(
            f"these packages are missing: {', '.join(packages)}; {_how(packages)}"
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    commands.run(
        ["apt-get", "update"], log="apt-update", failing="apt-get update", environment=quiet
    )
    commands.run(
        ["apt-get", "install", "--yes", "--no-install-recommends", *map(_offered, packages)],
        log="apt-install",
        failing=f"installing {', '.join(packages)}",
        environment=quiet,
    )


def _offered(package: str) -> str:
    """Of alternatives, the first that the package sources have."""
    names = package.split("|")
    known = (name for name in names if answer_of(["apt-cache", "show", "--no-all-versions", name]))
    return names[0] if len(names) == 1 else next(known, names[0])


def _how(packages: tuple[str, ...]) -> str:
    if is_debian_like():
        return f"install them: {install_command(packages)}"
    return "install what your distribution calls them"
