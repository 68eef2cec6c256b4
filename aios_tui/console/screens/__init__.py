"""Screens, one a file, with their styles beside them in a `.tcss` of the same name."""
