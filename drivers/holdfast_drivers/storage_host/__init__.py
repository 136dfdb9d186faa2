"""A kit for stores on a storage host: an agent there keeps the volumes, a server exports them.

It is no storage system: ``iscsi`` and ``nfs`` are made of it, each with a server of its own.
``driver`` asks, over a ``connection``, what ``service`` does on the host.
"""
