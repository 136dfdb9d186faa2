"""The functions and structures of libnfs that are used, by their C signatures."""

import ctypes
import ctypes.util
from typing import Any, Final

from holdfast.contract.errors import EnvironmentUnavailable

_pointer = ctypes.c_void_p
_text = ctypes.c_char_p
_int = ctypes.c_int
_u64 = ctypes.c_uint64
_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "nfs_init_context": (_pointer, []),
    "nfs_destroy_context": (None, [_pointer]),
    "nfs_get_error": (_text, [_pointer]),
    "nfs_set_version": (_int, [_pointer, _int]),
    "nfs_set_autoreconnect": (None, [_pointer, _int]),
    "nfs_set_dircache": (None, [_pointer, _int]),
    "nfs_set_tcp_syncnt": (None, [_pointer, _int]),
    "nfs_set_timeout": (None, [_pointer, _int]),
    "nfs_set_uid": (None, [_pointer, _int]),
    "nfs_set_gid": (None, [_pointer, _int]),
    "nfs_mount": (_int, [_pointer, _text, _text]),
    "nfs_get_readmax": (_u64, [_pointer]),
    "nfs_get_writemax": (_u64, [_pointer]),
    "nfs_open2": (_int, [_pointer, _text, _int, _int, ctypes.POINTER(_pointer)]),
    "nfs_close": (_int, [_pointer, _pointer]),
    "nfs_fsync": (_int, [_pointer, _pointer]),
    "nfs_pread": (_int, [_pointer, _pointer, _u64, _u64, _pointer]),
    "nfs_pwrite": (_int, [_pointer, _pointer, _u64, _u64, _text]),
    "nfs_fstat64": (_int, [_pointer, _pointer, _pointer]),
    "nfs_lstat64": (_int, [_pointer, _text, _pointer]),
    "nfs_statvfs64": (_int, [_pointer, _text, _pointer]),
    "nfs_mkdir2": (_int, [_pointer, _text, _int]),
    "nfs_rmdir": (_int, [_pointer, _text]),
    "nfs_unlink": (_int, [_pointer, _text]),
    "nfs_rename": (_int, [_pointer, _text, _text]),
    "nfs_link": (_int, [_pointer, _text, _text]),
    "nfs_opendir": (_int, [_pointer, _text, ctypes.POINTER(_pointer)]),
    "nfs_readdir": (_pointer, [_pointer, _pointer]),
    "nfs_closedir": (None, [_pointer, _pointer]),
}


_STAT: Final = (
    "dev ino mode nlink uid gid rdev size blksize blocks "
    "atime mtime ctime atime_nsec mtime_nsec ctime_nsec used"
)
_SPACE: Final = "bsize frsize blocks bfree bavail files ffree favail fsid flag namemax"


class Stat(ctypes.Structure):
    """``struct nfs_stat_64``."""

    _fields_ = [(name, _u64) for name in _STAT.split(" ")]


class Space(ctypes.Structure):
    """``struct nfs_statvfs_64``."""

    _fields_ = [(name, _u64) for name in _SPACE.split(" ")]


class Entry(ctypes.Structure):
    """The beginning of ``struct nfsdirent``."""

    _fields_ = [
        ("next", _pointer),
        ("name", _text),
        ("inode", _u64),
        ("type", ctypes.c_uint32),
        ("mode", ctypes.c_uint32),
        ("size", _u64),
        ("times", ctypes.c_long * 6),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("nlink", ctypes.c_uint32),
        ("dev", _u64),
        ("rdev", _u64),
        ("blksize", _u64),
        ("blocks", _u64),
        ("used", _u64),
    ]


def _load() -> ctypes.CDLL:
    name = ctypes.util.find_library("nfs") or "libnfs.so.13"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        raise EnvironmentUnavailable(
            "libnfs is missing: install the package libnfs13 (or libnfs-utils)"
        ) from None
    for function, (result, arguments) in _SIGNATURES.items():
        symbol = getattr(library, function)
        symbol.restype, symbol.argtypes = result, arguments
    return library


_loaded: list[ctypes.CDLL] = []


def loaded() -> ctypes.CDLL:
    """The library, loaded on first use.

    Raises:
        EnvironmentUnavailable: it is not installed.
    """
    if not _loaded:
        _loaded.append(_load())
    return _loaded[0]
