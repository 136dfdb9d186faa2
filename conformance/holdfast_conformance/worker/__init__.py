"""The child process in which a driver under test runs; nothing else ever imports a driver."""
