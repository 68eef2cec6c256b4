"""Keyboard, paste and text input, in the order in which they arrive."""
