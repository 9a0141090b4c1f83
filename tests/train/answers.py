"""Objectives that other processes can import."""

import time


def peak(asked):
    """The larger the nearer `x` is to 3 and `n` to 5; less of the data sees it less sharply. `kind` b is a little better."""
    parameters, share = asked
    off = (parameters["x"] - 3.0) ** 2 + 0.1 * (parameters["n"] - 5) ** 2 - 0.1 * (parameters["kind"] == "b")
    return -off / share


def slow_peak(asked):
    """The same; who is asked first answers last."""
    time.sleep(0.02 * (asked[0]["n"] % 3))
    return peak(asked)
