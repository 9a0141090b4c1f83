"""MLflow as a mirror of the registry: runs, versions and aliases for people who look there. Never imported by what scores.

The directories are the truth. MLflow may be down, slow, or new and empty: `Mirror.reconcile` brings it to where they are, whenever
it is called next. Importing this module imports MLflow: 70 MiB and a second or two.
"""

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from vedette.core.errors import Rejected, Tampered, Transient
from vedette.core.types import Card
from vedette.registry.settings import RegistrySettings
from vedette.registry.store import Registry

#: MLflow reads these when it is imported and at each call. Every call ends; nobody is told that we use it.
LIMITS: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
for _name, _value in LIMITS.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient  # noqa: E402 -- after its limits
from mlflow.entities import Metric, Param, Run, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from requests import RequestException  # noqa: E402
from sqlalchemy.exc import SQLAlchemyError  # noqa: E402

T = TypeVar("T")

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

ALIASES: Final = ("champion", "challenger")
_PARAMS: Final = 100
_LONGEST: Final = 5000
_USER: Final = re.compile(r"//[^/@\s]*@")
_STRANGE: Final = re.compile(r"[^\w.\- /]")


class Mirror:
    """Makes one MLflow agree with one registry.

    Each model is an experiment and a registered model of its name; each version a run and a model version with the same number.
    The source of a version is a copy of its directory, under `home/mlflow` or where the server keeps such things: MLflow writes a
    file of its own into what it loads, after which no signature over the directory itself would hold.

    Args:
        home: where `mlflow.db` and `mlflow/` are made where no other MLflow is declared.
        registry: the truth of versions.
        aliases: model -> alias -> the version it is on.
        settings: which MLflow.
    """

    def __init__(
        self, home: Path, registry: Registry, aliases: Callable[[str], Mapping[str, int]], settings: RegistrySettings | None = None
    ) -> None:
        self._home = home.resolve()
        self._copies = self._home / "mlflow"
        self._registry = registry
        self._aliases = aliases
        declared = settings.tracking_uri if settings else None
        self.uri = declared or f"sqlite:///{self._home / 'mlflow.db'}"

    def reconcile(self) -> tuple[str, ...]:
        """Bring MLflow to where the directories are, in order; what was done, in words: nothing the second time.

        Raises:
            Transient: MLflow cannot be used now; whatever was done until then stays done.
            Rejected: it will not take one of the models, such as a name under which it holds versions that are not ours;
                the others are where they should be.
        """
        client = self._asked(lambda: MlflowClient(self.uri, self.uri))
        done: list[str] = []
        refused = []
        for name in self._registry.names():
            try:
                done += self._asked(partial(self._model, client, name))
            except (Rejected, Tampered) as error:
                refused.append(str(error))
        if refused:
            raise Rejected("; ".join(refused))
        return tuple(done)

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except MlflowException as error:
            # Without the error itself: it may hold the password of the address.
            told = f"MLflow at {_shown(self.uri)}: {_USER.sub('//', str(error).splitlines()[0])}"
            if error.error_code in {"INVALID_PARAMETER_VALUE", "PERMISSION_DENIED", "UNAUTHENTICATED"}:
                raise Rejected(told) from None
            raise Transient(f"{told}; the versions are safe, and mirrored later", retry_after=60) from None
        except (RequestException, SQLAlchemyError, OSError) as error:
            told = f"MLflow at {_shown(self.uri)} cannot be used now: {type(error).__name__}"
            raise Transient(f"{told}; the versions are safe, and mirrored later", retry_after=60) from None

    def _model(self, client: MlflowClient, name: str) -> list[str]:
        return list(self._steps(client, name))

    def _steps(self, client: MlflowClient, name: str) -> Iterable[str]:
        experiment = self._experiment(client, name)
        there = {int(each.version): each for each in _pages(lambda token: _versions(client, name, token))}
        aliases = dict(sorted(self._aliases(name).items()))
        for card in self._registry.cards(name):
            stage = ",".join(alias for alias, version in aliases.items() if version == card.version)
            if card.version in there:
                yield from _restaged(client, card, there[card.version], stage)
            else:
                run = self._run(client, experiment, card, stage)
                self._version(client, card, run, stage)
                yield f"{card.label}: mirrored"
        for version in sorted(there.keys() - set(self._registry.versions(name))):
            if "vedette.digest" in there[version].tags:
                self._let_go(client, there[version])
                yield f"{name}@{version}: let go"
        yield from _realiased(client, name, aliases)

    def _experiment(self, client: MlflowClient, name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found is None:
            # A server knows a place of its own for copies; a database leaves it to us.
            remote = urlsplit(self.uri).scheme in {"http", "https"}
            return str(client.create_experiment(name, artifact_location=None if remote else (self._copies / name).as_uri()))
        return str(found.experiment_id)

    def _run(self, client: MlflowClient, experiment: str, card: Card, stage: str) -> Run:
        """The run of a version: one that an earlier round began is completed."""
        begun = client.search_runs([experiment], f"tags.`vedette.label` = '{card.label}'", max_results=1)
        at = card.trained_at // 1000
        run = begun[0] if begun else client.create_run(experiment, at, {"vedette.label": card.label}, run_name=card.label)
        params = [Param(key, value) for key, value in _params(card).items()]
        for some in _some(params, _PARAMS):
            client.log_batch(run.info.run_id, params=some)
        metrics = [Metric(_STRANGE.sub("_", key), value, at, 0) for key, value in card.metrics.items()]
        tags = [RunTag(key, value) for key, value in _tags(card, stage).items()]
        client.log_batch(run.info.run_id, metrics=metrics, tags=tags)
        client.set_terminated(run.info.run_id, end_time=at)
        return run

    def _version(self, client: MlflowClient, card: Card, run: Run, stage: str) -> None:
        if not client.search_registered_models(f"name = '{card.name}'", max_results=1):
            client.create_registered_model(card.name)
        client.log_artifacts(run.info.run_id, str(self._home / "models" / card.name / str(card.version)), "model")
        source = f"{run.info.artifact_uri}/model"
        while True:
            # Numbers are given in order: those of versions that went before MLflow saw them are given, and let go again.
            made = client.create_model_version(card.name, source, run.info.run_id, _tags(card, stage), await_creation_for=0)
            if int(made.version) == card.version:
                return
            client.delete_model_version(card.name, made.version)
            if int(made.version) > card.version:
                raise Rejected(
                    f"MLflow at {_shown(self.uri)} counts '{card.name}' to {made.version} already, so {card.label} cannot be there"
                )

    def _let_go(self, client: MlflowClient, there: Any) -> None:  # noqa: ANN401 -- MLflow's ModelVersion
        client.delete_model_version(there.name, there.version)
        copied = Path(url2pathname(urlsplit(there.source).path))
        if copied.is_relative_to(self._copies):
            shutil.rmtree(copied, ignore_errors=True)


def _params(card: Card) -> dict[str, str]:
    told = {
        "kind": card.kind,
        "family": card.family,
        "seed": card.seed,
        "recipe": card.recipe,
        "code": card.code,
        "parent": card.parent,
    }
    told |= {f"parameters.{name}": value for name, value in card.parameters.items()}
    return {_STRANGE.sub("_", name): _text(value) for name, value in told.items() if value is not None}


def _tags(card: Card, stage: str) -> dict[str, str]:
    failed = [each.check for each in card.findings if not each.passed]
    return {
        "vedette.label": card.label,
        "vedette.digest": card.digest,
        "vedette.dataset": card.dataset,
        "vedette.dataset_digest": card.dataset_digest,
        "vedette.trained_by": card.trained_by,
        "vedette.gates": f"failed: {', '.join(failed)}"[:_LONGEST] if failed else "passed",
        "vedette.findings": msgspec.json.encode(card.findings).decode()[:_LONGEST],
        "vedette.stage": stage or "none",
    }


def _text(value: Any) -> str:  # noqa: ANN401 -- any plain value
    return (value if isinstance(value, str) else msgspec.json.encode(value).decode())[:_LONGEST]


def _restaged(client: MlflowClient, card: Card, there: Any, stage: str) -> Iterable[str]:  # noqa: ANN401 -- MLflow's ModelVersion
    if there.tags.get("vedette.digest") != card.digest:
        raise Rejected(f"MLflow holds another {card.label} than ours; give the model another name, or Vedette another MLflow")
    if there.tags.get("vedette.stage") != (stage or "none"):
        client.set_tag(there.run_id, "vedette.stage", stage or "none")
        client.set_model_version_tag(card.name, there.version, "vedette.stage", stage or "none")
        yield f"{card.label}: {stage or 'no alias'}"


def _realiased(client: MlflowClient, name: str, wanted: Mapping[str, int]) -> Iterable[str]:
    if not client.search_registered_models(f"name = '{name}'", max_results=1):
        return
    there = {int(each.version) for each in _pages(lambda token: _versions(client, name, token))}
    given = client.get_registered_model(name).aliases
    for alias, version in wanted.items():
        if version in there and str(given.get(alias)) != str(version):
            client.set_registered_model_alias(name, alias, str(version))
            yield f"{name}: {alias} is {version}"
    for alias in given.keys() & set(ALIASES) - wanted.keys():
        client.delete_registered_model_alias(name, alias)
        yield f"{name}: {alias} is nowhere"


def _versions(client: MlflowClient, name: str, token: str | None) -> Any:  # noqa: ANN401 -- MLflow's page
    return client.search_model_versions(f"name = '{name}'", max_results=100, page_token=token)


def _pages(page: Callable[[str | None], Any]) -> Iterable[Any]:
    token = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if not token:
            return


def _some(items: Iterable[T], size: int) -> Iterable[list[T]]:
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def _shown(uri: str) -> str:
    """The address without what may be a password in it."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
