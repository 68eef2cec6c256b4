"""Run `python -m aios_tui` as `aios-tui`."""

from aios_tui.cli import main

if __name__ == "__main__":
    main()
