"""`imagegate verify`: which gate an image passed, or what a bundle proves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagegate.errors import RejectedInputError
from imagegate_cli.context import CommandLine, now
from imagegate_cli.faults import CannotTellError
from imagegate_cli.output.terminal import print_content, say, show_json
from imagegate_cli.reference import RepositoryReference

if TYPE_CHECKING:
    from imagegate_cli.stack import Stack
    from imagegate_cli.verification.checks import Trust
    from imagegate_cli.verification.report import VerificationReport
    from imagegate_cli.verification.sources import ImageSource

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """The options, as they were given."""

    gate: str | None
    trust_root: Path | None
    profile: str | None
    revocation: bool | None
    trust_policy: Path | None
    trust_store: Path | None
    bundle: Path | None

    @property
    def roots(self) -> frozenset[str] | None:
        from imagegate_cli.verification.trust import roots_in

        return roots_in(self.trust_root) if self.trust_root else None

    def revoking(self, trust: Trust, *, by_default: bool) -> Trust:
        """With somebody to ask what has been revoked."""
        from imagegate.notation.revocation import AwsRevocations

        is_asked = by_default if self.revocation is None else self.revocation
        return replace(trust, revoked=AwsRevocations() if is_asked else None)


@click.command()
@click.argument("subject", metavar="REPOSITORY:TAG|@DIGEST|FILE", required=False)
@click.option("--gate", help="Ask for the signature of this stage's gate. Default: of any gate.")
@click.option(
    "--trust-root", type=_PATH, help="Root certificates in PEM. Default: of the stack, or AWS Signer's."
)
@click.option("--profile", help="ARN of the gates' signing profiles, up to __STAGE; instead of a stack.")
@click.option(
    "--revocation/--no-revocation",
    default=None,
    help="Ask AWS Signer what has been revoked since. Default: for images yes, for a FILE no.",
)
@click.option(
    "--trust-policy", type=_PATH, help="Verify by this Notation trust policy (JSON), not by the gates."
)
@click.option("--trust-store", type=_PATH, help="Its trust stores. Default: truststore beside that file.")
@click.option("--bundle", type=_PATH, help="Write everything that the verdict rests on into this file.")
@click.option(
    "--print-policy",
    type=click.Choice(["notation", "kyverno", "ratify"]),
    help="Verify nothing: print a policy for that program, of all gates or of --gate.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@click.pass_obj
def verify(
    command_line: CommandLine, /, subject: str | None, print_policy: str | None, as_json: bool, **options: Any
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
    asked = VerifyOptions(**options)
    if print_policy:
        _print(command_line.stack, print_policy, asked)
        return
    if subject is None:
        raise click.UsageError("name an image or a bundle, or say --print-policy")
    at = now()
    report = (
        _of_bundle(subject, asked, at)
        if Path(subject).is_file()
        else _of_image(command_line, subject, asked, at)
    )
    if as_json:
        show_json(report.as_json())
    else:
        from imagegate_cli.releases import view
        from imagegate_cli.verification.shown import shown

        view.console().print(shown(report))
    raise click.exceptions.Exit(report.exit_code)


def _print(stack: Stack, kind: str, asked: VerifyOptions) -> None:
    from imagegate_cli.verification.gates import printed

    content, hints = printed(stack, kind, asked.gate, asked.trust_root)
    print_content(content)
    for hint in hints:
        say(hint, err=True)


def _of_bundle(name: str, asked: VerifyOptions, now: datetime) -> VerificationReport:
    """Without --profile any profile that is named like a gate's; whose it is must be looked at, and that is said."""
    from imagegate_cli.verification import bundle as bundles
    from imagegate_cli.verification.report import of_bundle
    from imagegate_cli.verification.trust import of_profiles

    if asked.trust_policy:
        raise CannotTellError("a bundle says no registry that a trust policy could apply to")
    trust = asked.revoking(of_profiles(asked.profile or "arn:", asked.roots), by_default=False)
    knows_profiles = asked.profile is not None
    return of_bundle(bundles.read(Path(name)), name, trust, asked.gate, now, knows_profiles=knows_profiles)


def _of_image(
    command_line: CommandLine, subject: str, asked: VerifyOptions, now: datetime
) -> VerificationReport:
    from imagegate_cli.verification import by_policy
    from imagegate_cli.verification.report import of_image, of_image_by

    source = _source(command_line, subject, asked)
    if asked.trust_policy:
        by = by_policy.read(asked.trust_policy, asked.trust_store, source.qualified())
        return of_image_by(source, by, now)
    report = of_image(source, asked.revoking(_trust(source, asked), by_default=True), asked.gate, now)
    if asked.bundle is not None:
        _write(source, report, asked.bundle)
    return report


def _source(command_line: CommandLine, subject: str, asked: VerifyOptions) -> ImageSource:
    from imagegate_cli.verification.sources import in_ecr, in_registry, is_foreign

    if is_foreign(subject) and (asked.profile or asked.trust_policy):
        return in_registry(subject)
    try:
        reference = RepositoryReference.parse(subject)
    except RejectedInputError as error:
        raise CannotTellError(
            f"{error}; write REPOSITORY:TAG, REPOSITORY@DIGEST or the name of a bundle"
        ) from error
    if not reference.names_an_image:
        raise CannotTellError(f"{subject} names no image; write REPOSITORY:TAG or REPOSITORY@DIGEST")
    return in_ecr(command_line.stack, reference)


def _trust(source: ImageSource, asked: VerifyOptions) -> Trust:
    from imagegate_cli.verification.trust import of_profiles, of_stack

    if asked.profile:
        return of_profiles(asked.profile, asked.roots)
    if source.stack is None:
        raise CannotTellError(
            "whose gates? Name their profiles: --profile arn:aws:signer:…:/signing-profiles/NAME"
        )
    return of_stack(source.stack, asked.roots, source.image)


def _write(source: ImageSource, report: VerificationReport, path: Path) -> None:
    from imagegate_cli.verification import bundle as bundles

    if source.stack is None:
        raise CannotTellError("a bundle is made from the stack's records; this registry has none")
    digest = report.decision_digest or source.latest_decision()
    if digest is None:
        raise CannotTellError(f"{report.subject} was never judged: there is nothing to bundle")
    records = source.stack.records
    policy = source.policy_of(digest)
    bundles.write(bundles.collected(records, policy, digest, report.evidence), path)
    say(f"wrote {path}", err=True)
