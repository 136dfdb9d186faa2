"""``holdfast demo``: the whole story on real input, in one catalogue file."""
