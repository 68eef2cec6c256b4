"""Server-sent events, read with bounds: the frames that an OpenAI-compatible server streams its answer in.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. The official client's own decoder (3.54) reads
lines of any length, replaces invalid UTF-8 silently, and does not distinguish a stream that ended from a cut one.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from engine.cores.http import WireError, decoded, start_of, whole_lines

FRAME_CAP = 4 << 20


async def frames(source: AsyncIterable[bytes], line_cap: int, frame_cap: int = FRAME_CAP) -> AsyncIterator[str]:
    """Yield the data of each event. Comments, other fields and events without data are passed over.

    Raises WireError: a line or an event is too long, or is not UTF-8, or the stream broke off inside one.
    """
    data: list[str] = []
    size, first = 0, True
    async for line in whole_lines(source, line_cap):
        complete = line.endswith(b"\n")
        content = line.rstrip(b"\r\n")
        if first:
            content, first = content.removeprefix(b"\xef\xbb\xbf"), False
        if content.startswith(b"data:") and complete:
            text = decoded(content[5:].removeprefix(b" "), "a line")
            size += len(text) + 1  # an empty one takes room, too
            if size > frame_cap:
                raise WireError(f"an event is longer than {frame_cap} characters")
            data.append(text)
        elif not complete:
            raise WireError(f"the stream broke off in the middle of a line: {start_of(content)}", cut=True)
        elif not content and data:
            yield "\n".join(data)
            data, size = [], 0
    if data:  # some servers leave the last blank line out
        yield "\n".join(data)
