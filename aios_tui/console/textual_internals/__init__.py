"""The only code of the console that uses private names or undocumented behaviour of Textual.

Each function states why the public API does not do. `tests/aios_tui/console/textual_internals` has a test for each,
which fails when Textual changes what is used, and one that keeps private names of Textual out of all other modules.
Written against Textual 8.2.8.
"""
