"""Ollama servers. `core` needs the official client; it is imported where such a core is made."""
