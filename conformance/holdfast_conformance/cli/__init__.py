"""The suite's sub-commands, contributed to ``holdfast`` by entry point, a module each."""
