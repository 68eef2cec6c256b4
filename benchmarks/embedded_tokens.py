"""Tokens a second of the embedded model: through the kernel and through its core, beside xllamacpp called directly.

`python -m benchmarks.embedded_tokens [--tokens 128] [--rounds 5]`

All have the same weights in this process, with the same threads and context, and take turns at the same prompts, so
that whatever else the machine does meets all alike. A round's figure is tokens over the wall time of the whole
attempt, reading the prompt included; through the kernel it is from `submit` to the end of `wait`, with a history on
disk. The ratio that counts is the median over rounds of the ratio within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from engine.agents.protocol import AgentContext, AgentResult
from engine.cores.embedded import weights
from engine.cores.embedded.core import EmbeddedCore, available, default_threads
from engine.cores.port import Attempt, Chunk, Done, Message
from engine.kernel import Kernel
from engine.scheduling import parse_policy
from engine.task import GenerationOptions, TaskSpec, TaskState
from persistence.store import SqliteStore

N_CTX = 4096
SUBJECTS = ("the sea", "bread", "windmills", "letters", "the moon", "bridges", "salt", "clocks")


@dataclass(frozen=True, slots=True)
class Sample:
    """The result of one attempt, in seconds of wall time."""

    tokens: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds


Contestant = Callable[[str, int], Awaitable[Sample]]
"""Runs a prompt for at most so many tokens."""


def through_core(core: EmbeddedCore) -> Contestant:
    async def run(prompt: str, tokens: int) -> Sample:
        options = GenerationOptions(max_tokens=tokens, temperature=0.2, seed=7)
        attempt = Attempt(1, 1, 1, (Message("user", prompt),), options=options)
        begin = time.perf_counter()
        last: object = None
        async for item in core.run(attempt, core.slots()[0]):
            last = item
            assert isinstance(item, Chunk | Done), item
        assert isinstance(last, Done), last
        return Sample(last.usage.tokens_out, time.perf_counter() - begin)

    return run


def bare(server: Any) -> Contestant:
    async def run(prompt: str, tokens: int) -> Sample:
        request = {
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": tokens,
            "temperature": 0.2,
            "seed": 7,
        }
        used: list[int] = []

        def on_chunk(chunk: dict[str, Any]) -> bool:
            if "usage" in chunk:
                used.append(chunk["usage"]["completion_tokens"])
            return False

        begin = time.perf_counter()
        server.handle_chat_completions(request, on_chunk)
        return Sample(used[-1], time.perf_counter() - begin)

    return run


def bare_server(folder: str, threads: int) -> Any:
    """xllamacpp as one would call it by hand; only context and threads are set, to the same as the core's."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = os.fspath(weights.find())
    params.hostnames = [os.path.join(folder, "s.sock")]  # noqa: PTH118  (a string is wanted)
    params.n_ctx = N_CTX
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    return xllamacpp.Server(params)


class Plain:
    """The agent of the kernel's turn: it asks just what the others ask."""

    name = "plain"
    description = "one round, the prompt as it is"
    round_total = 1

    async def run(self, ctx: AgentContext) -> AgentResult:
        reply = await ctx.llm(ctx.spec.prompt)
        return {"agent_name": self.name, "result": reply.text, "rounds": 1}


class JustPlain:
    def get(self, name: str) -> Plain:
        assert name == Plain.name, name
        return Plain()


def through_kernel(kernel: Kernel) -> Contestant:
    async def run(prompt: str, tokens: int) -> Sample:
        options = GenerationOptions(max_tokens=tokens, temperature=0.2, seed=7)
        begin = time.perf_counter()
        task = await kernel.wait(await kernel.submit(TaskSpec(prompt=prompt, agent=Plain.name, options=options)))
        assert task.state is TaskState.DONE, task.error
        return Sample(task.tokens_out, time.perf_counter() - begin)

    return run


async def measure(contestants: dict[str, Contestant], rounds: int, tokens: int) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(-1, rounds):  # round -1 warms up
        prompt = f"Write a long essay about the history of {SUBJECTS[number % len(SUBJECTS)]}."
        for name in names:
            sample = await contestants[name](prompt, tokens)
            if number >= 0:
                samples[name].append(sample)
        names.reverse()
    return samples


def report(samples: dict[str, list[Sample]], reference: str) -> None:
    for name, own in samples.items():
        rates = sorted(sample.rate for sample in own)
        ratio = median(a.rate / b.rate for a, b in zip(own, samples[reference], strict=True))
        tokens = sum(sample.tokens for sample in own)
        print(
            f"{name:12} median {median(rates):6.1f} tok/s, {rates[0]:.1f} to {rates[-1]:.1f}, "
            f"{tokens} tokens in {len(own)} rounds, ratio to {reference} {ratio:.3f}"
        )


async def main(rounds: int, tokens: int) -> None:
    core = EmbeddedCore(n_ctx=N_CTX)
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "history.db", program="benchmark")
        kernel = Kernel(cores=[core], store=store, agents=JustPlain(), policy=parse_policy("fifo"))
        await store.open()
        await kernel.start()
        try:
            server = bare_server(folder, default_threads())
            contestants = {"bare": bare(server), "core": through_core(core), "kernel": through_kernel(kernel)}
            samples = await measure(contestants, rounds, tokens)
            version = (await core.inspect()).version
        finally:
            await kernel.stop()
            await store.close()
    print(f"{version}, {weights.MODEL}, {default_threads()} thread(s), {os.cpu_count()} processors")
    report(samples, "bare")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128)
    arguments = parser.parse_args()
    if reason := available():
        parser.exit(1, f"{reason}\n")
    asyncio.run(main(arguments.rounds, arguments.tokens))
