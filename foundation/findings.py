"""What a look at the machine found, and what to do about it."""

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found. `advice`: what to do about it, empty if there is nothing to do."""

    subject: str
    verdict: Verdict
    text: str
    advice: str = ""


def good(subject: str, text: str) -> Finding:
    return Finding(subject, Verdict.GOOD, text)


def warning(subject: str, text: str, advice: str) -> Finding:
    return Finding(subject, Verdict.WARNING, text, advice)


def bad(subject: str, text: str, advice: str) -> Finding:
    return Finding(subject, Verdict.BAD, text, advice)
