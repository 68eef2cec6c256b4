"""Background work of the console."""
