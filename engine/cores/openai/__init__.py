"""Servers that speak OpenAI's chat protocol. The official client is an extra, imported where a core is made."""
