"""`imagegate verify`: verifies which gate an image passed, also from a bundle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagegate.errors import ImageGateError, RejectedInputError
from imagegate.text import one_line
from imagegate_cli.context import CommandLine, now
from imagegate_cli.faults import CANNOT_TELL, CannotTellError, explain
from imagegate_cli.output.terminal import print_content, say, show_json
from imagegate_cli.reference import RepositoryReference

if TYPE_CHECKING:
    from imagegate_cli.evidence_pack.check import PackReport
    from imagegate_cli.stack import Stack
    from imagegate_cli.verification.checks import Trust
    from imagegate_cli.verification.report import VerificationReport
    from imagegate_cli.verification.sources import ImageSource

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """The options of the command."""

    gate: str | None
    trust_root: Path | None
    profile: str | None
    revocation: bool | None
    trust_policy: Path | None
    trust_store: Path | None
    bundle: Path | None
    fail_on_risk: bool

    @property
    def roots(self) -> frozenset[str] | None:
        from imagegate_cli.verification.trust import roots_in

        return roots_in(self.trust_root) if self.trust_root else None

    def revoking(self, trust: Trust, *, by_default: bool) -> Trust:
        """Return the trust with or without a check of revocations, by the option or the default."""
        from imagegate.notation.revocation import AwsRevocations

        is_checked = by_default if self.revocation is None else self.revocation
        return replace(trust, revoked=AwsRevocations() if is_checked else None)


@click.command()
@click.argument("subjects", metavar="[REPOSITORY:TAG|@DIGEST|FILE]...", nargs=-1)
@click.option("--gate", help="Require the signature of this stage's gate. Default: of any gate.")
@click.option(
    "--trust-root",
    type=_PATH,
    envvar="IMAGEGATE_TRUST_ROOT",
    show_envvar=True,
    help="Root certificates in PEM. Default: of the stack, or AWS Signer's.",
)
@click.option("--profile", help="ARN of the gates' signing profiles, up to __STAGE; instead of a stack.")
@click.option(
    "--revocation/--no-revocation",
    default=None,
    help="Ask AWS Signer for revocations. Default: yes for images, no for a FILE.",
)
@click.option(
    "--trust-policy", type=_PATH, help="Verify by this Notation trust policy (JSON), not by the gates."
)
@click.option(
    "--trust-store", type=_PATH, help="The trust stores of that policy. Default: truststore beside it."
)
@click.option("--fail-on-risk", is_flag=True, help="Exit with 1 if the image is at risk today.")
@click.option("--bundle", type=_PATH, help="Write everything that the verdict depends on into this file.")
@click.option(
    "--print-policy",
    type=click.Choice(["notation", "kyverno", "ratify"]),
    help="Verify nothing; print a policy for that program, for all gates or for --gate.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object; of several images a list.")
@click.pass_obj
def verify(
    command_line: CommandLine,
    /,
    subjects: tuple[str, ...],
    print_policy: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Verify which gate an image passed, when, under which policy, on which evidence.

    An image in ECR, or in another OCI registry (HOST/REPOSITORY:TAG, with --profile); or a FILE that --bundle or
    imagegate audit --evidence wrote, which is judged again on this machine, without AWS. Several can be named: the
    highest exit code counts.

    \b
    Exit codes:
      0  passed, and all evidence is valid
      1  did not pass, or some evidence is not valid
      2  not known: something is missing or cannot be read
    """
    given = VerifyOptions(**options)
    if print_policy:
        _print(command_line.stack, print_policy, given)
        return
    if not subjects:
        raise click.UsageError("name an image or a bundle, or say --print-policy")
    if len(subjects) == 1:
        report = _verify(command_line, subjects[0], given)
        if as_json:
            show_json(report.as_json())
        else:
            _show(report)
        raise click.exceptions.Exit(report.exit_code)
    if given.bundle is not None:
        raise click.UsageError("--bundle is for one image")
    raise click.exceptions.Exit(_verify_each(command_line, subjects, given, as_json=as_json))


def _verify(
    command_line: CommandLine, subject: str, options: VerifyOptions
) -> VerificationReport | PackReport:
    if Path(subject).is_file():
        if options.bundle is not None:
            raise click.UsageError(f"--bundle is for an image in ECR, and {subject} is a file")
        from imagegate_cli.evidence_pack.archive import is_pack

        return (_verify_pack if is_pack(Path(subject)) else _verify_bundle)(subject, options, now())
    return _verify_image(command_line, subject, options, now())


