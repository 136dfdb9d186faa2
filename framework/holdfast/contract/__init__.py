"""What a driver's author meets: the ports, what goes through them, and how a driver is found."""
