"""Time, threads and calls: the one source of each, and what may still act after it was given up."""
