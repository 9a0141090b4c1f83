"""`vedette`: the command line's front door. Each verb imports what it needs when it is called."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vedette import __version__
from vedette.core.errors import BadRecord, ConfigError, VedetteError

cli = typer.Typer(
    name="vedette",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Telemetry in, few and right incidents out, and the models kept honest.",
)

Home = Annotated[Path, typer.Option("--home", envvar="VEDETTE_HOME", help="Where everything is kept.")]
Config = Annotated[Path | None, typer.Option("--config", help="The configuration; vedette.yaml where it is present.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
HOME = Path("vedette-data")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vedette {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


@cli.command(epilog="Example: vedette up --listen 127.0.0.1:9000 --home /var/lib/vedette")
def up(
    home: Home = HOME,
    config: Config = None,
    listen: Annotated[str, typer.Option(help="HOST:PORT of the HTTP port.")] = "",
) -> None:
    """Run everything in one process, and say where to look."""
    from vedette.cli.up import up as run

    run(home, _config_path(config), listen)


@cli.command(epilog="Example: vedette demo --look")
def demo(
    home: Annotated[Path | None, typer.Option("--home", help="An empty folder to keep it in; a new one otherwise.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the made-up company.")] = 0,
    look: Annotated[bool, typer.Option("--look", help="Serve the pages of it afterwards.")] = False,
) -> None:
    """Show weeks of a made-up company in under a minute."""
    from vedette.cli.demo import demo as run

    run(home, seed=seed, look=look)


@cli.command(epilog="Example: vedette init")
def init(path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("vedette.yaml")) -> None:
    """Write a commented vedette.yaml; never over an existing one."""
    from vedette.cli.declare import init as run

    run(path)


@cli.command(epilog="Example: vedette check vedette.yaml --online")
def check(
    path: Annotated[Path | None, typer.Argument(help="The file to check; vedette.yaml where it is present.")] = None,
    online: Annotated[bool, typer.Option("--online", help="Also try each connection and permission.")] = False,
    json: Json = False,
) -> None:
    """Say what is wrong with the configuration, all of it at once."""
    from vedette.cli.declare import check as run

    run(_config_path(path), online=online, json=json)


@cli.command(
    "import",
    epilog="Example: vedette import cpu.parquet app.log.gz --column labels=vm, or tickets.csv --column events=ticket text=title",
)
def import_(
    files: Annotated[list[Path] | None, typer.Argument(help="Parquet, CSV, JSON lines or log files.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, and more such words: series, time, values, labels, truth, events, text ...")
    ] = None,
    prometheus: Annotated[str, typer.Option(help="Pull ranges from the server at this URL instead.")] = "",
    match: Annotated[list[str] | None, typer.Option(help="A selector to pull; may be given again.")] = None,
    start: Annotated[str, typer.Option(help="From when, ISO 8601.")] = "",
    end: Annotated[str, typer.Option(help="Until when, ISO 8601.")] = "",
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Bring history into the lake; safe to repeat."""
    from vedette.cli.history import bring, pull

    if prometheus:
        pull(prometheus, match or [], start, end, home=home, path=_config_path(config), json=json)
    elif files:
        bring(files, column or [], home=home, path=_config_path(config), json=json)
    else:
        raise typer.BadParameter("name files to import, or a server with --prometheus")


@cli.command(epilog="Example: vedette status --json")
def status(home: Home = HOME, json: Json = False) -> None:
    """Show sources and their books, lag, models still learning, disk."""
    from vedette.cli.reading import status as run

    run(home, json=json)


