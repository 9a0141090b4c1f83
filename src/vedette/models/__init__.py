"""The detectors, one algorithm a file."""
