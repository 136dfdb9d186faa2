"""Swift's own proxy application and controllers, asking S3 where they would ask servers.

``app_factory`` is what a paste configuration names as its last app.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import eventlet
from eventlet.greenpool import GreenPool
from eventlet.semaphore import Semaphore
from swift.common import constraints
from swift.common.http import is_server_error
from swift.common.storage_policy import POLICIES
from swift.common.swob import (
    HTTPException,
    HTTPInsufficientStorage,
    HTTPNotImplemented,
    HTTPServiceUnavailable,
    str_to_wsgi,
)
from swift.proxy.controllers.account import AccountController
from swift.proxy.controllers.base import Controller, get_account_info
from swift.proxy.controllers.container import ContainerController
from swift.proxy.controllers.obj import ReplicatedObjectController
from swift.proxy.server import Application

from .s3 import Bucket, S3Error
from .signing import Credentials
from .store import A, B, Busy, Hands, Store
from .sweeper import Sweeper
from .swift_accounts import read_account, write_account
from .swift_containers import read_container, write_container
from .swift_objects import delete_object, post_object, put_object, read_object

_FETCHERS = 16
_POLL_S = 0.25
_NODE = {"ip": "s3", "port": 0, "device": "s3", "index": 0, "id": 0, "region": 1, "zone": 1}


class OneNode:
    """A ring of one node that is never called: the controllers want one to choose from."""

    replica_count = 1
    partition_count = 1
    next_part_power = None
    devs = (_NODE,)

    def get_part(self, *names: str) -> int:
        """The only partition."""
        return 0

    def get_nodes(self, *names: str) -> tuple[int, list[dict[str, Any]]]:
        """The only node."""
        return 0, [dict(_NODE)]

    def get_part_nodes(self, part: int) -> list[dict[str, Any]]:
        """The only node."""
        return [dict(_NODE)]

    def get_more_nodes(self, part: int) -> Iterator[dict[str, Any]]:
        """There is no other."""
        return iter(())


def answering(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what S3 could not do into what Swift says then, and log it."""

    @functools.wraps(function)
    def call(self: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return function(self, req, *args, **kwargs)
        except HTTPException as refused:
            refused.request, refused.environ = req, req.environ  # the controllers look there
            return refused
        except Busy as why:
            self.app.logger.error("S3: %s changes all the time", why)  # noqa: TRY400 - no bug
            return HTTPServiceUnavailable(request=req)
        except S3Error as why:
            self.app.logger.error("S3: %s", why)  # noqa: TRY400 - no bug
            if why.full:
                return HTTPInsufficientStorage(request=req)
            return HTTPServiceUnavailable(request=req)

    return call


class LooksUp(Controller):
    """Of a controller: tells what could not be looked up from what is not there.

    Swift's own says 404 for both where it is the account, which a client takes for an answer.
    """

    def container_info(self, account: str, container: str, req: Any) -> Any:
        """As Swift's; 503 where nobody knows."""
        info = super().container_info(account, container, req)
        # Without a status, the account was not found, for whatever reason.
        known = info["status"] or self.account_info(account, req)[0] is None
        if not known or is_server_error(info["status"]):
            raise HTTPServiceUnavailable(request=req)
        return info

    def account_info(self, account: str, req: Any) -> Any:
        """As Swift's; 503 where nobody knows. What is found is kept for the same request."""
        req.environ.setdefault("swift.infocache", {})
        environ = {**req.environ, "PATH_INFO": f"/v1/{str_to_wsgi(account)}"}
        if is_server_error(get_account_info(environ, self.app)["status"]):
            raise HTTPServiceUnavailable(request=req)
        return super().account_info(account, req)


class Accounts(LooksUp, AccountController):
    """Accounts over S3."""

    @answering
    def GETorHEAD_base(self, req: Any, *rest: Any, **more: Any) -> Any:  # noqa: N802 - Swift's name
        """In place of the account server."""
        return read_account(
            self.app.store, req, self.account_name, constraints.ACCOUNT_LISTING_LIMIT
        )

    @answering
    def make_requests(  # noqa: PLR0917 - Swift's signature
        self, req: Any, ring: Any, part: Any, method: str, path: str, headers: Any, **more: Any
    ) -> Any:
        """In place of the account server."""
        return write_account(self.app.store, req, method, self.account_name, headers[0])


class Containers(LooksUp, ContainerController):
    """Containers over S3."""

    @answering
    def _GETorHEAD_from_backend(self, req: Any) -> Any:  # noqa: N802 - Swift's name
        limit = constraints.CONTAINER_LISTING_LIMIT
        return read_container(self.app.store, req, self.account_name, self.container_name, limit)

    @answering
    def make_requests(  # noqa: PLR0917 - Swift's signature
        self, req: Any, ring: Any, part: Any, method: str, path: str, headers: Any, **more: Any
    ) -> Any:
        """In place of the container server, or of the account server that creates an account."""
        if ring is self.app.account_ring:
            return write_account(self.app.store, req, method, self.account_name, headers[0])
        if method not in {"PUT", "POST", "DELETE"}:
            return HTTPNotImplemented(request=req)
        names = (self.account_name, self.container_name)
        return write_container(self.app.store, req, method, names, headers[0])


class Objects(LooksUp, ReplicatedObjectController):
    """Objects over S3."""

    @property
    def _names(self) -> tuple[str, str, str]:
        return self.account_name, self.container_name, self.object_name

    @answering
    def _get_or_head_response(self, req: Any, *rest: Any) -> Any:
        return read_object(self.app.store, req, *self._names)

    @answering
    def _store_object(self, req: Any, data_source: Any, *rest: Any) -> Any:
        timeout_s = self.app.client_timeout
        return put_object(self.app.store, req, self._names, data_source, timeout_s)

    @answering
    def _post_object(self, req: Any, *rest: Any) -> Any:
        return post_object(self.app.store, req, *self._names)

    @answering
    def _delete_object(self, req: Any, *rest: Any, **more: Any) -> Any:
        return delete_object(self.app.store, req, *self._names)


_CONTROLLERS = {
    AccountController: Accounts,
    ContainerController: Containers,
    ReplicatedObjectController: Objects,
}


class Gateway(Application):
    """Swift's proxy over a bucket."""

    def __init__(self, conf: dict[str, str], store: Store) -> None:
        self.store = store
        for policy in POLICIES:
            policy.object_ring = OneNode()
        super().__init__(conf, account_ring=OneNode(), container_ring=OneNode())

    def get_controller(self, req: Any) -> tuple[Any, dict[str, Any]]:
        """Swift's choice, with our controllers in place of Swift's."""
        controller, names = super().get_controller(req)
        return _CONTROLLERS.get(controller, controller), names


def _swept(app: Gateway, interval_s: float, age_s: float) -> None:
    sweeper = Sweeper(app.store, age_s)
    while True:
        eventlet.sleep(interval_s)
        try:
            sweeper.sweep(time.time())
        except (S3Error, Busy) as why:
            app.logger.error("S3: sweeping stopped: %s", why)  # noqa: TRY400 - no bug


def _together(function: Callable[[A], B], things: Iterable[A]) -> Iterable[B]:
    """As ``map``, some at a time; a pool of its own, so that nobody waits for another's."""
    results: Iterable[B] = GreenPool(_FETCHERS).imap(function, things)
    return results


def _made(bucket: Bucket, wait_s: float) -> None:
    """Make the bucket, once the S3 server takes requests: it may be starting as this does."""
    until = time.monotonic() + wait_s
    while True:
        try:
            return bucket.make()
        except S3Error as why:
            if not why.unready or time.monotonic() > until:
                raise
        eventlet.sleep(_POLL_S)


def app_factory(global_conf: dict[str, str], **local_conf: str) -> Gateway:
    """The app of a paste configuration.

    Settings: ``s3_endpoint``, ``s3_bucket``, ``s3_access_key``, ``s3_region``, ``s3_timeout``
    (seconds), ``s3_start_timeout`` (seconds that the S3 server may take to start),
    ``sweep_interval`` (seconds, 0 for never), ``sweep_grace`` (seconds that bytes may be there
    before a record names them). The secret is read from the file ``s3_secret_file``.
    """
    conf = {**global_conf, **local_conf}
    with open(conf["s3_secret_file"], encoding="utf-8") as file:  # noqa: PTH123 - monkey-patched
        secret = file.read().strip()
    credentials = Credentials(conf["s3_access_key"], secret, conf.get("s3_region", "us-east-1"))
    bucket = Bucket(
        conf["s3_endpoint"], conf["s3_bucket"], credentials, float(conf.get("s3_timeout", "30"))
    )
    if conf.get("s3_make_bucket", "no") == "yes":
        _made(bucket, float(conf.get("s3_start_timeout", "60")))
    app = Gateway(conf, Store(bucket, Hands(lock=Semaphore, together=_together)))
    interval_s = float(conf.get("sweep_interval", "300"))
    if interval_s:
        eventlet.spawn(_swept, app, interval_s, float(conf.get("sweep_grace", "3600")))
    app.logger.info("gateway %s over %s", os.getpid(), conf["s3_endpoint"])
    return app
