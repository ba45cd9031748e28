"""What tests of pages share."""

import time
from collections.abc import Callable
from pathlib import Path
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


_WATCHED = """
window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shift += entry.value; }))
  .observe({ type: 'layout-shift', buffered: true });
"""


def shift(opened: Callable[..., Any], report: Path, name: str, **look: Any) -> float:
    """How much moves by itself, once it is there, while one goes to its end and then reads it.

    Cumulative layout shift as in Web Vitals: up to 0.1 is "good". What moves can leave from under the pointer.
    """
    page = opened(report, name, before=_WATCHED, **look)
    page.wait_for_timeout(400)
    end = page.evaluate("document.documentElement.scrollHeight")
    for top in [end, *range(0, end, 600)]:
        page.evaluate("(top) => scrollTo(0, top)", top)
        page.wait_for_timeout(400 if top == end else 100)
    return float(page.evaluate("window.shift"))
