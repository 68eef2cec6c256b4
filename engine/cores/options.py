"""Options that a task may ask for, and what each kind of core does with them.

No option is ignored silently. A core that cannot honour one refuses the attempt if the answer would have another form
(`think`, `format`, tools …); otherwise it runs the attempt and reports once that it ignores the option. docs/cores.md
has the table. An option that the agent set and the task did not (`Attempt.dispensable`) is left out instead, since an
agent has to run on cores that lack it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from engine.cores.port import Attempt, Fault, FaultKind, Message

HARMLESS = frozenset({"temperature", "seed", "top_k", "top_p", "min_p", "repeat_penalty", "num_ctx", "keep_alive"})
"""A core that lacks one of these ignores it with a notice: the answer keeps its form. It refuses all others."""


class OptionCheck:
    """Compares attempts with what one core can do. `notify` gets each notice, one line, once an option."""

    def __init__(self, core: str, notify: Callable[[str], None]) -> None:
        self._core, self._notify = core, notify
        self._noticed: set[str] = set()

    def admit(self, attempt: Attempt, lacking: Mapping[str, str]) -> Attempt | Fault:
        """Return the attempt as the core can run it, or the fault that refuses it.

        `lacking`: the options that the core cannot honour, each with the reason. Those of them that the attempt sets
        are cleared when they are dispensable or harmless; `think = false` is harmless, too.
        """
        values = {option: getattr(attempt if option == "tools" else attempt.options, option) for option in lacking}
        asked = [option for option, value in values.items() if value not in (None, ())]
        needed = [option for option in asked if option not in attempt.dispensable]
        for option in needed:
            if option not in HARMLESS and values[option] is not False:
                reason = f"core {self._core} cannot honour the option {option}: {lacking[option]}"
                advice = "leave it out, or choose another core"
                return Fault(FaultKind.BAD_REQUEST, f"{reason}; {advice}", retryable=False)
        for option in needed:
            if option not in self._noticed:
                self._noticed.add(option)
                self._notify(f"core {self._core} ignores the option {option}: {lacking[option]}")
        options = attempt.options.model_copy(update=dict.fromkeys(asked)) if asked else attempt.options
        return replace(attempt, options=options)


def messages_of(attempt: Attempt) -> tuple[Message, ...]:
    """The messages that `endpoint` lets through: `chat` all, `generate` the first system message and the last message,
    `raw` the last message.
    """
    endpoint, messages = attempt.options.endpoint, attempt.messages
    if endpoint in (None, "chat"):
        return messages
    system = [each for each in messages[:-1] if each.role == "system"][:1] if endpoint == "generate" else []
    return (*system, *messages[-1:])
