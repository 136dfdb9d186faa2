"""Servers in containers, faults and simulated hosts, for testbeds of real backends."""
