"""Workloads: lists of tasks with arrival times, as files; read, written, imported, made up, shaped and summed up."""
