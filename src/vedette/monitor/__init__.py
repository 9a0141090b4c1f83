"""The room of monitor."""
