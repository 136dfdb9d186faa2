"""One folder for each storage system Holdfast drives."""
