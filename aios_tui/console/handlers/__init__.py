"""Carry out the actions that keys and the palette start."""
