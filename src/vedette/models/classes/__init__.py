"""Classes of events: which alerts matter, what a ticket is about, who should have it. Words are hashed, columns beside them are
features too, a linear model learns from what people decided, and what it says is a probability that holds, so that a decision can
weigh what errors cost. Judging needs one sparse product: well under a millisecond an event.
"""

from vedette.models.classes.classifier import Classifier
from vedette.models.classes.fitting import calibration_error
from vedette.models.classes.groups import twins

__all__ = ["Classifier", "calibration_error", "twins"]
