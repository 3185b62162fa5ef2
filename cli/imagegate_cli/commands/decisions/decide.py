"""`imagegate decide`: decisions of people. Each is recorded with the name of the person."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagegate.grants.approval import name_of
from imagegate.policy.waiver import JUSTIFICATIONS
from imagegate_cli.commands.decisions.approve import approve, reject
from imagegate_cli.commands.decisions.emergency import break_glass, revoke
from imagegate_cli.context import CommandLine, now
from imagegate_cli.decisions.parameters import DayType, RuleType, Scope, ScopeType
from imagegate_cli.output.terminal import say, show_json
from imagegate_cli.stack import Stack

if TYPE_CHECKING:
    from imagegate_cli.decisions.waivers import ImportedWaiver

_JUSTIFICATION = f"OpenVEX, why the image is not affected: {', '.join(JUSTIFICATIONS)}."
_OPTIONS = ("cve", "package", "rule", "reason", "until", "justification")


@click.group()
def decide() -> None:
    """Grant waivers, approvals and break-glass; revoke signatures. Each decision is recorded with its author's name.

    \b
    Each is a power of its own: approve, waive, break-glass, revoke. To have it, an IAM principal needs
    lambda:InvokeFunctionUrl, and lambda:InvokeFunction where lambda:InvokedViaFunctionUrl is true, on the
    alias of that name of the function "decide". AWS STS confirms who calls.
    """


decide.add_command(approve)
decide.add_command(reject)
decide.add_command(break_glass)
decide.add_command(revoke)


@decide.command()
@click.argument("scope", type=ScopeType(), metavar="REPOSITORIES|REPOSITORY@DIGEST")
@click.option("--cve", help="The vulnerability, in the package of --package.")
@click.option("--package", help="Name of the package, or its package URL (without a version: every version).")
@click.option("--rule", type=RuleType(), help="The rule that is waived as a whole: image.non_root, ….")
@click.option(
    "--vex",
    type=click.Path(path_type=Path),
    multiple=True,
    help="OpenVEX or CSAF VEX document: waive what it says is not affected. May be repeated.",
)
@click.option(
    "--vex-product",
    "vex_products",
    multiple=True,
    help="A product of the VEX documents that is these images: a name in them, or a glob. May be repeated.",
)
@click.option("--reason", help="Why; kept in every decision that uses the waiver.")
@click.option(
    "--expires",
    type=DayType(),
    required=True,
    metavar="DAY|30d",
    help="The last day on which it counts, in UTC.",
)
@click.option("--owner", help="Who is responsible for it.  [default: your name in IAM]")
@click.option("--ticket", help="The ticket in which it is followed up.")
@click.option("--until", type=click.Choice(["fix_available"]), help="End it as soon as there is a fix.")
@click.option("--justification", type=click.Choice(JUSTIFICATIONS), metavar="WHY", help=_JUSTIFICATION)
@click.option("--json", "as_json", is_flag=True, help="Print the response; a list with --vex.")
@click.pass_obj
def waive(
    command_line: CommandLine,
    /,
    scope: Scope,
    *,
    vex: tuple[Path, ...],
    vex_products: tuple[str, ...],
    expires: date,
    owner: str | None,
    ticket: str | None,
    as_json: bool,
    **options: str | None,
) -> None:
    """Let a finding, or a rule, pass for some images until a day. Images that pass by it are judged again at once.

    REPOSITORIES is a name or a pattern in quotes. REPOSITORY@DIGEST is one image; 'shop-*@DIGEST' is that image in
    each of these repositories.

    \b
    imagegate decide waive 'shop-*' --cve CVE-2026-1 --package openssl \\
        --reason "not reachable" --expires 30d
    imagegate decide waive proxy-dev --rule scan.unsupported --reason "one static binary" --expires 2027-01-31
    imagegate decide waive 'shop-*' --vex shop.openvex.json --expires 90d

    \b
    Exit codes:
      0  granted, also if it was granted before
      1  refused: such a waiver would never count
      2  nothing was decided
    """
    _check_options(vex, options)
    if vex_products and not vex:
        raise click.UsageError("--vex-product is about --vex FILE")
    stack = command_line.stack
    _check_scope(stack, scope)
    more = {"ticket": ticket} if ticket else {}
    if vex:
        more |= {"owner": owner} if owner else {}
        _import(stack, scope, (vex, vex_products), expires, more, as_json=as_json)
    else:
        waiver = {**_waiver(scope, expires, options), **more, "owner": owner or name_of(stack.caller_arn)}
        _grant(stack, waiver, as_json=as_json)
    _warn_of_no_match(stack, scope)


def _check_options(vex: tuple[Path, ...], options: dict[str, str | None]) -> None:
    """Raise `UsageError` unless exactly one of a finding, a rule and a document is given."""
    given = {name for name in _OPTIONS if options[name]}
    if vex:
        if given:
            raise click.UsageError(
                f"--vex says what is waived and why; leave out --{', --'.join(sorted(given))}"
            )
        return
    if ("cve" in given) is ("rule" in given):
        raise click.UsageError(
            "say what is waived: --cve CVE --package PACKAGE, or --rule RULE, or --vex FILE"
        )
    if "cve" in given and "package" not in given:
        raise click.UsageError("name the package in which the vulnerability is waived: --package NAME")
    rule = options["rule"]
    if rule and "package" in given and rule != "packages.prohibited":
        raise click.UsageError(f"{rule} is not about packages; leave out --package")
    if rule == "packages.prohibited" and "package" not in given:
        raise click.UsageError("name the prohibited package that is allowed: --package NAME")
    if "reason" not in given:
        raise click.UsageError("say why: --reason TEXT")


def _check_scope(stack: Stack, scope: Scope) -> None:
    from imagegate_cli.reference import RepositoryReference
    from imagegate_cli.releases import find as releases

    if scope.tag:
        image = releases.image_of(stack, RepositoryReference(scope.repositories, scope.tag))
        hint = f"it is {scope.repositories}@{image.digest} now" if image else "there is no such tag"
        raise click.UsageError(f"a waiver is about an image, not about the tag {scope.tag}: {hint}")
    if not scope.is_pattern:
        # A waiver for a misspelt name would never be used.
        releases.check_managed(stack, RepositoryReference(scope.repositories))


def _warn_of_no_match(stack: Stack, scope: Scope) -> None:
    from imagegate_cli.releases import find as releases

    if scope.is_pattern and releases.matches_nothing(stack, scope.repositories):
        say(f"imagegate: {scope.repositories} matches no repository of a stage now", err=True)


def _waiver(scope: Scope, expires: date, options: dict[str, str | None]) -> dict[str, Any]:
    fields = {
        "repositories": scope.repositories,
        "digest": str(scope.digest) if scope.digest else None,
        "vulnerability": options["cve"],
        "package": options["package"],
        "rule": options["rule"],
        "reason": options["reason"],
        "expires": expires.isoformat(),
        "until": options["until"],
        "justification": options["justification"],
    }
    return {name: value for name, value in fields.items() if value}


def _grant(stack: Stack, waiver: dict[str, Any], *, as_json: bool) -> None:
    from imagegate_cli.decisions.client import request_decision

    response = request_decision(stack, "waive", waiver=waiver)
    from imagegate_cli.decisions import waivers
    from imagegate_cli.output import screen

    if as_json:
        return show_json(waivers.as_json(response))
    return screen.console().print(waivers.granted(response, now().date()))


def _import(
    stack: Stack,
    scope: Scope,
    documents: tuple[tuple[Path, ...], tuple[str, ...]],
    expires: date,
    more: dict[str, str],
    *,
    as_json: bool,
) -> None:
    from imagegate_cli.decisions import waivers
    from imagegate_cli.judgement import vex
    from imagegate_cli.output import screen

    paths, products = documents
    wanted = waivers.waivers_of_vex([vex.read(path) for path in paths], products, scope, stack, expires)
    imported = [_imported(stack, waiver | more) for waiver in wanted.waivers]
    for note in wanted.notes:
        say(f"imagegate: not waived: {note}", err=True)
    if as_json:
        show_json([one.as_json() for one in imported])
    elif imported:
        screen.console().print(waivers.imported(imported, wanted.statements))
    else:
        names = ", ".join(map(str, paths))
        say(f"imagegate: {names} sets nothing aside for {scope.text}; nothing was waived", err=True)
    if any(one.refused for one in imported):
        raise click.exceptions.Exit(1)


def _imported(stack: Stack, waiver: dict[str, Any]) -> ImportedWaiver:
    from imagegate_cli.decisions.client import NotTakenError, RefusedError, request_decision
    from imagegate_cli.decisions.waivers import ImportedWaiver

    try:
        return ImportedWaiver(waiver, request_decision(stack, "waive", waiver=waiver))
    except (RefusedError, NotTakenError) as error:
        return ImportedWaiver(waiver, refused=error.message)


@decide.command()
@click.argument("name", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the withdrawn waiver or break-glass.")
@click.pass_obj
def withdraw(command_line: CommandLine, name: str, *, as_json: bool) -> None:
    """Withdraw a waiver or a break-glass; imagegate decide list shows its ID. It does not count from now on."""
    from imagegate_cli.decisions import emergencies, waivers
    from imagegate_cli.decisions.client import request_decision
    from imagegate_cli.output import screen

    response = request_decision(command_line.stack, "withdraw", id=name)
    is_glass = "breakGlass" in response
    if as_json:
        key, field = ("break_glass", "breakGlass") if is_glass else ("waiver", "waiver")
        return show_json({key: response[field]})
    text = emergencies.withdrawn(response) if is_glass else waivers.withdrawn(response)
    return screen.console().print(text)


@decide.command("list")
@click.option("--repository", help="Only those that may cover images of this repository.")
@click.option("--all", "show_all", is_flag=True, help="Also those that are over.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="A list of objects: id, source, state, says, and waiver or break_glass.",
)
@click.pass_obj
def list_(command_line: CommandLine, *, repository: str | None, show_all: bool, as_json: bool) -> None:
    """List waivers, also those of the deployed policy, and break-glass; the soonest end first."""
    from imagegate_cli.decisions import grants
    from imagegate_cli.output import screen

    stack, at = command_line.stack, now()
    policy = stack.policy
    waivers = grants.waiver_statuses(stack.grants.waivers(), policy.waivers, policy.waiver_terms, at)
    items: list[grants.GrantedItem] = [*grants.glass_statuses(stack.grants.broken_glass(), at), *waivers]
    items = [one for one in items if repository is None or one.is_about(repository)]
    shown = [one for one in items if show_all or not one.state.is_over]
    if as_json:
        return show_json([one.as_json() for one in shown])
    if shown:
        console = screen.console()
        console.print(grants.table_of(shown, console.width))
    if hidden := len(items) - len(shown):
        return say(f"{hidden} more {'is' if hidden == 1 else 'are'} over; --all shows them", err=True)
    return None if shown else say("nothing was granted", err=True)
