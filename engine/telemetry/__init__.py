"""Measure this machine (processor, memory, GPUs) and export the kernel's measurements."""

from engine.telemetry.gpu import GpuProcess, GpuSample
from engine.telemetry.sampler import Telemetry, TelemetrySample

__all__ = ["GpuProcess", "GpuSample", "Telemetry", "TelemetrySample"]
