"""The verbs of the command line, one function each.

`main` declares them all and imports nothing heavy; what a verb needs is imported when it is called, so that help comes
at once. Documents go to stdout, everything for people to stderr, and whatever an outsider wrote is shown with its
control characters spelt out.
"""

from vedette.cli.main import main

__all__ = ["main"]
