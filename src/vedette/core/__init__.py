"""The nouns and verbs of the house.

Nouns (`types`, `frames`) are frozen values and the columns of what moves in bulk. Verbs (`ports`) are the few
protocols by which rooms ask something of each other without knowing who answers. `errors` is the whole tree of what
can be raised on purpose, `flow` the one loop that moves a beat from the log to the tables, `telemetry` what
Vedette says about itself. Core imports nothing of ours, and every other room may import core.
"""
