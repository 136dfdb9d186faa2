"""The nouns of a zone and the machines that govern them."""
