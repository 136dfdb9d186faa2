"""What properties are, what they are shown, and how traces become a verdict."""
