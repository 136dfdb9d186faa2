"""TLS in front of a real server that speaks plain HTTP, with certificates made for one test."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ADDRESS = "127.0.0.1"
_CHUNK_BYTES = 1 << 16
_ONE_DAY = dt.timedelta(days=1)


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """A throw-away certificate authority: its certificate, and a server's with its key."""

    ca_file: Path
    server_file: Path


def make_authority(folder: Path, name: str) -> Authority:
    """An authority that nobody knew before, and what a server at ``ADDRESS`` needs of it."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _named(f"throw-away authority {name}")
    ca = _certificate(ca_name, ca_name, ca_key, ca_key, None)
    key = ec.generate_private_key(ec.SECP256R1())
    own = _certificate(_named(ADDRESS), ca_name, key, ca_key, ADDRESS)
    found = Authority(ca_file=folder / f"{name}-ca.pem", server_file=folder / f"{name}.pem")
    found.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    found.server_file.touch(mode=0o600)
    found.server_file.write_bytes(own.public_bytes(serialization.Encoding.PEM) + private)
    return found


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    address: str | None,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _ONE_DAY)
        .not_valid_after(now + _ONE_DAY)
        .add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
    )
    if address is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        made = made.add_extension(names, critical=False)
    return made.sign(issuer_key, hashes.SHA256())


@asynccontextmanager
async def tls_front(upstream: tuple[str, int], authority: Authority) -> AsyncIterator[int]:
    """Terminate TLS in front of a server; the port.

    Where the server names its own address, as Swift does, the front says ``https``: a server is
    told so by its configuration.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.server_file)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            inner_reader, inner_writer = await asyncio.open_connection(*upstream)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, inner_writer))
                group.create_task(_pump(inner_reader, writer, b"X-Storage-Url: http:"))
        except* (OSError, ssl.SSLError):
            writer.transport.abort()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, ADDRESS, 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks.copy():
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, plain: bytes = b""
) -> None:
    """Pass everything on; what is said of plain HTTP is said of HTTPS."""
    try:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data.replace(plain, plain[:-1] + b"s:") if plain else data)
            await writer.drain()
    finally:
        writer.close()
