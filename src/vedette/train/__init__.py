"""Training: a frozen dataset, split by time, and a search that is seeded, pruned and resumable. What is never learnt (outages,
incidents, what operators marked) is laid down with the dataset, so that a version can be made again from its card alone. Nothing
here knows an algorithm: it is handed an objective and a space.
"""

from vedette.train.dataset import SPANS, Dataset, Manifest, capped, inside, merged, without
from vedette.train.engine import Inline, Processes
from vedette.train.search import Choice, Found, Range, Space, search
from vedette.train.settings import Family, SearchSettings, TrainSettings
from vedette.train.shelf import Answers, Shelf
from vedette.train.split import Cuts, by_time, folds, group_folds

__all__ = [
    "SPANS",
    "Answers",
    "Choice",
    "Cuts",
    "Dataset",
    "Family",
    "Found",
    "Inline",
    "Manifest",
    "Processes",
    "Range",
    "SearchSettings",
    "Shelf",
    "Space",
    "TrainSettings",
    "by_time",
    "capped",
    "folds",
    "group_folds",
    "inside",
    "merged",
    "search",
    "without",
]
