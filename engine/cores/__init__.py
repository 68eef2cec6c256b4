"""What executes llm syscalls, behind one narrow port (`port.py`)."""
