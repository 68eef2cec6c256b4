"""Reports of replays: numbers, Markdown, JSON, CSV, figures, and plots in the terminal."""
