"""The quick line's language, by example and by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aios_tui.console.input.task_line import SIGNS, QuickError, accept, complete, parse, tokens
from engine.sanitise import sanitise
from engine.task import TaskSpec

AGENTS = ["chat", "story_teller", "summarise", "tech_support_agent", "translate"]
MODELS = ["qwen3:8b", "smollm2:135m", "hf.co/some/model:q4"]


def test_the_whole_of_it() -> None:
    spec = parse("@story_teller !2 #qwen3:8b Tell me a funny story", AGENTS, MODELS)
    assert spec == TaskSpec(prompt="Tell me a funny story", agent="story_teller", priority=2, model="qwen3:8b")


@pytest.mark.parametrize(
    ("line", "spec"),
    [
        ("hello", TaskSpec(prompt="hello")),
        ("  hello  there ", TaskSpec(prompt="hello  there")),
        ("!0 @chat hi", TaskSpec(prompt="hi", priority=0)),
        ("#hf.co/some/model:q4   hi", TaskSpec(prompt="hi", model="hf.co/some/model:q4")),
        ("@someone/translate hi", TaskSpec(prompt="hi", agent="someone/translate")),
        ("mail a@b.c !9 #1", TaskSpec(prompt="mail a@b.c !9 #1")),
        (r"\@home is where", TaskSpec(prompt="@home is where")),
        (r"!1 \# heading", TaskSpec(prompt="# heading", priority=1)),
        (r"\n is a newline", TaskSpec(prompt=r"\n is a newline")),
        ("[/foo] [@click=app.quit]x[/]", TaskSpec(prompt="[/foo] [@click=app.quit]x[/]")),
        ("\u3000日本語 🦢", TaskSpec(prompt="日本語 🦢")),
    ],
)
def test_what_lines_mean(line: str, spec: TaskSpec) -> None:
    assert parse(line, AGENTS, MODELS) == spec


@pytest.mark.parametrize(
    ("line", "message", "span"),
    [
        ("", "the prompt is missing", (0, 0)),
        ("@chat !3 ", "the prompt is missing", (9, 9)),
        ("@chta hi", "unknown agent 'chta': did you mean chat?", (0, 5)),
        (" @zzz hi", "unknown agent 'zzz': there are chat, story_teller", (1, 5)),
        ("@ hi", "@ takes the name of an agent", (0, 1)),
        ("# heading", "# takes the name of a model", (0, 1)),
        ("#qwen3:9b hi", "unknown model 'qwen3:9b': did you mean qwen3:8b?", (0, 9)),
        ("!10 hi", "from 0, most urgent, to 9, not '10'", (0, 3)),
        ("!² hi", "from 0, most urgent, to 9, not '²'", (0, 2)),
        ("! hi", "! takes a priority from 0", (0, 1)),
        ("!1 !2 hi", "the priority is given twice", (3, 5)),
        ("@chat @chat hi", "the agent is given twice", (6, 11)),
    ],
)
def test_what_is_wrong_and_where(line: str, message: str, span: tuple[int, int]) -> None:
    with pytest.raises(QuickError) as caught:
        parse(line, AGENTS, MODELS)
    assert message in str(caught.value)
    assert (caught.value.start, caught.value.end) == span


def test_models_are_taken_as_they_are_while_none_are_known() -> None:
    assert parse("#anything hi", AGENTS, ()).model == "anything"
    with pytest.raises(QuickError, match="none are known yet"):
        parse("@chat hi", (), ())


@given(st.text(max_size=60))
def test_any_text_is_a_task_or_a_clear_error(line: str) -> None:
    try:
        spec = parse(line, AGENTS, MODELS)
    except QuickError as error:
        assert 0 <= error.start <= error.end <= len(line)
        assert str(error).isprintable()
    else:
        assert spec.prompt.strip()
        assert spec.agent.rpartition("/")[2] in AGENTS
        assert spec.model is None or spec.model in MODELS


prompts = st.text(min_size=1, max_size=40).map(str.strip).filter(lambda text: bool(text) and text[0] not in r"\@!#")


@given(
    prompts,
    st.none() | st.sampled_from(AGENTS),
    st.none() | st.integers(0, 9),
    st.none() | st.sampled_from(MODELS),
    st.randoms(use_true_random=False),
    st.sampled_from([" ", "  ", "\t"]),
)
def test_tokens_in_any_order_mean_the_same(
    prompt: str, agent: str | None, priority: int | None, model: str | None, random: object, gap: str
) -> None:
    parts = [f"{sign}{v}" for sign, v in zip("@!#", (agent, priority, model), strict=True) if v is not None]
    random.shuffle(parts)  # type: ignore[attr-defined]
    spec = parse(gap.join([*parts, prompt]), AGENTS, MODELS)
    assert (spec.agent, spec.priority, spec.model) == (agent or "chat", 5 if priority is None else priority, model)
    assert spec.prompt == sanitise(prompt.replace("\r\n", "\n"))


@given(st.sampled_from("@!#"), prompts)
def test_a_backslash_makes_any_prompt_sayable(sign: str, prompt: str) -> None:
    assert parse(f"\\{sign}{prompt}", AGENTS, MODELS).prompt == sanitise((sign + prompt).replace("\r\n", "\n"))


@given(st.text(alphabet="@!# ab9\\", max_size=30))
def test_tokens_lie_where_they_say(line: str) -> None:
    found, at = tokens(line)
    assert 0 <= at <= len(line)
    for token in found:
        text = line[token.start : token.end]
        assert SIGNS[text[0]] == token.kind
        assert text[1:] == token.word
        assert token.end <= at
    assert line[at : at + 1].strip() == line[at : at + 1]
    assert line[at : at + 1] not in SIGNS or at == len(line)


def test_completion_of_agents_and_models() -> None:
    assert _candidates("@", 1) == tuple("@" + name for name in AGENTS)
    assert _candidates("@s", 2) == ("@story_teller", "@summarise", "@tech_support_agent", "@translate")
    assert _candidates("@TECH", 5) == ("@tech_support_agent",)
    assert _candidates("!1 #sm", 6) == ("#smollm2:135m",)
    assert _candidates("@chat", 5) == ()
    assert _candidates("@nothing", 8) == ()
    assert _candidates("!", 1) == ()
    assert _candidates("hello @s", 8) == ()
    assert _candidates("@s hello", 8) == ()
    assert _candidates("@s", 0) == ()


def _candidates(line: str, cursor: int) -> tuple[str, ...]:
    completion = complete(line, cursor, AGENTS, MODELS)
    return completion.candidates if completion else ()


def test_accepting_a_candidate() -> None:
    completion = complete("!1 @st tell", 6, AGENTS, MODELS)
    assert completion is not None
    assert accept("!1 @st tell", completion, "@story_teller") == ("!1 @story_teller tell", 17)


@given(st.text(alphabet="@# sct:q", max_size=12), st.integers(0, 12))
def test_what_is_accepted_is_a_good_token(line: str, cursor: int) -> None:
    completion = complete(line, cursor, AGENTS, MODELS)
    if completion is None:
        return
    for candidate in completion.candidates:
        text, at = accept(line, completion, candidate)
        assert text[:at].endswith(candidate + " ")
        assert candidate[1:] in [token.word for token in tokens(text)[0]]
