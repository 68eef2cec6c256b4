"""A key is nowhere but on the wire: not in what is shown, logged or kept, also when the server says it back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cores.openai.core import OpenAICore
from engine.cores.openai.presets import load_presets
from engine.cores.port import Attempt, Message
from engine.errors import CoreError
from tests.aios_tui.cli.conftest import cli, no_process_left  # noqa: F401  (fixtures)
from tests.aios_tui.cli.helpers import Here
from tests.engine.cores.helpers import Final, InThread, MidstreamError, Raw, Say, Script, Status, dump
from tests.engine.cores.ollama.test_core import states
from tests.engine.cores.openai.fake_server import FakeOpenAI, event, refusal

MODEL = "tiny"
KEY = "sk-proj-4f1c9b7e2a5d80361b2c"
PIECES = [KEY[i : i + 8] for i in range(len(KEY) - 7)]
ECHOES: list[Script] = [
    refusal(401, f"Incorrect API key provided: {KEY}. Find yours in your account."),
    refusal(401, f"Incorrect API key provided: {KEY[:9]}****{KEY[-8:]}."),
    refusal(403, f"Bearer {KEY} may not do this"),
    refusal(429, f"Rate limit reached for {KEY}"),
    refusal(500, f"in {{'authorization': 'Bearer {KEY}'}}"),
    refusal(404, f"The model `tiny` does not exist for {KEY}", code="model_not_found"),
    Status(502, f"<html>{KEY}</html>".encode()),
    Status(302, "", (("Location", f"http://127.0.0.1:9/?key={KEY}"),)),
    (MidstreamError({"message": f"who is {KEY}?"}),),
    (MidstreamError(KEY),),
    (Raw(event(f"oops {KEY}".encode())), Final()),
    (Raw(f"data: {KEY}".encode()),),
    (Raw(event({KEY: 1, "choices": [{"delta": {"content": 5}}]})), Final()),
    (Say(f"your key is {KEY}, I think"), Final()),
    (Raw(event({"model": KEY, "choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]})),),
    (Say("fine"), Final()),
]


def hidden(text: str) -> bool:
    return not any(piece in text for piece in PIECES)


async def test_whatever_a_server_says_the_key_is_not_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx", "httpcore", "asyncio", "engine"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    seen: list[object] = []
    async with FakeOpenAI(MODEL, key=KEY) as fake:
        listed = [{"id": MODEL, "owned_by": KEY}, {"id": f"{MODEL}-{KEY}"}]
        fake.overrides["/v1/models"] = Status(200, dump({"data": listed}))
        preset = load_presets()["openai"]
        core = OpenAICore(name="lab", base_url=fake.url, key=KEY, preset=preset, default_model=MODEL, backoff=(9, 9))
        await core.start()
        listening = asyncio.create_task(states(core, "down"))
        for number, script in enumerate(ECHOES):
            fake.scripts.append(script)
            one = Attempt(number, 1, 1, (Message("user", "hello"),))
            seen += [item async for item in core.run(one, core.slots()[0])]
            seen += [core.slots(), await core.inspect()]
        seen += [await listening, core, vars(core), core._connection, vars(core._connection)]
        await core.stop(drain_s=0)
        assert len(fake.chats()) == len(ECHOES)
        assert {request.headers["authorization"] for request in fake.requests} == {f"Bearer {KEY}"}
    assert hidden(repr(seen))
    # What a server sent is httpcore's to log, at a level that the program never turns on for it.
    logged = [each.getMessage() for each in caplog.records if "receive_response_headers" not in each.getMessage()]
    assert len(logged) > 10 * len(ECHOES)
    assert hidden("\n".join(logged))


async def test_a_refusal_at_the_start_does_not_tell_the_key() -> None:
    async with FakeOpenAI(MODEL, key="another") as fake:  # it says what it was sent
        core = OpenAICore(name="lab", base_url=fake.url, key=KEY, key_env="LAB_KEY")
        with pytest.raises(CoreError, match="LAB_KEY") as caught:
            await core.start()
    assert hidden(str(caught.value))


@pytest.fixture
def there() -> Iterator[InThread]:
    server = FakeOpenAI(MODEL, key=KEY)
    with InThread(server) as there:
        yield there


def test_the_whole_program_keeps_it_to_itself(cli: Here, there: InThread) -> None:  # noqa: F811
    folder = cli.folder / "config" / "aios-tui"
    folder.mkdir(parents=True)
    keys = folder / "keys.toml"
    keys.touch(0o600)
    keys.write_text(f'LAB_KEY = "{KEY}"\n', encoding="utf-8")
    settings = (
        f'log_level = "debug"\n[cores.lab]\nkind = "openai"\nurl = "http://{there.server.host}"\nkey_env = "LAB_KEY"\n'
    )
    (folder / "config.toml").write_text(settings, encoding="utf-8")
    there.server.scripts += [refusal(400, f"no: {KEY}"), (Say("one"), MidstreamError(f"no: {KEY}")), refusal(401, KEY)]
    done = cli("run", "--core", "lab", "--json", "first")
    assert "[key]" in done.out, done
    reported = [done, cli("run", "--core", "lab", "second"), cli("run", "--core", "lab", "third"), cli("settings")]
    reported += [cli(name, "--core", "lab") for name in ("models", "doctor")] + [cli("history", "list"), cli("cores")]
    assert hidden(repr(reported))
    kept = [path for path in cli.folder.rglob("*") if path.is_file() and path != keys]
    assert {path.suffix for path in kept} >= {".sqlite3", ".log"}
    for path in kept:
        assert hidden(path.read_bytes().decode("latin-1")), path
    assert Path(keys).stat().st_mode & 0o077 == 0
