"""Agents: the programs that execute tasks, and their catalogue."""
