"""The async kernel: accepts tasks, schedules their llm syscalls onto cores, publishes events."""

from engine.kernel.config import KernelConfig
from engine.kernel.event_bus import Subscription
from engine.kernel.kernel import Kernel
from engine.kernel.task_run import SyscallFailed

__all__ = ["Kernel", "KernelConfig", "Subscription", "SyscallFailed"]
