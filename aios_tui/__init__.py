"""The face of aios-tui: command line, settings and the console."""

__version__ = "0.1.0"
