"""How long to wait before trying again: exponential with full jitter. Pure."""

from collections.abc import Callable


class Backoff:
    """Each wait is drawn from 0 to a bound that doubles from `base_s` up to `cap_s`.

    Full jitter spreads what lost the same peer at the same moment over the whole interval. `draw` returns a
    number from 0 to 1, as `random.random` does.
    """

    def __init__(self, base_s: float, cap_s: float, draw: Callable[[], float]) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._draw = draw
        self._bound_s = base_s

    def next_s(self) -> float:
        """Returns the seconds to wait now; the next bound is twice this one."""
        wait_s = self._draw() * self._bound_s
        self._bound_s = min(self._bound_s * 2, self._cap_s)
        return wait_s

    def note_lived(self, lived_s: float) -> None:
        """What was tried held for `lived_s`. It begins anew only after `cap_s`: what ends sooner, again and again,
        is a failure too, for example two clients with one id that push each other out."""
        if lived_s >= self._cap_s:
            self._bound_s = self._base_s
