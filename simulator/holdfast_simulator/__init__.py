"""Virtual time for Holdfast: a loop whose clock jumps, and what runs on it."""
