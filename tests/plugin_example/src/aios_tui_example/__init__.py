"""A core and a policy for aios-tui, as an example of a plug-in."""
