"""What tests of pages share."""

import time
from typing import Any


def until(page: Any, expression: str, arg: Any = None, *, seconds: float = 15) -> None:
    """Wait until an expression, or a function of ``arg``, is true in the page, or in the one it leads to.

    Playwright's own ``wait_for_function`` evaluates text inside the page, which the policy of reports forbids.
    """
    from playwright.sync_api import Error

    end = time.monotonic() + seconds
    while True:
        try:
            if page.evaluate(expression, arg):
                return
        except Error as error:
            if "context was destroyed" not in str(error):  # by a step to another page
                raise
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {expression} ({arg})")
        page.wait_for_timeout(20)
