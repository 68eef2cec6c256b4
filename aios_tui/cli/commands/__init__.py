"""The commands. `aios_tui.cli.root` imports a module when one of its commands is called."""
