"""Receivers and codecs: bytes of many dialects become columns, are checked and redacted, and only then reach the log."""
