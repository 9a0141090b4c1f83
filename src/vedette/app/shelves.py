"""Where the things of the lifecycle lie in a home, and how MLflow is told of them."""

from collections.abc import Callable
from pathlib import Path

from vedette import config
from vedette.deploy import Deployments
from vedette.registry import Keys, Registry
from vedette.train import Shelf


class Shelves:
    """The registry, the datasets and the deployments of one home; each is opened when it is used.

    Args:
        home: where everything is kept; made where it is missing, for its owner only.
        declared: what the user declared.
    """

    def __init__(self, home: Path, declared: config.Config) -> None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._home = home
        self._declared = declared
        self.keys = Keys.at(home / "keys")
        self.registry = Registry(home, self.keys, declared.registry)
        self.datasets = Shelf(home / "datasets")

    def deployments(self) -> Deployments:
        """Where versions stand; a context manager."""
        return Deployments(f"sqlite:///{self._home / 'vedette.db'}")

    def pointed(self, name: str) -> set[int]:
        """Versions of a model that somebody needs: those that stand somewhere."""
        with self.deployments() as deployments:
            standing = deployments.standing(name)
        return {standing.champion, standing.previous, standing.candidate} - {0}

    def mirror(self, tell: Callable[[str], None]) -> None:
        """Make MLflow agree; where it cannot be reached now, the next time will do."""
        try:
            from vedette.registry.mirror import Mirror

            with self.deployments() as deployments:
                Mirror(self._home, self.registry, deployments.aliases, self._declared.registry).reconcile()
        except Exception as error:  # noqa: BLE001 -- what is decided is decided, whatever ails a guest
            tell(f"MLflow was not told: {error}")