@cli.command(epilog="Example: vedette incidents 0476aacbe072d8d4")
def incidents(
    incident: Annotated[str, typer.Argument(help="Explain this one.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    home: Home = HOME,
    json: Json = False,
) -> None:
    """List the incidents, or explain one."""
    from vedette.cli.reading import incidents as run

    run(home, incident, every=every, json=json)


@cli.command(epilog="Example: vedette verdict 0476aacbe072d8d4 false --note 'nightly backup'")
def verdict(
    incident: Annotated[str, typer.Argument(help="The incident.")],
    answer: Annotated[Literal["real", "false", "known"], typer.Argument(help="What it was.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    home: Home = HOME,
    json: Json = False,
) -> None:
    """Say what an incident was; the answer becomes data."""
    from vedette.cli.reading import verdict as run

    run(home, incident, answer, note, json=json)


@cli.command(epilog="Example: vedette outage add 2026-11-20T10:00Z 2026-11-20T12:30Z --note 'power cut'")
def outage(
    action: Annotated[Literal["add", "list", "drop"], typer.Argument(help="What to do.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="add: START END; drop: ID.")] = None,
    note: Annotated[str, typer.Option(help="What it was.")] = "",
    match: Annotated[list[str] | None, typer.Option(help="LABEL=VALUE it is limited to; may be given again.")] = None,
    planned: Annotated[bool, typer.Option("--planned", help="Maintenance: what happens then is kept, and nobody is told.")] = False,
    home: Home = HOME,
) -> None:
    """Keep windows that are never learnt from; answers in JSON."""
    from vedette.cli.reading import outage as run

    run(home, action, arguments or [], note, match or [], planned=planned)


@cli.command(epilog="Example: vedette deadletters --json")
def deadletters(
    replay: Annotated[bool, typer.Option("--replay", help="Send them through the receivers again, once.")] = False,
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show what was set aside, and why."""
    from vedette.cli.reading import deadletters as run

    run(home, path=_config_path(config), replay=replay, json=json)


@cli.command(epilog="Example: vedette verify")
def verify(home: Home = HOME, json: Json = False) -> None:
    """Check the lake, and the digests and signatures of models."""
    from vedette.cli.reading import verify as run

    run(home, json=json)


@cli.command(epilog="Example: vedette train metrics --because 'new hosts'")
def train(
    name: Annotated[str, typer.Argument(help="The model, as declared under models.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Train even where nothing changed.")] = False,
    because: Annotated[str, typer.Option(help="Why; it is kept with the decision.")] = "by hand",
    actor: Annotated[str, typer.Option(help="Who asks; whoever runs this by default.")] = "",
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Train, judge and register a version; exit 1 where a gate refuses."""
    from vedette.app.training import Asked
    from vedette.cli.shelf import who
    from vedette.cli.training import train as run

    asked = Asked(because, actor or who(), again=again, dry=dry_run)
    run(home, name, asked, path=_config_path(config), json=json)


@cli.command(epilog="Example: vedette validate metrics@3 --out report")
def validate(
    label: Annotated[str, typer.Argument(metavar="NAME[@V]", help="Champion, else the newest, where no version is said.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the report; reports/NAME-V in the home.")] = None,
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Judge a version again, on the data there is now."""
    from vedette.cli.training import validate as run

    run(home, label, out, path=_config_path(config), json=json)


@cli.command(epilog="Example: vedette replay metrics@3 --start 2026-11-01 --end 2026-11-15")
def replay(
    label: Annotated[str, typer.Argument(metavar="[NAME[@V]]", help="Who scores; the detector as shipped by default.")] = "",
    start: Annotated[str, typer.Option(help="From when, ISO 8601; the first point by default.")] = "",
    end: Annotated[str, typer.Option(help="Until when, ISO 8601; the last point by default.")] = "",
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Say which incidents history would have raised, or missed."""
    from vedette.cli.replaying import replay as run

    run(home, label, (start, end), path=_config_path(config), json=json)


@cli.command(epilog="Example: vedette models metrics")
def models(
    name: Annotated[str, typer.Argument(help="All of one: versions, lineage, decisions.")] = "",
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the models, or the versions of one."""
    from vedette.cli.versions import models as run

    run(home, name, path=_config_path(config), json=json)


@cli.command(epilog="Example: vedette compare metrics@2 metrics@3")
def compare(
    first: Annotated[str, typer.Argument(metavar="NAME@V", help="One version.")],
    second: Annotated[str, typer.Argument(metavar="NAME@V", help="Another one of the same family.")],
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Put two versions side by side, point by point."""
    from vedette.cli.versions import compare as run

    run(home, first, second, path=_config_path(config), json=json)


@cli.command(epilog="Example: vedette promote metrics@3 --reason 'looked at its report'")
def promote(
    label: Annotated[str, typer.Argument(metavar="NAME@V", help="A number, challenger or latest.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the decision.")] = "",
    anyway: Annotated[bool, typer.Option("--anyway", help="Also where a gate rejected it.")] = False,
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make a version the champion."""
    from vedette.cli.versions import promote as run

    run(home, label, reason, anyway=anyway, path=_config_path(config), json=json)


@cli.command(epilog="Example: vedette rollback metrics --reason 'too many false alarms'")
def rollback(
    name: Annotated[str, typer.Argument(help="The model.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the decision.")] = "",
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Send back what is on its way, else go back to the champion before."""
    from vedette.cli.versions import rollback as run

    run(home, name, reason, path=_config_path(config), json=json)


@cli.command(epilog="Example: vedette reproduce metrics@3")
def reproduce(
    label: Annotated[str, typer.Argument(metavar="NAME@V", help="The version.")],
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Fit a version again and compare digests; exit 1 if they differ."""
    from vedette.cli.training import reproduce as run

    run(home, label, path=_config_path(config), json=json)


@cli.command(epilog="Example: vedette keys rotate")
def keys(
    action: Annotated[Literal["list", "rotate", "trust", "distrust"], typer.Argument(help="What to do.")] = "list",
    arguments: Annotated[list[str] | None, typer.Argument(help="trust: FILE; distrust: ID.")] = None,
    home: Home = HOME,
    json: Json = False,
) -> None:
    """Keep the key that signs versions, and those that are trusted."""
    from vedette.cli.versions import keys as run

    run(home, action, arguments or [], json=json)


@cli.command(epilog="Example: vedette datasets metrics")
def datasets(
    name: Annotated[str, typer.Argument(help="Of this model alone.")] = "",
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """List what models learnt from, and what was left out."""
    from vedette.cli.versions import datasets as run

    run(home, name, path=_config_path(config), json=json)


@cli.command(epilog="Example: vedette canary --rate 200 --seconds 30")
def canary(
    rate: Annotated[int, typer.Option(min=1, max=20_000, help="Records a second.")] = 100,
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="For how long.")] = 10.0,
    within: Annotated[float, typer.Option(min=1, help="Seconds in which a record must be in the lake.")] = 30.0,
    home: Home = HOME,
    config: Config = None,
    json: Json = False,
) -> None:
    """Send stamped records; say what was lost, doubled or late."""
    from vedette.cli.canary import canary as run

    run(home, path=_config_path(config), rate=rate, seconds=seconds, within=within, json=json)


@cli.command(epilog="Example: vedette score metrics.csv --out scored.parquet")
def score(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Columns series, timestamp, value.")],
    out: Annotated[Path, typer.Option(help="CSV, Parquet or JSON lines, by its ending.")],
    kind: Annotated[str, typer.Option(help="The detector.")] = "envelope",
) -> None:
    """Score every row of a file, each from what came before it."""
    from vedette.cli.workbench import score as run

    run(path, out, kind)


@cli.command(epilog="Example: vedette templates app.log --out templates.csv")
def templates(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Text lines, or a table with content or line.")],
    out: Annotated[Path, typer.Option(help="CSV, Parquet or JSON lines, by its ending.")],
    by: Annotated[str, typer.Option(help="Mine apart for each value of this column.")] = "",
) -> None:
    """Find the templates behind log lines."""
    from vedette.cli.workbench import templates as run

    run(path, out, by)


@cli.command(epilog="Example: vedette forecast metrics.csv --horizon 24 --levels 80,95 --out ahead.csv")
def forecast(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Columns series, timestamp, value.")],
    horizon: Annotated[int, typer.Option(min=1, help="Steps ahead.")],
    out: Annotated[Path, typer.Option(help="CSV, Parquet or JSON lines, by its ending.")],
    levels: Annotated[str, typer.Option(help="Per cent of what will be seen that the bounds should hold, by commas.")] = "80,95",
) -> None:
    """Say where each series goes, with bounds that hold."""
    from vedette.cli.workbench import forecast as run

    run(path, horizon, out, levels)


@cli.command(epilog="Example: vedette classify known.csv new.csv --text title --label team --out routed.csv")
def classify(
    train: Annotated[Path, typer.Argument(metavar="TRAIN", help="Rows with their labels; further columns are features.")],
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Rows to be labelled.")],
    text: Annotated[str, typer.Option(help="The column of text.")],
    label: Annotated[str, typer.Option(help="The column of labels in TRAIN.")],
    out: Annotated[Path, typer.Option(help="CSV, Parquet or JSON lines, by its ending.")],
    cost: Annotated[
        Path | None, typer.Option(help="Table of what errors cost: a row a true label, a column a label that is said.")
    ] = None,
) -> None:
    """Learn labels from one table, and say them of another, with the probability that they are right."""
    from vedette.cli.workbench import classify as run

    run(train, path, text, label, out, cost)


@cli.command(epilog="Example: vedette drift last-month.parquet today.parquet --out drift.csv --html drift.html")
def drift(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="A table as it should be.")],
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="The same columns as they are.")],
    out: Annotated[Path, typer.Option(help="CSV, Parquet or JSON lines, by its ending.")],
    html: Annotated[Path | None, typer.Option(help="A page to look at, beside it.")] = None,
) -> None:
    """Say which columns of a table are distributed otherwise than in another."""
    from vedette.cli.workbench import drift as run

    run(reference, current, out, html)


def _config_path(given: Path | None) -> Path | None:
    usual = Path("vedette.yaml")
    return given or (usual if usual.exists() else None)


def main(arguments: list[str] | None = None) -> Any:  # noqa: ANN401 -- whatever the verb answers; the shell sees the exit code
    """Run the verb named on the command line. Exit code 0: done; 1: failed; 2: bad usage or configuration."""
    try:
        return cli(arguments)
    except ConfigError as error:
        typer.echo("\n".join(error.faults), err=True)
        sys.exit(2)
    except (VedetteError, BadRecord) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
