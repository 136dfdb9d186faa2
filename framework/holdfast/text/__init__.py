"""Text of people and for people: what may be a name, and the door that foreign text passes."""
