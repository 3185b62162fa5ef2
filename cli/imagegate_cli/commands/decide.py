"""`imagegate decide`: what people grant and take back, with their names kept."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click

from imagegate.policy.waiver import JUSTIFICATIONS
from imagegate_cli.commands.approve import approve, reject
from imagegate_cli.commands.emergency import break_glass, revoke
from imagegate_cli.context import CommandLine, now
from imagegate_cli.decisions.asking import DayType, RuleType, Scope, ScopeType, name_of
from imagegate_cli.output.terminal import say, show_json
from imagegate_cli.stack import Stack

_JUSTIFICATION = f"OpenVEX, why the image is not affected: {', '.join(JUSTIFICATIONS)}."
_ASKED = ("cve", "package", "rule", "reason", "until", "justification")


@click.group()
def decide() -> None:
    """Waivers, approvals, break-glass and revocations. Every decision is recorded with the name of whoever made it.

    \b
    Each is a power of its own: approve, waive, break-glass, revoke. Whoever has it may, on the alias
    of that name of the function that decides, lambda:InvokeFunctionUrl, and lambda:InvokeFunction
    where lambda:InvokedViaFunctionUrl is true. AWS STS confirms who calls.
    """


decide.add_command(approve)
decide.add_command(reject)
decide.add_command(break_glass)
decide.add_command(revoke)


@decide.command()
@click.argument("scope", type=ScopeType(), metavar="REPOSITORIES|REPOSITORY@DIGEST")
@click.option("--cve", help="Which vulnerability, in the package of --package.")
@click.option("--package", help="Name of the package, or its package URL (without a version: every version).")
@click.option("--rule", type=RuleType(), help="Which rule is waived as a whole: image.non_root, ….")
@click.option(
    "--vex",
    type=click.Path(path_type=Path),
    multiple=True,
    help="OpenVEX document: what it says now is not affected. May be repeated.",
)
@click.option("--reason", help="Why; part of every decision that rests on it.")
@click.option(
    "--expires", type=DayType(), required=True, metavar="DAY|30d", help="The last day on which it counts."
)
@click.option("--owner", help="Who answers for it.  [default: your name, as IAM knows it]")
@click.option("--ticket", help="Where it is followed up.")
@click.option("--until", type=click.Choice(["fix_available"]), help="Ends as soon as there is a fix.")
@click.option("--justification", type=click.Choice(JUSTIFICATIONS), metavar="WHY", help=_JUSTIFICATION)
@click.option("--json", "as_json", is_flag=True, help="Print the answer; a list with --vex.")
@click.pass_obj
def waive(
    command_line: CommandLine,
    /,
    scope: Scope,
    *,
    vex: tuple[Path, ...],
    expires: date,
    owner: str | None,
    ticket: str | None,
    as_json: bool,
    **asked: str | None,
) -> None:
    """Let a finding, or a rule, pass for some images until a day. What it frees is judged again at once.

    REPOSITORIES is a name or a pattern in quotes. REPOSITORY@DIGEST is one image; 'shop-*@DIGEST' is that image
    wherever it is promoted to.

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
    _check(vex, asked)
    stack = command_line.stack
    _check_scope(stack, scope)
    more = {"ticket": ticket} if ticket else {}
    if vex:
        return _import(
            stack, scope, vex, expires, {**more, **({"owner": owner} if owner else {})}, as_json=as_json
        )
    waiver = {**_wanted(scope, expires, asked), **more, "owner": owner or name_of(stack.caller_arn)}
    return _grant(stack, waiver, as_json=as_json)


def _check(vex: tuple[Path, ...], asked: dict[str, str | None]) -> None:
    """Exactly one of a finding, a rule and a document."""
    given = {name for name in _ASKED if asked[name]}
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
    if asked["rule"] and "package" in given and asked["rule"] != "packages.prohibited":
        raise click.UsageError(f"{asked['rule']} is not about packages; leave out --package")
    if asked["rule"] == "packages.prohibited" and "package" not in given:
        raise click.UsageError("name the package that may be there all the same: --package NAME")
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
        # A name that is misspelt would be waived in vain.
        releases.check_managed(stack, RepositoryReference(scope.repositories))


