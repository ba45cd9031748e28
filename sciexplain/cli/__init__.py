"""The command line: one module per command, over the core and the domains."""

from sciexplain.cli.main import app, call, main

__all__ = ["app", "call", "main"]
