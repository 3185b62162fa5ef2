"""The runbook: its commands run as they are written, and those of the AWS CLI have options that exist."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import jmespath  # type: ignore[import-untyped]
import pytest
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import Shape

from tests.contract.test_template import FUNCTIONS, TEMPLATE
from tests.e2e.command_line import imagegate_here
from tests.e2e.gate import Gate
from tests.e2e.test_dead_letters import lose_a_request

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs/runbook"
# The page that revokes an image comes last, because all pages share a shop.
PAGES = sorted(RUNBOOK.glob("*.md"), key=lambda page: (page.stem == "incident", page.stem))
APP = "runbook"  # for the shop of the pages, which other tests use
OTHER_LANGUAGES = {"yaml", "json"}  # blocks of files
OTHER_PROGRAMS = {"docker", "skopeo", "kubectl"}  # not checked any further
CHANGES = ("release", "decide", "rollback", "dlq redrive", "dlq drop", "baseline apply", "cleanup apply")
ASKS = ("decide revoke", "dlq redrive --all", "dlq drop")  # a question, which --yes answers

# Exit codes that the pages lead to expect; else 0. They are all in the help of the command.
CODES: Mapping[str, set[int]] = {
    "doctor": {0, 1},  # something is wrong: the dead letters, for example
    "audit": {0, 1},  # something does not comply
    "dlq redrive": {0, 1},  # some are kept
    "baseline plan": {0, 1, 2},  # something differs; the shop has no baseline
    "cleanup plan": {0, 1, 2},  # something may go; nobody can tell about the images of other tests
    "access": {0, 2},  # the sandbox has no CloudTrail
    "verify shop-staging:1.0": {1},  # revoked
    "verify IMAGE --bundle FILE": {1},  # the same image
}

# Commands of the AWS CLI that are not operations of a service, and their own options (AWS CLI Command Reference).
CUSTOM = {
    ("logs", "tail"): {"since", "follow", "format", "filter-pattern", "log-stream-names"},
    ("ecr", "get-login-password"): set[str](),
}
GLOBAL = {"region", "profile", "query", "output"}


@dataclass(frozen=True)
class Command:
    """A command line of a page; `block` is the language of its block, or `text` for one in a sentence."""

    page: str
    block: str
    line: str

    def __str__(self) -> str:
        return f"{self.page}: {self.line}"


_BLOCK = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
_IN_SENTENCE = re.compile(r"`((?:imagegate|aws|docker|skopeo|kubectl)\s[^`]+)`")


def commands(page: str, text: str) -> Iterator[Command]:
    for _, language, block in _BLOCK.findall(text):
        if language not in OTHER_LANGUAGES:
            yield from (
                Command(page, language, part) for line in lines(language, block) for part in parts(line)
            )
    for found in _IN_SENTENCE.findall(_BLOCK.sub("", text)):
        yield Command(page, "text", " ".join(found.split()))


def lines(language: str, block: str) -> Iterator[str]:
    """Yield the command lines of a block. Fails where a line is neither a command nor the output of one."""
    assert language in {"sh", "console"}, f"blocks of {language!r} are unknown"
    written = re.sub(r"\\\n\s*", "", textwrap.dedent(block)).splitlines()
    assert language == "sh" or written[0].startswith("$ "), block
    for line in written:
        if language == "sh" or line.startswith("$ "):
            yield line.removeprefix("$ ").strip()


def parts(line: str) -> Iterator[str]:
    """Yield the commands of a pipe."""
    words: list[str] = []
    for word in (*shlex.split(line, comments=True), "|"):
        if word != "|":
            words.append(word)
        else:
            yield shlex.join(words)
            words = []


ALL = [command for page in PAGES for command in commands(page.stem, page.read_text())]
# The queue of dead letters is emptied at the very end.
DISTINCT = sorted(
    {command.line: command for command in ALL}.values(),
    key=lambda command: command.line == "imagegate dlq redrive --all",
)


def of(program: str) -> list[Command]:
    return [command for command in DISTINCT if command.line.split()[0] == program]


def test_every_command_is_of_a_program_that_is_run_or_checked() -> None:
    assert {command.page for command in ALL} == {page.stem for page in PAGES} - {"index"}
    for command in ALL:
        assert command.line.split()[0] in {"imagegate", "aws"} | OTHER_PROGRAMS, command


def test_blocks_without_a_dollar_only_read() -> None:
    for command in (one for one in ALL if one.block == "sh"):
        program, _, rest = command.line.partition(" ")
        assert program == "imagegate", command
        assert not rest.startswith(CHANGES) or "--dry-run" in rest, command


# imagegate


@dataclass(frozen=True)
class Shop:
    gate: Gate
    words: Mapping[str, str]

    def run(self, command: Command) -> None:
        _, *arguments = shlex.split(command.line)
        line = " ".join(arguments)
        filled = [self.filled(word) for word in arguments] + ["--yes"] * line.startswith(ASKS)
        done = imagegate_here(self.gate, *filled)
        codes = next((codes for start, codes in CODES.items() if line.startswith(start)), {0})
        assert done.code in codes, (done.code, filled, done.out[-500:], done.err[-500:])
        assert not re.search("Usage: |Traceback", done.err), done.err

    def filled(self, word: str) -> str:
        """Replace a placeholder by its value. Fails where the test has no value for it."""
        filled = re.sub(r"^shop\b", APP, self.words.get(word, word))
        assert filled != word or not re.fullmatch(r"[A-Z_.:]{2,}", word), f"nothing here is {word}"
        return filled


@pytest.fixture(scope="module")
def shop(gate: Gate) -> Shop:
    """Let images of one application end in each way: two releases in production, one held, one blocked; lose events."""
    gate.findings(f"{APP}-blocked-dev", CRITICAL=1)
    blocked = gate.push(f"{APP}-blocked-dev", "1.0")
    older, newer, held = (gate.push(f"{APP}-dev", tag, tag) for tag in ("0.9", "1.0", "1.1"))
    lose_a_request(gate, f"{APP}-dev", held)
    lose_a_request(gate, f"{APP}-dev", newer)
    for digest, tag in ((older, "0.9"), (newer, "1.0")):
        assert gate.ended(f"{APP}-staging", digest)["outcome"] == "held"
        assert (
            imagegate_here(gate, "decide", "approve", f"{APP}-staging:{tag}", "--reason", "tried").code == 0
        )
        assert gate.ended(f"{APP}-production", digest)["outcome"] == "released"
    assert gate.ended(f"{APP}-staging", held)["outcome"] == "held"
    assert gate.ended(f"{APP}-blocked-dev", blocked)["outcome"] == "blocked"
    letters = gate.eventually(
        lambda: imagegate_here(gate, "dlq", "list", "--json").json, "the request is a dead letter"
    )
    words = {
        "REPOSITORY:TAG": f"{APP}-dev:1.0",
        "IMAGE": f"{APP}-dev:1.0",
        "REPOSITORY": f"{APP}-dev",
        "ID": letters[0]["id"],
        "FILE": str(gate.work / "runbook.zip"),
        "DIR": str(gate.work / "board"),
        "NEW.yaml": str(ROOT / "layers/policy/policy.yaml"),
        "shop-canary": f"{APP}-dev",  # the shared policy has no stage for a canary
    }
    return Shop(gate, words)


@pytest.mark.parametrize("command", of("imagegate"), ids=str)
def test_a_command_of_imagegate_runs(shop: Shop, command: Command) -> None:
    shop.run(command)


# AWS


def options(words: list[str]) -> dict[str, list[str]]:
    """Return each option of a command line of the AWS CLI and its values."""
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            found[word.removeprefix("--")] = values = []
        else:
            values.append(word)
    return found


def operation(service: str, name: str) -> Shape | None:
    """Return the input of an operation in the form of the command line. Fails where there is none."""
    try:
        model = botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        pytest.fail(f"AWS has no service {service}")
    names = {xform_name(one, "-"): one for one in model.operation_names}
    assert name in names, f"{service} has no {name}"
    shape: Shape | None = model.operation_model(names[name]).input_shape
    return shape


def checked(line: str) -> None:
    """Fails where the AWS CLI would refuse the command line, or where it names what the stack does not have."""
    _, service, name, *words = shlex.split(line)
    if (service, name) == ("logs", "tail"):
        group = words.pop(0).replace("imagegate-", "${AWS::StackName}-", 1)
        groups = [one["Properties"]["LogGroupName"] for one in LOG_GROUPS]
        assert {"Fn::Sub": group} in groups, f"the stack has no log group {group}"
    given = options(words)
    own: Mapping[str, Any] = dict.fromkeys(CUSTOM.get((service, name), ()))
    if (service, name) not in CUSTOM:
        shape: Any = operation(service, name)
        own = {xform_name(one, "-"): part for one, part in shape.members.items()} if shape else {}
        missing = {xform_name(one, "-") for one in getattr(shape, "required_members", ())} - set(given)
        assert not missing, f"{line}: no {missing}"
    for option, values in given.items():
        assert option in own or option in GLOBAL, f"{line}: there is no --{option}"
        assert values, f"{line}: --{option} has no value"
        assert set(values) <= set(getattr(own.get(option), "enum", ()) or values), (
            f"{line}: --{option} has no such value"
        )
    if "query" in given:
        jmespath.compile(given["query"][0])
    if found := re.fullmatch(r"imagegate-(\w+)", given.get("name-prefix", [""])[0]):
        assert found[1] in FUNCTIONS, f"{line}: rules are named after functions"


LOG_GROUPS = [one for one in TEMPLATE["Resources"].values() if one["Type"] == "AWS::Logs::LogGroup"]


@pytest.mark.parametrize("command", of("aws"), ids=str)
def test_the_aws_cli_takes_a_command(command: Command) -> None:
    checked(command.line)


@pytest.mark.parametrize(
    "line",
    [
        "aws elastic get-x",
        "aws ecr describe-imagez --repository-name shop-dev",
        "aws ecr describe-images --repository shop-dev",
        "aws ecr describe-images",
        "aws ecr describe-images --repository-name",
        "aws logs tail /aws/lambda/imagegate-nothing",
        "aws events list-rules --name-prefix imagegate-NoFunction",
        "aws ecr get-login-password --host x",
    ],
)
def test_a_mistake_in_a_command_of_aws_is_seen(line: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        checked(line)


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nrm -r x\n```\n",
        "```\nimagegate list\n```\n",
        "```bash\nimagegate list\n```\n",
        "```console\nimagegate list\n```\n",
    ],
)
def test_a_block_that_would_not_be_run_is_seen(text: str) -> None:
    with pytest.raises(AssertionError):
        assert [one.line.split()[0] for one in commands("x", text)] == ["imagegate"]
