"""The checks of `aios-tui doctor`."""
