"""`python -m aios_tui` is `aios-tui`."""

from aios_tui.cli import main

if __name__ == "__main__":
    main()
