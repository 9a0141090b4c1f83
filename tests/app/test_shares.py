"""M07: one source that floods is a small part of what is learnt, and what is measured on the others stays as it was."""

import polars as pl

from vedette import config
from vedette.app.families import Ground
from vedette.app.families.anomalies import Anomalies
from vedette.app.training import Asked
from vedette.core.document import read
from vedette.core.types import Delivery
from vedette.testing.simulation import HOUR, START
