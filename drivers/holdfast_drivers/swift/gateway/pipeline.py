"""The configuration of the gateway's proxy: Swift's own middleware above the S3 application."""

from collections.abc import Iterable, Mapping

import msgspec

from holdfast_drivers.swift.server_recipe import PORT
from holdfast_drivers.swift.users import User

SECRET_FILE = "/etc/swift/s3-secret"  # noqa: S105 - where it is, not what it is
CONFIG_FILE = "/etc/swift/proxy-server.conf"
_FILTERS = (
    "catch_errors",
    "gatekeeper",
    "healthcheck",
    "proxy-logging",
    "cache",
    "listing_formats",
    "bulk",
    "tempurl",
    "formpost",
    "crossdomain",
    "tempauth",
    "staticweb",
    "copy",
    "container-quotas",
    "account-quotas",
    "slo",
    "dlo",
    "versioned_writes",
    "symlink",
)
_SETTINGS = {
    "cache": "memcache_servers = 127.0.0.1:11211\nerror_suppression_interval = 0\n",
    # By default one small segment a second is given after the tenth; a test's are all small.
    "slo": "rate_limit_under_size = 0\n",
    "tempurl": "allowed_digests = sha1 sha256 sha512\n",
    "formpost": "allowed_digests = sha1 sha256 sha512\n",
    "versioned_writes": "allow_versioned_writes = true\nallow_object_versioning = true\n",
}
_EGGS = {
    "proxy-logging": "proxy_logging",
    "cache": "memcache",
    "container-quotas": "container_quotas",
    "account-quotas": "account_quotas",
}


class S3Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the gateway keeps everything; its secret is in a file of its own."""

    endpoint: str
    bucket: str
    access_key: str


class Sweeping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often the gateway looks for what nobody sees, and how old that is before it goes."""

    interval_s: float = 300.0
    age_s: float = 3600.0


def proxy_configuration(s3: S3Place, users: Iterable[User], sweeping: Sweeping) -> bytes:
    """The paste configuration of the gateway."""
    server: dict[str, str | float] = {
        "bind_ip": "0.0.0.0",  # noqa: S104 - the container's own addresses
        "bind_port": PORT,
        "workers": 0,
        "user": "swift",
        # Requests are logged at INFO: each would pass through the engine on its way to nobody.
        "log_level": "WARNING",
    }
    app: dict[str, str | float] = {
        "paste.app_factory": "swift_on_s3.application:app_factory",
        "allow_account_management": "true",
        "account_autocreate": "true",
        "s3_endpoint": s3.endpoint,
        "s3_bucket": s3.bucket,
        "s3_access_key": s3.access_key,
        "s3_secret_file": SECRET_FILE,
        "s3_make_bucket": "yes",
        "sweep_interval": sweeping.interval_s,
        "sweep_grace": sweeping.age_s,
    }
    sections = [
        _section("DEFAULT", server),
        _section("pipeline:main", {"pipeline": " ".join((*_FILTERS, "proxy-server"))}),
        _section("app:proxy-server", app),
    ]
    for name in _FILTERS:
        head = f"[filter:{name}]\nuse = egg:swift#{_EGGS.get(name, name)}\n"
        extra = _SETTINGS.get(name, "")
        if name == "tempauth":
            extra = "".join(user.line for user in users)
        sections.append(head + extra)
    return "\n".join(sections).encode()


def _section(name: str, settings: Mapping[str, str | float]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
