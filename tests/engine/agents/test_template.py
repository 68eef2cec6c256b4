"""Templates: what they take, what they refuse, and that inserted text stays text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agents.template import parse

NAMES = {"plan": 0, "draft": 1}

tricky = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            ["{prompt}", "{reply}", "{replies[0]}", "{round.plan}", "{{", "}}", "{", "}", "\\1", "$task", "%s"]
        ),
        max_size=8,
    ).map("".join),
)


@given(prompt=tricky, replies=st.tuples(tricky, tricky))
def test_inserted_text_is_never_expanded(prompt: str, replies: tuple[str, str]) -> None:
    template = parse("a{prompt}b{reply}c{replies[0]}d{round.plan}e{task}{{f}}", 2, NAMES)
    first, last = replies
    assert template.render(prompt, replies) == f"a{prompt}b{last}c{first}d{first}e{prompt}" + "{f}"


@given(text=st.text(alphabet=st.characters(exclude_characters="{}"), max_size=200))
def test_text_without_braces_is_kept(text: str) -> None:
    assert parse(text, 0, {}).render("p", []) == text


@given(text=st.text(max_size=60))
def test_doubled_braces_give_any_text_back(text: str) -> None:
    assert parse(text.replace("{", "{{").replace("}", "}}"), 0, {}).render("p", []) == text


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("{}", "unknown placeholder {}"),
        ("{promt}", "unknown placeholder {promt}"),
        ("{prompt.__class__}", "unknown placeholder"),
        ("{prompt!r}", "unknown placeholder"),
        ("{prompt:>999999999}", "unknown placeholder"),
        ("{ prompt }", "unknown placeholder"),
        ("{replies[-1]}", "unknown placeholder"),
        ("{replies[0].text}", "unknown placeholder"),
        ("{0}", "unknown placeholder"),
        ("{round.nobody}", "no round is named 'nobody'"),
        ("{round.draft}", "has not run by then"),
        ("{replies[1]}", "has not run by then"),
        ("a { b", "a single '{'"),
        ("a } b", "a single '}'"),
        ("{prompt{reply}}", "a single '{'"),
    ],
)
def test_what_is_refused(text: str, reported: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text, 1, NAMES)
    assert reported in str(caught.value)


def test_the_first_round_has_no_reply() -> None:
    with pytest.raises(ValueError, match="there is no reply yet"):
        parse("{reply}", 0, {})
