"""Where everything is kept: Delta tables on disk that any Delta reader can open while Vedette writes.

Rows wait in memory and are committed table by table, each commit carrying the offset of the log up to which it
goes. That mark is what makes a replay harmless: a table that already holds an offset takes no row of it twice. Age, small
files and old versions are taken care of by `maintain`, beside a writer that goes on.
"""

from vedette.lake.lake import Lake, reading
from vedette.lake.maintenance import Maintenance
from vedette.lake.settings import LakeSettings, Retention
from vedette.lake.tables import TABLES, Table
from vedette.lake.verify import verify

__all__ = ["TABLES", "Lake", "LakeSettings", "Maintenance", "Retention", "Table", "reading", "verify"]
