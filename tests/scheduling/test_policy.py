"""Policy names: what is read, how it is written back, and what is refused."""

from __future__ import annotations

import pytest

from engine.errors import UsageError
from engine.scheduling import parse_policy, policy_names


def test_the_registry_has_what_the_folder_has() -> None:
    assert policy_names() == ["fifo", "npps"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fifo", "fifo"),
        ("NPPS", "npps"),
        (" npps ", "npps"),
        ("npps:ageing=60", "npps:ageing=60"),
        ("npps:ageing=0.5", "npps:ageing=0.5"),
        ("npps:ageing=86400", "npps:ageing=86400"),
        ("npps:ageing=1234567.5", "npps:ageing=1234567.5"),
        ("npps:ageing=inf", "npps"),
    ],
)
def test_a_name_is_read_and_its_canonical_form_reads_back(text: str, name: str) -> None:
    policy = parse_policy(text)
    assert policy.name == name
    assert parse_policy(policy.name) == policy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "unknown policy"),
        ("lifo", "fifo, npps"),
        ("npps:ageing", "key=number"),
        ("npps:ageing=soon", "key=number"),
        ("npps:ageing=nan", "key=number"),
        ("npps:ageing=-1", "from 0 to 1e9"),
        ("npps:ageing=-inf", "from 0 to 1e9"),
        ("npps:ageing=1e308", "from 0 to 1e9"),
        ("npps:speed=1", "no parameter speed"),
        ("fifo:ageing=1", "no parameter ageing"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        parse_policy(text)
    assert "\n" not in str(error.value)
