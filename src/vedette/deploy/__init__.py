"""Which version speaks: from the shadow over a share of the series to champion, and back. `rollout` decides, purely, from what was
seen of two versions over the same points; `Deployments` keeps where each stands, and every decision with its reason and evidence.
"""

from vedette.deploy.rollout import Evidence, RolloutSettings, Side, Standing, after, faults, next_step
from vedette.deploy.store import Deployments

__all__ = ["Deployments", "Evidence", "RolloutSettings", "Side", "Standing", "after", "faults", "next_step"]
