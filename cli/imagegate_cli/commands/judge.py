"""`imagegate judge`: the gate's verdict about scanners' files, or about an image in ECR."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagegate_cli.context import CommandLine, now
from imagegate_cli.faults import CANNOT_TELL, CannotTellError
from imagegate_cli.output.terminal import print_content, say
from imagegate_cli.reference import ReferenceType, RepositoryReference
from imagegate_cli.scanners.supported import short_list

if TYPE_CHECKING:
    from imagegate.policy.policy import Policy
    from imagegate_cli.judgement.opinion import Opinion

_FORMATS = ("table", "json", "sarif", "markdown")
_PATH = click.Path(path_type=Path)
# Options that an image in ECR does not take, by the names of their parameters.
_ONLY_WITH_FILES = {
    "config": "--config",
    "repository": "--repository",
    "tags": "--tag",
    "vex": "--vex",
    "vex_products": "--vex-product",
    "kev": "--kev",
    "epss": "--epss",
}
# More than a policy may have; the parser says so.
_POLICY_BYTES = 2 << 20


@click.command()
@click.argument("reference", type=ReferenceType(), metavar="[REPOSITORY:TAG]", required=False)
@click.option(
    "--policy", "policy_file", type=_PATH, help="Policy file; for an image in ECR the deployed one."
)
@click.option(
    "--findings",
    type=_PATH,
    multiple=True,
    help=f"Report of a scanner, or - for standard input: {short_list()}. May be repeated.",
)
@click.option("--config", type=_PATH, help="The image's config, as skopeo inspect --config prints it.")
@click.option("--stage", help="The stage of the gate. Default: that of --repository, or the first one.")
@click.option("--repository", help="The repository to which the image will be pushed; for waivers.")
@click.option("--tag", "tags", multiple=True, help="A tag with which it will be pushed. May be repeated.")
@click.option("--vex", type=_PATH, multiple=True, help="OpenVEX or CSAF VEX document. May be repeated.")
@click.option(
    "--vex-product",
    "vex_products",
    multiple=True,
    help="A product of the VEX documents that is this image: a name in them, or a glob. May be repeated.",
)
@click.option("--kev", type=_PATH, help="CISA's known_exploited_vulnerabilities.json.")
@click.option("--epss", type=_PATH, help="FIRST's EPSS scores, .csv or .csv.gz.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--explain", is_flag=True, help="In the table: every finding, and why it counts or not.")
@click.option("--output", type=_PATH, help="Write to this file; the verdict still goes to stderr.")
@click.option("--write-vex", type=_PATH, help="Also write an OpenVEX document of the findings.")
@click.pass_obj
def judge(command_line: CommandLine, /, **options: Any) -> None:
    """Judge scanners' files, or an image in ECR, as the pipeline would. Writes nothing to AWS.

    \b
    imagegate judge --policy policy.yaml --findings trivy.json --config config.json
    imagegate judge shop-dev:1.0

    \b
    Exit codes:
      0  passes (or would be blocked by a stage that only observes)
      1  blocked
      2  could not judge: something is missing or cannot be read
    """
    _check_standard_input(options)
    opinion = _judge(command_line, options)
    form = "json" if options["as_json"] else options["form"]
    text = _formatted(opinion, form, explain=options["explain"])
    if options["output"] is None:
        print_content(text)
    else:
        from imagegate_cli.judgement.opinion import headline

        _write(options["output"], text)
        say(headline(opinion), err=True)
    if options["write_vex"]:
        from imagegate_cli.judgement.vex import write_document

        _write(options["write_vex"], write_document(opinion))
    raise click.exceptions.Exit(opinion.exit_code)


def _check_standard_input(options: dict[str, Any]) -> None:
    """Raise a usage error if several options name standard input, which can be read only once."""
    single = ("policy_file", "config", "kev", "epss")
    paths = [*options["findings"], *options["vex"], *(options[name] for name in single)]
    if sum(str(path) == "-" for path in paths) > 1:
        raise click.UsageError("only one file can be standard input (-)")


def _judge(command_line: CommandLine, options: dict[str, Any]) -> Opinion:
    at = now().replace(microsecond=0)
    reference: RepositoryReference | None = options["reference"]
    if (reference is None) is (not options["findings"]):
        raise click.UsageError("give scanners' files with --findings, or name an image: REPOSITORY:TAG")
    if reference is not None:
        return _judge_in_ecr(command_line, reference, options, at)
    if options["policy_file"] is None:
        raise click.UsageError("name the policy with --policy FILE")
    from imagegate_cli.judgement.local import JudgeOptions, judge_files

    return judge_files(
        JudgeOptions(**{field.name: options[field.name] for field in fields(JudgeOptions)}),
        _policy(options["policy_file"], at),
        at,
    )


def _judge_in_ecr(
    command_line: CommandLine, reference: RepositoryReference, options: dict[str, Any], now: datetime
) -> Opinion:
    if not reference.names_an_image:
        raise click.UsageError(f"{reference} names no image; write REPOSITORY:TAG or REPOSITORY@DIGEST")
    ignored = [option for name, option in _ONLY_WITH_FILES.items() if options[name]]
    if ignored:
        raise click.UsageError(
            f"an image in ECR is judged by the facts that AWS has; leave out {', '.join(ignored)}"
        )
    from imagegate_cli.judgement.local import select_stage
    from imagegate_cli.judgement.remote import judge_image

    stack, file = command_line.stack, options["policy_file"]
    policy = _policy(file, now) if file else stack.policy
    stage = select_stage(policy, options["stage"], reference.repository)
    return judge_image(stack, reference, policy, stage, str(file or "deployed"), now)


def _policy(path: Path, now: datetime) -> Policy:
    """Read the policy. If it has faults, print each on its own line and exit with 2."""
    from imagegate.errors import InvalidPolicyError
    from imagegate.policy.file.load import parse_policy
    from imagegate_cli.scanners.document import content_of, name_of

    try:
        return parse_policy(content_of(path, _POLICY_BYTES), name=name_of(path), today=now.date())
    except InvalidPolicyError as error:
        for fault in error.args:
            say(fault, err=True)
        raise click.exceptions.Exit(CANNOT_TELL) from error


def _formatted(opinion: Opinion, form: str, *, explain: bool) -> str:
    from imagegate_cli.judgement import forms

    if form == "json":
        return forms.to_text(forms.as_json(opinion))
    if form == "sarif":
        return forms.to_text(forms.as_sarif(opinion))
    if form == "markdown":
        return forms.as_markdown(opinion)
    from imagegate_cli.judgement.table import render_opinion
    from imagegate_cli.output import screen

    console = screen.console()
    with console.capture() as capture:
        console.print(render_opinion(opinion, console.width, explain=explain))
    return capture.get()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotTellError(f"{path}: {error.strerror}") from error
