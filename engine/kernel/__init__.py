"""The async kernel: takes tasks, schedules their syscalls onto cores, tells what happens."""
