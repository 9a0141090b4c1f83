"""The room of train."""
