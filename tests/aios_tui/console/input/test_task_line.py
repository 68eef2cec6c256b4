"""The quick line's language, by example and by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aios_tui.console.input.task_line import SIGNS, QuickError, accept, complete, parse, split
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
        ("mail a@b.c !9 #1 now", TaskSpec(prompt="mail a@b.c !9 #1 now")),
        ("hi there !0", TaskSpec(prompt="hi there", priority=0)),
        ("hi !0  @translate #qwen3:8b ", TaskSpec(prompt="hi", priority=0, agent="translate", model="qwen3:8b")),
        ("!1 hi #qwen3:8b", TaskSpec(prompt="hi", priority=1, model="qwen3:8b")),
        (r"hi there \!0", TaskSpec(prompt="hi there !0")),
        (r"ask \@x !3", TaskSpec(prompt="ask @x", priority=3)),
        (r"\@a \#b c \!d e \!0 \#1 !2", TaskSpec(prompt=r"@a #b c \!d e !0 #1", priority=2)),
        (r"say \\!0", TaskSpec(prompt=r"say \!0")),
        ("say !0 \\#1", TaskSpec(prompt="say !0 #1")),
        ("Bonjour ! Ça va !?", TaskSpec(prompt="Bonjour ! Ça va !?")),
        ("write it in C #", TaskSpec(prompt="write it in C #")),
        ("a !1 b", TaskSpec(prompt="a !1 b")),
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
        (" @zzz hi", "unknown agent 'zzz': known: chat, story_teller", (1, 5)),
        ("hi @zzz", "unknown agent 'zzz': known: chat", (3, 7)),
        ("fix bug #12", "unknown model '12': known: hf.co", (8, 11)),
        ("fix bug #12", r"; for text write \#12", (8, 11)),
        ("fix it !now", r"to 9, not 'now'; for text write \!now", (7, 11)),
        ("!1 hi !2", "the priority is given twice", (6, 8)),
        ("hi !2 !2", "the priority is given twice", (6, 8)),
        ("hi " + "!2 " * 9_000, "the priority is given twice", (26_994, 26_996)),
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
    with pytest.raises(QuickError, match="none are known yet; for text write"):
        parse("fix bug #12", AGENTS, ())


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


def plain_ends(text: str) -> bool:
    words = text.split()
    return bool(words) and words[0][0] not in "\\@!#" and words[-1][0] not in "\\@!#"


prompts = st.text(min_size=1, max_size=40).map(str.strip).filter(plain_ends)


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
    before = random.randint(0, len(parts))  # type: ignore[attr-defined]
    spec = parse(gap.join([*parts[:before], prompt, *parts[before:]]), AGENTS, MODELS)
    assert (spec.agent, spec.priority, spec.model) == (agent or "chat", 5 if priority is None else priority, model)
    assert spec.prompt == sanitise(prompt.replace("\r\n", "\n"))


@given(st.sampled_from("@!#"), prompts)
def test_a_backslash_makes_any_prompt_sayable(sign: str, prompt: str) -> None:
    assert parse(f"\\{sign}{prompt}", AGENTS, MODELS).prompt == sanitise((sign + prompt).replace("\r\n", "\n"))


@given(st.text(alphabet="@!# ab9\\", max_size=30))
def test_tokens_lie_where_they_say(line: str) -> None:
    found, start, end = split(line)
    assert 0 <= start <= end <= len(line)
    for token in found:
        text = line[token.start : token.end]
        assert SIGNS[text[0]] == token.kind
        assert text[1:] == token.word
        assert end <= token.start if token.trailing else token.end <= start
    prompt = line[start:end]
    assert prompt == prompt.strip()
    assert prompt[:1] not in SIGNS or prompt == ""


@given(st.text(alphabet="@!# ab9\\", max_size=30))
def test_any_prompt_can_be_written_with_backslashes(text: str) -> None:
    words = text.split()
    if not words:
        return
    signed = [word.lstrip("\\")[:1] in ("@", "!", "#") for word in words]
    first, last = (signed.index(False), signed[::-1].index(False)) if False in signed else (len(words), 0)
    ends = {*range(first), *range(len(words) - last, len(words))}
    line = " ".join("\\" + word if place in ends else word for place, word in enumerate(words))
    assert parse(f"!3 {line} @translate", AGENTS, MODELS).prompt == " ".join(words)


def test_completion_of_agents_and_models() -> None:
    assert _candidates("@", 1) == tuple("@" + name for name in AGENTS)
    assert _candidates("@s", 2) == ("@story_teller", "@summarise", "@tech_support_agent", "@translate")
    assert _candidates("@TECH", 5) == ("@tech_support_agent",)
    assert _candidates("!1 #sm", 6) == ("#smollm2:135m",)
    assert _candidates("@chat", 5) == ()
    assert _candidates("@nothing", 8) == ()
    assert _candidates("!", 1) == ()
    assert _candidates("hello @s", 8) == _candidates("@s", 2)
    assert _candidates("hello #sm !1", 9) == ("#smollm2:135m",)
    assert _candidates("hello @", 7) == tuple("@" + name for name in AGENTS)
    assert _candidates("hello @ ", 7) == ()
    assert _candidates("hello @s you", 8) == ()
    assert _candidates("a@", 2) == ()
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
        assert candidate[1:] in [token.word for token in split(text).tokens]
