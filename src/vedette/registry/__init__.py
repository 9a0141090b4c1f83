"""Where versions of models are kept, and what they may be called.

The truth of a version is a signed directory, `HOME/models/NAME/VERSION/`: its card, its arrays, its recipe, its report, and one
OpenSSF Model Signing bundle over all of it. `Registry` puts one in place by a single rename and gives it its number, which is never
given twice; it hands nothing out, and lets no parser near it, before the signature of a trusted key has been found over exactly the
bytes that were read. `Keys` makes that key at the first start, changes it, and says which ones are trusted. None of this needs a
network, and where versions stand is not known here. `mirror`, which only those import who want it, makes MLflow agree with the
directories and the aliases it is told, any number of times; `pyfunc` lets an MLflow user load a version by choice.
"""

from vedette.registry.keys import Key, Keys
from vedette.registry.settings import RegistrySettings
from vedette.registry.store import Registry

__all__ = ["Key", "Keys", "Registry", "RegistrySettings"]
