"""Widgets, one small file each. They draw from the view state and never touch the kernel."""
