"""How a validator of the models says what is wrong and how to mend it. Next step: `policy.parse` tells people."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic_core import PydanticCustomError

KIND = "bulkhead"


def refusal(message: str, remedy: str = "", at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """An error with a remedy. `at` goes on from where the validator sits, for checks across fields."""
    context: dict[str, Any] = {"message": message, "remedy": remedy, "at": at}
    return PydanticCustomError(KIND, "{message}", context)


def did_you_mean(word: str, known: list[str]) -> str:
    """A remedy that names the nearest known word, or all of a few."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"one of {', '.join(known)}" if len(known) <= 16 else ""
