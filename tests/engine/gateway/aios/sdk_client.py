"""AIOS's concurrent client with the real SDK: `python sdk_client.py URL COUNT MODEL`, in the SDK's environment.

Threads, each with a client of its own, named in the address: five setup posts, factory, submit, poll with a limit of
ten seconds, cleanup.
Prints a JSON line a client. Not part of the suite's imports: the SDK is not in our environment.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time

TASKS = (
    ("example/story_teller", "Tell me a funny story about a robot"),
    ("example/tech_support_agent", "My computer won't turn on"),
)


def main() -> None:
    url, count, model = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    sdk = importlib.import_module("cerebrum.client")
    layers = {
        name: getattr(importlib.import_module(f"cerebrum.{module}.layer"), name)
        for name, module in (
            ("LLMLayer", "llm"),
            ("StorageLayer", "storage"),
            ("MemoryLayer", "memory"),
            ("ToolLayer", "tool"),
            ("OverridesLayer", "overrides"),
        )
    }
    printing = threading.Lock()

    def one(number: int) -> None:
        agent, task = TASKS[number % len(TASKS)]
        began = time.monotonic()
        client = sdk.Cerebrum(base_url=url.replace("://", f"://thread-{number}:@"))
        try:
            client.add_llm_layer(layers["LLMLayer"](llm_name=model, llm_backend="ollama", max_new_tokens=64))
            client.add_storage_layer(layers["StorageLayer"](root_dir="root"))
            client.add_memory_layer(layers["MemoryLayer"](memory_limit=104857600))
            client.add_tool_layer(layers["ToolLayer"]())
            client.override_scheduler(layers["OverridesLayer"](max_workers=32))
            client.setup_agent_factory(layers["OverridesLayer"](max_workers=32))
            submitted = client.execute(agent, {"task": f"{task} ({number})"})
            outcome = {"result": client.poll_agent(submitted["execution_id"], timeout=10)}
        except Exception as error:  # noqa: BLE001  (whatever the SDK raises is what its user would see)
            outcome = {"error": f"{type(error).__name__}: {error}"}
        finally:
            client.cleanup()
        with printing:
            print(json.dumps({"client": number, "agent": agent, "s": round(time.monotonic() - began, 2), **outcome}))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
