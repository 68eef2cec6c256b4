"""The kernel of aios-tui: scheduling, cores, agents, telemetry. Knows neither Textual nor SQL."""
