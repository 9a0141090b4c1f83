"""The families there are, by name."""

from vedette.app.families import Family
from vedette.core.errors import NotFound


def family_of(name: str) -> Family:
    """The family of that name. Each is imported when it is asked for: what one needs, the others do not wait for.

    Raises:
        NotFound: there is none.
    """
    match name:
        case "anomalies":
            from vedette.app.families.anomalies import Anomalies

            return Anomalies()
        case "forecasts":
            from vedette.app.families.forecasts import Forecasts

            return Forecasts()
        case "classes":
            from vedette.app.families.classes import Classes

            return Classes()
        case _:
            raise NotFound(f"there is no family '{name}' of models")
