"""The room of validate."""
