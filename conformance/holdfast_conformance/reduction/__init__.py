"""From a failure to the few steps that show it, and back again."""