def _verify_each(
    command_line: CommandLine, subjects: tuple[str, ...], options: VerifyOptions, *, as_json: bool
) -> int:
    """Verify and show all images, and return the highest exit code. An error of one does not stop the others."""
    from botocore.exceptions import BotoCoreError, ClientError

    codes, documents, is_first = [], [], True
    for subject in subjects:
        try:
            report = _verify(command_line, subject, options)
        except (ImageGateError, click.ClickException, BotoCoreError, ClientError) as error:
            say(f"imagegate: {subject}: {one_line(explain(error))}", err=True)
            documents.append({"subject": subject, "verified": False, "error": explain(error)})
            codes.append(CANNOT_TELL)
            continue
        if not as_json:
            if not is_first:
                say("")
            is_first = False
            _show(report)
        documents.append(report.as_json())
        codes.append(report.exit_code)
    if as_json:
        show_json(documents)
    return max(codes)


def _show(report: VerificationReport | PackReport) -> None:
    from imagegate_cli.evidence_pack.check import PackReport
    from imagegate_cli.output import screen
    from imagegate_cli.verification.view import report_view

    if isinstance(report, PackReport):
        for line in report.lines:
            say(line)
    else:
        screen.console().print(report_view(report))


def _print(stack: Stack, kind: str, options: VerifyOptions) -> None:
    from imagegate_cli.verification.gates import printed

    content, hints = printed(stack, kind, options.gate, options.trust_root)
    print_content(content)
    for hint in hints:
        say(hint, err=True)


def _verify_bundle(name: str, options: VerifyOptions, now: datetime) -> VerificationReport:
    """Verify a bundle. Without --profile every profile that is named like a gate's is accepted, with a note."""
    from imagegate_cli.verification import bundle as bundles
    from imagegate_cli.verification.report import verify_bundle
    from imagegate_cli.verification.trust import of_profiles

    if options.trust_policy:
        raise CannotTellError("a bundle says no registry that a trust policy could apply to")
    trust = options.revoking(of_profiles(options.profile, options.roots), by_default=False)
    knows_profiles = options.profile is not None
    return verify_bundle(
        bundles.read(Path(name)), name, trust, options.gate, now, knows_profiles=knows_profiles
    )


def _verify_pack(name: str, options: VerifyOptions, now: datetime) -> PackReport:
    """Verify an evidence pack. Without --profile every profile that is named like a gate's is accepted, with a note."""
    from imagegate_cli.evidence_pack.check import verify_pack
    from imagegate_cli.verification.trust import of_profiles

    trust = options.revoking(of_profiles(options.profile, options.roots), by_default=False)
    return verify_pack(Path(name), trust, now, knows_profiles=options.profile is not None)


def _verify_image(
    command_line: CommandLine, subject: str, options: VerifyOptions, now: datetime
) -> VerificationReport:
    from imagegate_cli.verification import trust_policy
    from imagegate_cli.verification.report import verify_by_trust_policy, verify_image

    source = _source(command_line, subject, options)
    if options.trust_policy:
        policy = trust_policy.read(options.trust_policy, options.trust_store, source.qualified())
        return verify_by_trust_policy(source, policy, now)
    trust = options.revoking(_trust(source, options), by_default=True)
    report = verify_image(source, trust, options.gate, now, fails_on_risk=options.fail_on_risk)
    if options.bundle is not None:
        _write(source, report, options.bundle)
    return report


def _source(command_line: CommandLine, subject: str, options: VerifyOptions) -> ImageSource:
    from imagegate_cli.verification.sources import in_ecr, in_registry, is_foreign

    if is_foreign(subject) and (options.profile or options.trust_policy):
        return in_registry(subject)
    try:
        reference = RepositoryReference.parse(subject)
        reference.check_is_in(lambda: command_line.stack.registry)
    except RejectedInputError as error:
        raise CannotTellError(
            f"{error}; write REPOSITORY:TAG, REPOSITORY@DIGEST or the name of a bundle, or of another registry"
            " whose gates: --profile ARN"
        ) from error
    if not reference.names_an_image:
        raise CannotTellError(f"{subject} names no image; write REPOSITORY:TAG or REPOSITORY@DIGEST")
    return in_ecr(command_line.stack, reference)


def _trust(source: ImageSource, options: VerifyOptions) -> Trust:
    from imagegate_cli.verification.trust import of_profiles, of_stack

    if options.profile:
        return of_profiles(options.profile, options.roots)
    if source.stack is None:
        raise CannotTellError(
            "whose gates? Name their profiles: --profile arn:aws:signer:…:/signing-profiles/NAME"
        )
    return of_stack(source.stack, options.roots, source.image)


def _write(source: ImageSource, report: VerificationReport, path: Path) -> None:
    """Write the bundle of the image. Raises `CannotTellError` if it was never judged by the stack."""
    from imagegate_cli.verification import bundle as bundles

    if source.stack is None:
        raise CannotTellError("a bundle is made from the stack's records; this registry has none")
    digest = report.decision_digest or source.latest_decision()
    if digest is None:
        raise CannotTellError(f"{report.subject} was never judged: there is nothing to bundle")
    records = source.stack.records
    policy = source.policy_of(digest)
    bundles.write(bundles.collect(records, policy, digest, report.evidence), path)
    say(f"wrote {path}", err=True)
