"""Cores execute llm syscalls, behind one narrow port (`port.py`)."""
