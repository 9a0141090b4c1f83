"""Vedette: telemetry in, few and right incidents out, and the models kept honest."""

__version__ = "0.1.0"
