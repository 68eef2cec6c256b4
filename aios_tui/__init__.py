"""The operator console aios-tui: command line, settings and the Textual app."""

__version__ = "0.1.0"
