"""The properties of the suite, one module per category; importing this package registers them."""

from holdfast_conformance.properties import (
    acc,
    cap,
    cpy,
    cst,
    dat,
    err,
    idm,
    img,
    img_addresses,
    lif,
    prf,
    sec,
    siz,
    snp,
    vol,
)

__all__ = [
    "acc",
    "cap",
    "cpy",
    "cst",
    "dat",
    "err",
    "idm",
    "img",
    "img_addresses",
    "lif",
    "prf",
    "sec",
    "siz",
    "snp",
    "vol",
]
