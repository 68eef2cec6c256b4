from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from persistence import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "history.db", program="test", version="1.2")
    await store.open()
    yield store
    await store.close()
