"""Throw-away SSH keys of a testbed: those that its storage host knows, and a stranger's."""

from pathlib import Path

import asyncssh
import msgspec


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Throw-away keys in a folder of this machine: ours, the storage host's, and strangers'."""

    folder: Path

    @property
    def ours(self) -> Path:
        """The key that the storage host lets in."""
        return self.folder / "ours"

    @property
    def stranger(self) -> Path:
        """A key that it does not know."""
        return self.folder / "stranger"

    @property
    def host(self) -> Path:
        """The storage host's own key."""
        return self.folder / "host"

    def make(self) -> None:
        """Make those that are not there. Blocking."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (self.ours, self.stranger, self.host):
            if not path.exists():
                made = _new_key()
                path.with_suffix(".pub").write_bytes(made.export_public_key())
                path.touch(mode=0o600)
                path.write_bytes(made.export_private_key())

    def known_hosts(self, address: tuple[str, int], name: str, key: Path) -> Path:
        """A file that expects ``key`` of the storage host at an address."""
        path = self.folder / name
        public = key.with_suffix(".pub").read_text(encoding="ascii")
        path.write_text(f"[{address[0]}]:{address[1]} {public}", encoding="ascii")
        return path


def _new_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")  # pyright: ignore[reportUnknownMemberType] - typed in parts only
