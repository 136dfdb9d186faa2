"""What a step of a plan does: ``perform``, ``probe`` and ``compensate`` for each kind of step."""
