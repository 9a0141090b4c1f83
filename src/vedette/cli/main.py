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
    """Show a month of a made-up company in under a minute."""
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
    """Check that the lake is readable and whole."""
    from vedette.cli.reading import verify as run

    run(home, json=json)


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
