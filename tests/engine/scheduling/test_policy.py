"""Policy names: what is read, how it is written back, and what is refused."""

from __future__ import annotations

import pkgutil

import pytest

from engine.errors import UsageError
from engine.scheduling import parse_policies, parse_policy, policies, policy_names, with_affinity_of


def test_every_file_of_the_folder_is_registered_under_its_name() -> None:
    """So a policy is one more file there, and a test file of its own here; no list of policies has to be changed."""
    files = sorted(module.name for module in pkgutil.iter_modules(policies.__path__))
    assert {"fifo", "npps"} <= set(files) <= set(policy_names())


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
        ("fifo:affinity=8", "fifo:affinity=8"),
        ("NPPS: Affinity = 8", "npps:affinity=8"),
        ("npps:affinity=8,ageing=60", "npps:ageing=60,affinity=8"),
        ("npps:affinity_s=30", "npps:affinity_s=30"),
        ("npps:affinity_s=0.25,affinity=3", "npps:affinity=3,affinity_s=0.25"),
        ("npps:affinity=1000000,affinity_s=inf", "npps:affinity=1000000"),
        ("npps:affinity=inf,affinity_s=inf", "npps"),
        ("npps:affinity=0", "npps"),
        ("fifo:affinity=0,affinity_s=30", "fifo"),
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
        ("no-such-policy", "choose one of fifo, "),
        ("npps:ageing", "key=number"),
        ("npps:ageing=soon", "key=number"),
        ("npps:ageing=nan", "key=number"),
        ("npps:ageing=-1", "from 0 to 1e9"),
        ("npps:ageing=-inf", "from 0 to 1e9"),
        ("npps:ageing=1e308", "from 0 to 1e9"),
        ("npps:speed=1", "no parameter speed"),
        ("fifo:ageing=1", "no parameter ageing"),
        ("fifo:affinity=-1", "whole number of passes"),
        ("fifo:affinity=1.5", "whole number of passes"),
        ("fifo:affinity=-inf", "whole number of passes"),
        ("fifo:affinity=2000000", "from 0 to 1000000"),
        ("fifo:affinity=many", "key=number"),
        ("npps:affinity_s=-1", "number of seconds"),
        ("npps:affinity_s=-inf", "number of seconds"),
        ("npps:affinity_s=1e300", "from 0 to 1e9"),
        ("npps:affinity_m=1", "no parameter affinity_m"),
        ("affinity=8", "unknown policy"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        parse_policy(text)
    assert "\n" not in str(error.value)


def test_a_list_of_policies_has_their_parameters_with_them() -> None:
    names = [policy.name for policy in parse_policies("fifo, npps:ageing=60, affinity=8,npps:affinity_s=30,npps")]
    assert names == ["fifo", "npps:ageing=60,affinity=8", "npps:affinity_s=30", "npps"]
    assert [policy.name for policy in parse_policies("npps, affinity=8,ageing=60,fifo")] == [
        "npps:ageing=60,affinity=8",
        "fifo",
    ]


@pytest.mark.parametrize("text", ["", "fifo,", "affinity=8,fifo", ",fifo"])
def test_a_list_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="unknown policy"):
        parse_policies(text)


@pytest.mark.parametrize(
    ("other", "inner", "name"),
    [
        ("fifo", "npps", "npps"),
        ("fifo:affinity=3", "npps:ageing=60", "npps:ageing=60,affinity=3"),
        ("npps:affinity_s=5", "fifo:affinity=9", "fifo:affinity_s=5"),
        ("npps:ageing=9", "fifo:affinity=9", "fifo"),
    ],
)
def test_a_policy_with_the_affinity_of_another(other: str, inner: str, name: str) -> None:
    assert with_affinity_of(parse_policy(other), parse_policy(inner)).name == name
