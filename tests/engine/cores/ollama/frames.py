"""The records of an Ollama server: its streams, its pulls and its models."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from tests.engine.cores.helpers import Final, Json, Progress, Request, Say, Status, Step

NOW = "2026-11-22T15:21:16.433760208Z"
NDJSON, TEXT = "application/x-ndjson", "text/plain"
_ticks = count(1)
LAYER = "pulling b179c9523d0e"
FETCHED = (Progress("verifying sha256 digest"), Progress("writing manifest"), Progress("success"))
"""The last line of a successful pull."""


def fetch(size: int, steps: int = 4) -> tuple[Step, ...]:
    """A whole good pull of a model of one layer."""
    parts = (Progress(LAYER, size * n // steps, size) for n in range(steps + 1))
    return (Progress("pulling manifest"), *parts, *FETCHED)


NO_MANIFEST = "pull model manifest: file does not exist"


@dataclass(slots=True)
class FakeModel:
    """A model the server has. `capabilities` None: an older server, which does not tell in its list."""

    name: str
    size: int = 98_362_793
    capabilities: tuple[str, ...] | None = ("completion",)
    shown_capabilities: tuple[str, ...] | None = ("completion",)
    expires_at: str = "2026-11-22T15:26:16.788112079Z"
    size_vram: int = 98_362_432

    def details(self) -> Json:
        return {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
                "parameter_size": "134.52M", "quantization_level": "Q4_1"}  # fmt: skip

    def tag(self) -> Json:
        tag = {"name": self.name, "model": self.name, "modified_at": NOW, "size": self.size, "digest": "b" * 64,
               "details": {**self.details(), "context_length": 8192, "embedding_length": 576}}  # fmt: skip
        return tag if self.capabilities is None else {**tag, "capabilities": list(self.capabilities)}

    def process(self) -> Json:
        return {"name": self.name, "model": self.name, "size": 98_362_432, "digest": "b" * 64,
                "details": self.details(), "expires_at": self.expires_at, "size_vram": self.size_vram,
                "context_length": 2048}  # fmt: skip

    def show(self) -> Json:
        shown: Json = {
            "modelfile": f"FROM {self.name}\n",
            "parameters": "temperature                    0.2",
            "template": "{{ .Prompt }}",
            "details": self.details(),
            "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
            "tensors": [{"name": "output_norm.weight", "type": "F32", "shape": [576]}],
        }
        if self.shown_capabilities is not None:
            shown["capabilities"] = list(self.shown_capabilities)
        return {**shown, "modified_at": NOW}


def record(request: Request, step: Say | Final, script: tuple[Step, ...]) -> Json:
    """One record of a stream, with the keys in Ollama's order."""
    if request.path == "/api/chat":
        message: Json = {"role": "assistant", "content": step.text}
        if isinstance(step, Say) and step.thinking:
            message["thinking"] = step.thinking
        if isinstance(step, Say) and step.calls:
            message["tool_calls"] = [_call(*call) for call in step.calls]
        payload: Json = {"message": message}
    else:
        payload = {"response": step.text}
        if isinstance(step, Say) and step.thinking:
            payload["thinking"] = step.thinking
    record = {"model": request.body["model"], "created_at": _moment(), **payload, "done": isinstance(step, Final)}
    if not isinstance(step, Final):
        return record
    record["done_reason"] = step.reason
    if request.path == "/api/generate":
        record["context"] = [1, 4093, 198]
    spoken = sum(isinstance(s, Say) for s in script)
    statistics = {"total_duration": 254_893_240, "load_duration": 2_838_341, "prompt_eval_count": 13,
                  "prompt_eval_duration": 121_783_000, "eval_count": spoken, "eval_duration": 117_981_000}  # fmt: skip
    return record | {name: value for name, value in (statistics | step.statistics).items() if value}


def _call(name: str, arguments: Json, id: str = "") -> Json:
    """With the id first, as newer servers send it."""
    return {**({"id": id} if id else {}), "function": {"name": name, "arguments": arguments}}


def _moment() -> str:
    """The server's clock: a microsecond later each time it is asked."""
    return f"2026-11-22T15:21:{next(_ticks) / 1e6:012.9f}Z"


def not_found(request: Request) -> Status:
    return Status(404, f"model '{request.body.get('model', '')}' not found")
