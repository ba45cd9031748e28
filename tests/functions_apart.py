"""Functions that other processes apply in tests, which import them from here."""

import os
import time


def here(n: int) -> tuple[int, int]:
    return n, os.getpid()


def there(n: int) -> tuple[int, int]:
    if n == 1013:
        os._exit(9)
    if n == 1100:
        print("a library prints")
    return n, os.getpid()


def raising(n: int) -> tuple[int, int]:
    raise ValueError(f"no {n}")


def died(n: int) -> tuple[int, int]:
    return n, 0


def slow(n: int) -> tuple[int, int]:
    time.sleep(0.02)
    return n, os.getpid()


def stuck(n: int) -> tuple[int, int]:
    if n == 1005:
        time.sleep(1000)
    return n, os.getpid()
