"""`imagegate images`: what the registry stores now, by image or by repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from imagegate_cli.context import CommandLine, pauses
from imagegate_cli.faults import CannotTellError
from imagegate_cli.output.spinner import Spinner, map_with_spinner
from imagegate_cli.output.terminal import say, show_json_list
from imagegate_cli.releases.find import check_stage
from imagegate_cli.request_pace import RequestPace

if TYPE_CHECKING:
    from imagegate_cli.inventory.stored_images import ListedImage
    from imagegate_cli.stack import Stack

# Requests a second. AWS publishes no quota of the calls that only describe; the gate itself makes the same ones.
_PACE = 10.0
# So many images are read before their findings are requested.
_BATCH = 256
_SORTS = ("size", "age", "pulls", "findings")
_COLUMNS = "{:<10}  {:<10}  {:>9}  {:<8}  {:<24}  {}  {}"
_KEEP = "a platform of an index has no tag, and neither has a signature: delete none of these by hand"


@click.command()
@click.argument("repositories", nargs=-1, metavar="[REPOSITORY]...")
@click.option("--stage", help="Only repositories of this stage.")
@click.option(
    "--sort",
    type=click.Choice(_SORTS),
    help="Largest, oldest, longest not pulled, or worst first. All images are read before the first is shown.",
)
@click.option("--untagged", is_flag=True, help="Only images without a tag.")
@click.option("--critical", is_flag=True, help="Only images with a CRITICAL finding now.")
@click.option("--findings", is_flag=True, help="Also findings by severity now: one request for each image.")
@click.option("--by", type=click.Choice(["repository"]), help="Images and storage of each repository.")
@click.option(
    "--layers",
    is_flag=True,
    help="With --by repository: count shared layers once. Reads every manifest, which ECR records as a pull.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many; without it, all.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.option(
    "--uri",
    is_flag=True,
    help="Print URIs alone, one a line: of images without evidence, or with --by of repositories.",
)
@click.pass_obj
def images(
    command_line: CommandLine,
    /,
    repositories: Sequence[str],
    *,
    stage: str | None,
    limit: int | None,
    as_json: bool,
    uri: bool,
    **options: Any,
) -> None:
    """List what the registry stores now: last pull, size, findings; storage by repository.

    Without REPOSITORY it lists all repositories of the registry in this Region. Images are shown as they are read,
    except with --sort. A size is that of the compressed layers, as ECR stores them; that of an index is its largest
    platform's. ECR renews the time of the last pull once a day.

    \b
    imagegate images --sort size --limit 5
    imagegate images shop-production --critical
    imagegate images --by repository
    imagegate images shop-production --uri
    """
    stack = command_line.stack
    if stage is not None:
        check_stage(stack, stage)
    if options["layers"] and options["by"] is None:
        raise click.UsageError("--layers needs --by repository")
    if uri and as_json:
        raise click.UsageError("--uri goes without --json")
    names = _repositories(stack, repositories, stage)
    if options["by"] and uri:
        return _say_all(f"{stack.images.registry}/{name}" for name in islice(names, limit))
    if options["by"]:
        return _show_repositories(stack, islice(names, limit), layers=options["layers"], as_json=as_json)
    listed = _images(names, options)
    if uri:
        return _say_all(one.uri(stack.images.registry) for one in islice(_without_evidence(listed), limit))
    listed = islice(listed, limit)
    return _show_images(stack, listed, untagged=options["untagged"], as_json=as_json)


def _without_evidence(images: Iterable[ListedImage]) -> Iterator[ListedImage]:
    from imagegate_cli.inventory.stored_images import StoredKind

    return (one for one in images if one.kind is not StoredKind.REFERRER)


def _say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def _repositories(stack: Stack, given: Sequence[str], stage: str | None) -> Iterator[str]:
    """Yield the names of the repositories that the arguments ask for."""
    names = iter(dict.fromkeys(given)) if given else stack.images.repositories()
    for name in names:
        its_stage = stack.policy.stage_of(name) if stage else None
        if stage is None or (its_stage is not None and its_stage.name == stage):
            yield name


def _images(names: Iterable[str], options: dict[str, Any]) -> Iterator[ListedImage]:
    from imagegate.aws.clients import client
    from imagegate_cli.inventory.stored_images import ORDERS, read_images

    ecr, pace = client("ecr"), RequestPace(_PACE, pauses().sleep)
    listed: Iterator[ListedImage] = (
        one for name in names for one in read_images(ecr, name, pace, untagged=options["untagged"])
    )
    if options["findings"] or options["critical"] or options["sort"] == "findings":
        listed = _with_findings(ecr, listed, pace)
    if options["critical"]:
        listed = (one for one in listed if one.criticals)
    if options["sort"] is None:
        return listed
    with Spinner("reading images"):
        return iter(sorted(listed, key=ORDERS[options["sort"]]))


def _with_findings(ecr: Any, found: Iterator[ListedImage], pace: RequestPace) -> Iterator[ListedImage]:
    from imagegate_cli.inventory.stored_images import with_findings

    while some := list(islice(found, _BATCH)):
        yield from map_with_spinner("reading findings", some, lambda one: with_findings(ecr, one, pace))


def _show_images(stack: Stack, found: Iterator[ListedImage], *, untagged: bool, as_json: bool) -> None:
    registry = stack.images.registry
    if as_json:
        return show_json_list(one.as_json(registry) for one in found)
    number = 0
    for number, one in enumerate(found, 1):
        if number == 1:
            say(_COLUMNS.format("PUSHED", "PULLED", "MIB", "KIND", "FINDINGS", "TAGS", "IMAGE"))
        pulled = f"{one.pulled_at:%Y-%m-%d}" if one.pulled_at else "never"
        tags = ",".join(one.tags) or "-"
        size = f"{one.size / (1 << 20):.1f}"
        kind = str(one.kind) if one.status == "ACTIVE" else one.status.lower()
        say(
            _COLUMNS.format(
                f"{one.pushed_at:%Y-%m-%d}", pulled, size, kind, one.findings, tags, one.uri(registry)
            )
        )
    if not number:
        return say("no such image", err=True)
    return say(_KEEP, err=True) if untagged else None


def _show_repositories(stack: Stack, names: Iterator[str], *, layers: bool, as_json: bool) -> None:
    from imagegate.aws.clients import client
    from imagegate_cli.inventory.storage import measure
    from imagegate_cli.inventory.stored_images import read_images

    ecr, pace, registry = client("ecr"), RequestPace(_PACE, pauses().sleep), stack.images.registry
    reader = stack.images if layers else None
    measured = (measure(name, registry, read_images(ecr, name, pace), reader) for name in names)
    if as_json:
        return show_json_list(one.as_json() for one in measured)
    from imagegate_cli.output import screen

    table = screen.plain_table(["REPOSITORY", "IMAGES", "INDEXES", "REFERRERS", "UNTAGGED", "GIB", "URI"])
    with Spinner("reading repositories"):
        rows = [one.row for one in measured]
    if not rows:
        raise CannotTellError("no such repository")
    for row in rows:
        table.add_row(*row)
    return screen.console().print(table)
