"""The engine's volumes of this project: where they are, whose, and how they go."""

from pathlib import Path

from holdfast_drivers.servers.container_client import (
    LABEL_OWNER,
    docker_module,
    engine_client,
    is_absent,
)


def volume_owners() -> dict[str, str]:
    """Blocking: the owner of each volume, by the volume's name."""
    with engine_client() as client:
        volumes = client.volumes.list(filters={"label": LABEL_OWNER})
        return {str(one.name): str(one.attrs["Labels"][LABEL_OWNER]) for one in volumes}


def volume_folder(name: str) -> Path:
    """Blocking: where a volume in use is mounted on this machine; only root may look."""
    with engine_client() as client:
        return Path(client.volumes.get(name).attrs["Mountpoint"])


def remove_volume(name: str) -> None:
    """Blocking: remove a volume; one that is absent or still in use stays as it is."""
    with engine_client() as client:
        try:
            client.api.remove_volume(name)
        except docker_module().errors.APIError as error:
            if not is_absent(error) and "in use" not in str(error):
                raise
