"""One file for each command; `aios_tui.cli.root` loads a file when its command is called."""
