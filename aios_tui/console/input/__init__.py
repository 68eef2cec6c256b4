"""Keyboard and paste input, in the order of arrival, and the quick line's grammar."""
