"""The properties of the suite, one module per category; importing this package registers them."""
