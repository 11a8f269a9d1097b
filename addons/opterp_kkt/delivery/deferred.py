"""Something that has to be done once, at a moment that somebody else finds."""

from collections.abc import Callable
from concurrent.futures import Future


class Deferred:
    """Called, it is done; asked for its result, too, unless it was done before. What it raises is raised with the result alone,
    so that who calls it hears of no failure that is not his."""

    def __init__(self, action: Callable):
        self._action = action
        self._future = Future()

    def __call__(self) -> None:
        if not self.is_done:
            try:
                self._future.set_result(self._action())
            except Exception as error:
                self._future.set_exception(error)

    @property
    def is_done(self) -> bool:
        return self._future.done()

    def get_result(self):
        """What it returned, or the exception that it raised."""
        self()
        return self._future.result()
