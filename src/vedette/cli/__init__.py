"""The verbs of the command line, one function each. Heavy imports wait until a verb needs them."""

from vedette.cli.main import main

__all__ = ["main"]
