"""`imagegate verify`: which gate an image passed, or what a bundle proves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.faults import CannotTellError
from cli.reference import Reference
from imagegate.domain.errors import RejectedInputError

if TYPE_CHECKING:
    from cli.verification.checks import Trust
    from cli.verification.report import Report
    from cli.verification.sources import Source

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("subject", metavar="REPOSITORY:TAG|@DIGEST|FILE")
@click.option("--gate", help="Ask for the signature of this stage's gate. Default: of any gate.")
@click.option(
    "--trust-root", type=_PATH, help="Root certificates in PEM. Default: of the stack, or AWS Signer's."
)
@click.option("--profile", help="ARN of the gates' signing profiles, up to __STAGE; instead of a stack.")
@click.option("--bundle", type=_PATH, help="Write everything that the verdict rests on into this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@click.pass_obj
def verify(
    stack_name: str,
    subject: str,
    gate: str | None,
    trust_root: Path | None,
    profile: str | None,
    bundle: Path | None,
    as_json: bool,
) -> None:
    """Verify which gate an image passed, when, under which policy, on which evidence.

    An image in ECR, or in another OCI registry (HOST/REPOSITORY:TAG, with --profile); or a FILE that --bundle wrote,
    which is judged again on this machine, without AWS.

    \b
    Exit codes:
      0  passed, and everything holds
      1  did not pass, or something does not hold
      2  cannot be told
    """
    from cli.verification import bundle as bundles
    from cli.verification.report import of_bundle, of_image, shown
    from cli.verification.trust import roots_in

    now = datetime.now(UTC)
    roots = roots_in(trust_root) if trust_root else None
    if Path(subject).is_file():
        found = bundles.read(Path(subject))
        trust = _trust_of_bundle(profile, roots)
        report = of_bundle(found, subject, trust, gate, now, knows_profiles=profile is not None)
    else:
        source = _source(stack_name, subject, profile)
        report = of_image(source, _trust(source, profile, roots), gate, now)
        if bundle is not None:
            _write(source, report, bundle)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        from cli import view

        view.console().print(shown(report))
    raise click.exceptions.Exit(report.exit_code)


def _source(stack_name: str, subject: str, profile: str | None) -> Source:
    from cli.verification.sources import in_ecr, in_registry, is_foreign

    if is_foreign(subject) and profile:
        return in_registry(subject)
    try:
        reference = Reference.parse(subject)
    except RejectedInputError as error:
        raise CannotTellError(
            f"{error}; write REPOSITORY:TAG, REPOSITORY@DIGEST or the name of a bundle"
        ) from error
    if not reference.names_an_image:
        raise CannotTellError(f"{subject} names no image; write REPOSITORY:TAG or REPOSITORY@DIGEST")
    return in_ecr(stack_name, reference)


def _trust(source: Source, profile: str | None, roots: frozenset[str] | None) -> Trust:
    from cli.verification.trust import of_profiles, of_stack

    if profile:
        return of_profiles(profile, roots)
    if source.stack is None:
        raise CannotTellError(
            "whose gates? Name their profiles: --profile arn:aws:signer:…:/signing-profiles/NAME"
        )
    return of_stack(source.stack, roots)


def _trust_of_bundle(profile: str | None, roots: frozenset[str] | None) -> Trust:
    """Without --profile any profile that is named like a gate's; whose it is must be looked at, and that is said."""
    from cli.verification.trust import of_profiles

    return of_profiles(profile or "arn:", roots)


def _write(source: Source, report: Report, path: Path) -> None:
    from cli.verification import bundle as bundles

    if source.stack is None:
        raise CannotTellError("a bundle is made from the stack's records; this registry has none")
    digest = report.decision_digest or source.latest_decision()
    if digest is None:
        raise CannotTellError(f"{report.subject} was never judged: there is nothing to bundle")
    records = source.stack.records
    policy = source.policy_of(digest)
    bundles.write(bundles.collected(records, policy, digest, report.evidence), path)
    click.echo(f"wrote {path}", err=True)
