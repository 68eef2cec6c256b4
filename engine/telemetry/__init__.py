"""How busy this machine is: processor, memory and, where there is one, the GPU."""

from engine.telemetry.gpu import GpuProcess, GpuSample
from engine.telemetry.sampler import Telemetry, TelemetrySample

__all__ = ["GpuProcess", "GpuSample", "Telemetry", "TelemetrySample"]
