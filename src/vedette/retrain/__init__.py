"""When a model is trained anew: by schedule, drift, decay, operators' verdicts, new series, or by hand; held back by a cool-down, a
budget, and candidates that were refused in a row. A wish is never a promotion: what is trained has to pass the gates.
"""

from vedette.retrain.policy import Known, RetrainSettings, Wish, reasons, wish

__all__ = ["Known", "RetrainSettings", "Wish", "reasons", "wish"]
