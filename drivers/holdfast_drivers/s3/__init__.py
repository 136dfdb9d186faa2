"""The ``s3`` driver: an image store in a bucket of any S3 server."""

from holdfast_drivers.s3.provider import S3Provider

__all__ = ["S3Provider"]