def _wanted(scope: Scope, expires: date, asked: dict[str, str | None]) -> dict[str, Any]:
    raw = {
        "repositories": scope.repositories,
        "digest": str(scope.digest) if scope.digest else None,
        "vulnerability": asked["cve"],
        "package": asked["package"],
        "rule": asked["rule"],
        "reason": asked["reason"],
        "expires": expires.isoformat(),
        "until": asked["until"],
        "justification": asked["justification"],
    }
    return {name: value for name, value in raw.items() if value}


def _grant(stack: Stack, waiver: dict[str, Any], *, as_json: bool) -> None:
    from imagegate_cli.decisions.calling import decide as ask

    told = ask(stack, "waive", waiver=waiver)
    from imagegate_cli.decisions import answers
    from imagegate_cli.releases import view

    if as_json:
        return show_json(answers.as_json(told))
    return view.console().print(answers.granted(told, now().date()))


def _import(
    stack: Stack,
    scope: Scope,
    paths: tuple[Path, ...],
    expires: date,
    more: dict[str, str],
    *,
    as_json: bool,
) -> None:
    from imagegate_cli.decisions import answers, asking
    from imagegate_cli.decisions.calling import NotTakenError, RefusedError
    from imagegate_cli.decisions.calling import decide as ask
    from imagegate_cli.judgement import vex
    from imagegate_cli.releases import view

    wanted = asking.from_vex([vex.read(path) for path in paths], scope, stack, expires)
    found = []
    for waiver in wanted.waivers:
        waiver |= more
        try:
            found.append(answers.ImportedWaiver(waiver, ask(stack, "waive", waiver=waiver)))
        except (RefusedError, NotTakenError) as error:
            found.append(answers.ImportedWaiver(waiver, refused=error.message))
    for note in wanted.notes:
        say(f"imagegate: not waived: {note}", err=True)
    if as_json:
        show_json([one.as_json() for one in found])
    elif found:
        view.console().print(answers.imported(found, wanted.told))
    else:
        names = ", ".join(map(str, paths))
        say(f"imagegate: {names} sets nothing aside for {scope.text}; nothing was waived", err=True)
    if any(one.refused for one in found):
        raise click.exceptions.Exit(1)


@decide.command()
@click.argument("name", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print what was withdrawn as it stands now.")
@click.pass_obj
def withdraw(command_line: CommandLine, name: str, *, as_json: bool) -> None:
    """Withdraw a waiver or a break-glass, as imagegate decide list names it. From now on it does not count."""
    from imagegate_cli.decisions import answers, emergencies
    from imagegate_cli.decisions.calling import decide as ask
    from imagegate_cli.releases import view

    told = ask(command_line.stack, "withdraw", id=name)
    is_glass = "breakGlass" in told
    if as_json:
        shown = {"break_glass": told["breakGlass"]} if is_glass else {"waiver": told["waiver"]}
        return show_json(shown)
    return view.console().print(emergencies.mended(told) if is_glass else answers.withdrawn(told))


@decide.command("list")
@click.option("--repository", help="Only what may be about images of this repository.")
@click.option("--all", "show_all", is_flag=True, help="Also what is over.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="A list of objects: id, source, state, says, and waiver or break_glass.",
)
@click.pass_obj
def list_(command_line: CommandLine, *, repository: str | None, show_all: bool, as_json: bool) -> None:
    """What was granted: waivers, also those of the deployed policy, and break-glass; the soonest end first."""
    from imagegate_cli.decisions import grants as standing
    from imagegate_cli.releases import view

    stack, at = command_line.stack, now()
    policy, grants = stack.policy, stack.grants
    waivers = standing.standings(grants.waivers(), policy.waivers, policy.waiver_terms, at)
    glass = standing.glass_standings(grants.broken_glass(), at)
    every: list[standing.GrantedItem] = [*glass, *waivers]
    about = [one for one in every if repository is None or one.is_about(repository)]
    found = [one for one in about if show_all or not one.is_over]
    if as_json:
        return show_json([one.as_json() for one in found])
    if found:
        console = view.console()
        console.print(standing.table_of(found, console.width))
    if len(about) > len(found):
        hidden = len(about) - len(found)
        return say(f"{hidden} more {'is' if hidden == 1 else 'are'} over; --all shows them", err=True)
    return None if found else say("nothing was granted", err=True)
