"""Motion: how bytes get from one handle to another, by whichever mechanism is best for the pair.

A transfer is planned on the two handles and what their stores declare (``choice``), executed by one
mechanism (``mechanisms``), in chunks that are remembered once their bytes are durable
(``transfer``, ``chunk_map``), within the limits of its links (``throttle``).
"""
