"""Workload files: tasks with arrival times. Read, write, import, generate, transform and summarise them."""
