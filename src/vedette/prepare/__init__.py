"""From records to points: pure stages, used live and in replay alike, so that a model meets the same data in both.

A beat of the log goes in, frames come out. `kinds` says what the numbers of a series mean, by what was declared or
by Prometheus' naming; `counters` walks all samples with one compiled kernel over the state of all series (`slots`): what no
model may see is counted and kept out, counters become rates, late samples are stored but not scored, gaps are
marked and never filled. `identity` finds the workload behind a pod, so that a series survives its
pods; `histograms` turns the rates of buckets into quantiles.
`recipe` is the order of it, and its digest travels with every model, since a model behind another recipe is another model.
"""

from vedette.prepare.recipe import Prepared, PrepareSettings, StandardRecipe

__all__ = ["PrepareSettings", "Prepared", "StandardRecipe"]
