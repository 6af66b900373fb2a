"""Owns the pace of calls to a processor: a token bucket per process."""

import threading
import time


class TokenBucket:
    """Lets `rate` calls a second through, and bursts of one second's worth; a rate of 0 lets all through."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = max(rate, 1.0)
        self._filled_at = time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Takes one token, sleeping until there is one; returns the seconds slept."""
        if not self._rate:
            return 0.0
        with self._lock:
            moment = time.monotonic()
            self._tokens = min(max(self._rate, 1.0), self._tokens + (moment - self._filled_at) * self._rate)
            self._filled_at = moment
            # Going below zero queues this caller behind those already waiting.
            self._tokens -= 1
            pause = max(0.0, -self._tokens / self._rate)
        if pause:
            time.sleep(pause)
        return pause
