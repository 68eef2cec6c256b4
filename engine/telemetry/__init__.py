"""How busy this machine is: processor, memory and, where there is one, the GPU."""

from engine.telemetry.gpu import GpuSample
from engine.telemetry.sampler import Telemetry, TelemetrySample

__all__ = ["GpuSample", "Telemetry", "TelemetrySample"]
