"""The policy file: what it may say, and how its faults are reported."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegate.errors import InvalidPolicyError
from imagegate.findings.finding import Severity
from imagegate.oci.image import Digest
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.file.load import parse_policy
from imagegate.policy.file.yaml import read_yaml
from imagegate.policy.policy import Arrival, Mode, RepositoryPattern, Stage
from imagegate.policy.rules import Action, Limit
from tests.component.policies import TODAY, dev_faults, stage
from tests.component.policy_damage import FULL, damaged

SMALL = """\
version: 1
stages:
  dev:
    repositories: "{app}-dev"
    promotes_to: staging
    promote_tags: ["v*", "1.*"]
    mode: observe
    scan: {timeout: 45s}
    findings:
      max: {critical: {limit: 1, action: warn}, low: 3, untriaged: {limit: 0, action: off}}
  staging:
    repositories: "{app}-staging"
    approval: required
"""


def stages(text: str) -> str:
    return "version: 1\nstages:\n" + text


def faults(content: str | bytes, prefix: str = "") -> list[str]:
    with pytest.raises(InvalidPolicyError) as raised:
        parse_policy(content.encode() if isinstance(content, str) else content, prefix=prefix)
    return str(raised.value).splitlines()


def test_missing_settings_of_a_stage_have_the_domains_defaults() -> None:
    policy = parse_policy(stages("  a: {repositories: x}\n").encode())
    assert policy.stages == {"a": Stage("a", RepositoryPattern("x"))}


def test_a_policy_is_known_by_the_digest_of_its_bytes() -> None:
    assert parse_policy(SMALL.encode()).digest == Digest.of(SMALL.encode())


def test_every_setting_arrives_in_its_stage() -> None:
    dev, staging = parse_policy(SMALL.encode()).stages.values()
    assert (dev.promotes_to, dev.promote_tags, dev.mode) == ("staging", ("v*", "1.*"), Mode.OBSERVE)
    assert dev.scan_timeout == timedelta(seconds=45)
    assert staging.scan_timeout == timedelta(minutes=30)
    assert (dev.approval, staging.approval) == (None, ApprovalTerms())


def test_limits_that_are_not_given_keep_their_default() -> None:
    assert parse_policy(SMALL.encode()).stages["dev"].findings.max == {
        Severity.CRITICAL: Limit(1, Action.WARN),
        Severity.HIGH: Limit(5),
        Severity.MEDIUM: Limit(20),
        Severity.LOW: Limit(3),
        Severity.UNDEFINED: Limit(0, Action.OFF),
    }


def test_an_alias_equals_its_target() -> None:
    text = stages(
        "  a: {repositories: a, findings: &f {max: {high: 1}}}\n  b: {repositories: b, findings: *f}\n"
    )
    assert parse_policy(text.encode()).stages["b"].findings.max[Severity.HIGH] == Limit(1)


def test_all_faults_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = (
        stages("  dev:\n    repositores: x\n    mode: enfroce\n    scan: {timeout: 1}\n  dev: {}\n")
        + "extra: 1\n"
    )
    assert faults(text) == [
        "policy.yaml:3: stages.dev.repositories: is missing",
        "policy.yaml:4: stages.dev.repositores: unknown key (did you mean repositories?)",
        "policy.yaml:5: stages.dev.mode: must be 'enforce' or 'observe', not 'enfroce' (did you mean enforce?)",
        "policy.yaml:6: stages.dev.scan.timeout: must be a time such as 45s, 30m, 2h or 7d, not 1",
        "policy.yaml:7: stages.dev: given twice (first in line 3)",
        "policy.yaml:8: extra: unknown key",
    ]


BAD_FILES = {
    "": "1: the file is empty",
    "# only a comment\n": "1: the file is empty",
    "- a\n": "1: must be a mapping, not a list",
    "version: 1\nstages: {}\n": "2: stages: must not be empty",
    "version: 1\nstages:\n": "2: stages: must be a mapping, not nothing",
    stages("  a: {repositories: a}\n") + "---\nb: 1\n": "4: a second document begins here; a file has one",
    stages("  a: {repositories: a}\n").replace("1", "2"): "1: version: must be 1, not 2",
    stages("  a: {repositories: a}\n").replace("1", "'1'"): "1: version: must be 1, not '1'",
    stages("  a: {repositories: a}\n  5: {}\n"): "4: stages: a key must be text, not 5",
    stages("  a: {repositories: a}\n  ? [x]\n  : 1\n"): "4: a key must be text, not a list or a mapping",
    stages("  a: {repositories: *x}\n"): "3: *x has no anchor before it",
    stages("  a: &a {repositories: *a}\n"): "3: *a has no anchor before it",
    stages(
        "  a: {repositories: !env home}\n"
    ): "3: stages.a.repositories: tags such as !env are not supported",
    stages(
        "  Dev: {repositories: a}\n"
    ): "3: stages.Dev: a stage's name is a lower-case letter, then at most 30 letters, digits and hyphens",
    stages("  a: {repositories: 7}\n"): "3: stages.a.repositories: must be text (in quotes), not 7",
    stages(
        "  a: {repositories: A}\n"
    ): "3: stages.a.repositories: no ECR repository can be called 'A': lower case, "
    "digits and . _ - / between them",
    stages("  a: {repositories: '{app}/{app}'}\n"): "3: stages.a.repositories: {app} may occur only once",
    stages("  a: {repositories: a, promote_tags: []}\n"): "3: stages.a.promote_tags: must not be empty",
    stages(
        "  a: {repositories: a, promote_tags: ['']}\n"
    ): "3: stages.a.promote_tags[0]: no tag can match ''",
    stages(
        "  a: {repositories: a, promote_tags: [1]}\n"
    ): "3: stages.a.promote_tags[0]: must be text (in quotes), not 1",
    stages(
        "  a: {repositories: a, scan: {timeout: 25h}}\n"
    ): "3: stages.a.scan.timeout: must be from 30s to 24h, not 25h",
    stages(
        "  a: {repositories: a, scan: {timeout: 29s}}\n"
    ): "3: stages.a.scan.timeout: must be from 30s to 24h, not 29s",
    stages(
        "  a: {repositories: a, approval: maybe}\n"
    ): "3: stages.a.approval: must be none, required or a mapping, not 'maybe'",
    stages(
        "  a:\n    repositories: a\n    findings:\n      max:\n        low: many\n"
    ): "7: stages.a.findings.max.low: must be a whole number, not 'many'",
    stages(
        "  a: {repositories: a, findings: {max: {low: -1}}}\n"
    ): "3: stages.a.findings.max.low: must be 0 or more, not -1",
    stages(
        "  a: {repositories: a, findings: {max: {low: {limit: 1.5}}}}\n"
    ): "3: stages.a.findings.max.low.limit: must be a whole number, not '1.5'",
    stages(
        "  a: {repositories: a, findings: {max: {undefined: 1, untriaged: 2}}}\n"
    ): "3: stages.a.findings.max: undefined and untriaged are the same; give one of them",
    stages(
        "  a: {repositories: a, promotes_to: a}\n"
    ): "3: stages.a.promotes_to: a stage cannot promote to itself",
    stages(
        "  one: {repositories: a, promotes_to: tow}\n  two: {repositories: b}\n"
    ): "3: stages.one.promotes_to: there is no stage 'tow' (did you mean two?)",
    stages(
        "  a: {repositories: a, promotes_to: b}\n  b: {repositories: '{app}-b'}\n"
    ): "3: stages.a.promotes_to: {app} must be in the repositories of both a and b, or of neither",
    stages(
        "  a: {repositories: '{app}-dev'}\n  b: {repositories: 'shop/{app}'}\n"
    ): "4: stages.b.repositories: 'shop/app-dev' would belong to a too",
    stages("  a: {repositories: '{app}-dev'}\n  b: {repositories: x-dev}\n"): "4: stages.b.repositories: "
    "'x-dev' would belong to a too",
    stages("  a: {repositories: x, promotes_to: b}\n  b: {repositories: y, promotes_to: c}\n")
    + "  c: {repositories: z, promotes_to: b}\n": "4: stages.b.promotes_to: a cycle: b → c → b",
}


@pytest.mark.parametrize(("text", "fault"), BAD_FILES.items(), ids=BAD_FILES.values())
def test_a_fault_is_named_with_its_line_and_path(text: str, fault: str) -> None:
    assert faults(text) == [f"policy.yaml:{fault}"]


def test_repositories_begin_with_the_prefix_that_the_stack_is_limited_to() -> None:
    text = stages("  a: {repositories: 'shop/{app}'}\n")
    assert parse_policy(text.encode(), prefix="shop/").stage_of("shop/web") is not None
    assert faults(text, prefix="team/") == [
        "policy.yaml:3: stages.a.repositories: must begin with 'team/', to which this stack is limited: "
        "'team/shop/{app}'?"
    ]


def test_platforms_and_arrivals_are_settings_of_a_stage() -> None:
    text = stages("  a: {repositories: x, sign_platforms: true, arrivals: {replication: not_gated}}\n")
    stage = parse_policy(text.encode()).stages["a"]
    assert (stage.sign_platforms, stage.not_gated) == (True, frozenset({Arrival.REPLICATION}))


BOMB = "x: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{now}: &{now} [{','.join([f'*{before}'] * 9)}]\n"
    for before, now in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (BOMB.encode(), "5: more than 10000 values"),
        (b"[" * 100_000, "1: nested deeper than 20 levels"),
        (b"{a: " * 100_000, "1: nested deeper than 20 levels"),
        (b"? " * 100_000, "1: a key must be text, not a list or a mapping"),
        (b"#" * (1 << 20) + b"#", "1: the file is larger than 1048576 bytes"),
        (b"version: 1\nname: \xff\n", "2: not UTF-8 text"),
    ],
    ids=["aliases", "lists", "mappings", "keys", "size", "encoding"],
)
def test_a_file_made_to_exhaust_the_reader_is_refused(content: bytes, fault: str) -> None:
    assert faults(content) == [f"policy.yaml:{fault}"]


@pytest.mark.parametrize("text", ["[a", "a: b: c", "a: 'b", "\t- a", "a: \x01", "%YAML 3.0\n---\na: b"])
def test_anything_but_yaml_is_refused_as_such(text: str) -> None:
    assert ": not YAML: " in faults(text)[0]


@given(st.text() | st.binary())
def test_no_bytes_get_anything_but_a_policy_or_a_list_of_faults(content: str | bytes) -> None:
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    with pytest.raises(InvalidPolicyError):
        parse_policy(raw)


TOLD = re.compile(r"policy\.yaml:([0-9]+): \S.*")


def assert_policy_or_faults(content: bytes) -> None:
    """Check that the result is a policy or faults, and that every fault names a line of the file once."""
    try:
        parse_policy(content, today=TODAY)
    except InvalidPolicyError as error:
        told = str(error).splitlines()
        found = [match for line in told if (match := TOLD.fullmatch(line))]
        assert len(found) == len(told) == len(set(told))
        last = len(re.split(rb"\r\n?|\n", content))
        assert all(1 <= int(match[1]) <= last for match in found)
        assert all(line.isprintable() for line in told)


@given(st.binary(min_size=1, max_size=4), st.integers(0, len(FULL)))
def test_a_damaged_policy_is_a_policy_or_a_list_of_faults(damage: bytes, at: int) -> None:
    assert_policy_or_faults(FULL[:at] + damage + FULL[at + len(damage) :])


@given(damaged())
def test_a_policy_with_other_parts_is_a_policy_or_a_list_of_faults(content: bytes) -> None:
    assert_policy_or_faults(content)


def test_a_full_policy_is_a_policy() -> None:
    assert parse_policy(FULL, today=TODAY).stages.keys() == {"base", "dev", "prod"}


def test_more_stages_than_anybody_has_are_refused_at_once() -> None:
    many = "".join(f"  s{number}: {{repositories: r{number}}}\n" for number in range(101))
    assert faults(stages(many)) == ["policy.yaml:2: stages: more than 100 stages"]


@pytest.mark.parametrize("before", ["# \U0001f600 é\n", "\ufeff#\n", "# \u0085 \u2028\n", "#\r\n", "#\r"])
def test_lines_are_counted_as_editors_do(before: str) -> None:
    assert faults(before + "version: 2\nstages: {a: {repositories: a}}\n") == [
        "policy.yaml:2: version: must be 1, not 2"
    ]
    assert faults(before + "a: b: c")[0].startswith("policy.yaml:2: not YAML: ")


HIDING = [*"\r\x85\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]


@pytest.mark.parametrize("character", HIDING, ids=ascii)
def test_nobody_reads_another_policy_than_the_parser(character: str) -> None:
    """Behind such a character, a line that looks like a comment is a setting, or text is shown in another order."""
    content = f"{SMALL}# was: {character}owners: {{x: team}}\r\n".encode()
    with pytest.raises(InvalidPolicyError, match=rf"policy\.yaml:14: U\+{ord(character):04X} "):
        parse_policy(content, today=TODAY)
    assert parse_policy(content)  # what was accepted before stays readable
    written = f"{SMALL}# déjà vu \u00a0\u200d\r\nowners: {{x: team}}\r\n"
    assert parse_policy(written.encode(), today=TODAY).owners == {"x": "team"}


def test_half_a_character_is_no_text() -> None:
    told = faults(stages('  a: {repositories: a, promote_tags: ["\\ud800"]}\n'))
    assert any(": not YAML: " in line or "half a character" in line for line in told)


def test_the_line_of_a_part_is_where_it_stands_or_its_nearest_parent() -> None:
    content = stages("  a:\n    repositories: a\n").encode()
    assert read_yaml(content).line_of(("stages", "a", "repositories")) == 4
    assert read_yaml(content).line_of(("stages", "a", "findings", "max")) == 3
    assert read_yaml(content).line_of(("waivers", 0)) == 1
    assert read_yaml(b"[").line_of(("stages",)) == 1


USER, ROLE = "arn:aws:iam::123456789012:user/", "arn:aws:iam::123456789012:role/"
SSO = "AWSReservedSSO_Admin_0123456789abcdef"


@pytest.mark.parametrize(
    ("terms", "people"),
    [
        (f"approvers: ['{USER}ann'], quorum: 2", 1),
        (f"approvers: ['{ROLE}ops'], quorum: 2", 1),
        (f"approvers: ['{ROLE}ops', '{USER}ann'], quorum: 3, named_sessions: ['{ROLE}dev']", 2),
        (f"approvers: ['{USER}ann'], by_mail: [a@b.de, A@b.de], quorum: 3", 2),
    ],
)
def test_a_quorum_that_nobody_can_reach_is_a_fault(terms: str, people: int) -> None:
    [fault] = dev_faults(f"approval: {{{terms}}}")
    assert fault.endswith(f"have to approve, and only {people} may")


@pytest.mark.parametrize(
    "terms",
    [
        f"approvers: ['{ROLE}ops'], quorum: 2, named_sessions: ['{ROLE}o*']",
        f"approvers: ['{ROLE}o*'], quorum: 2",
        f"approvers: ['{ROLE}{SSO}'], quorum: 2",
        "approvers: ['tag:team=ops'], quorum: 2",
        "quorum: 9",
    ],
)
def test_a_quorum_that_people_may_reach_is_none(terms: str) -> None:
    assert stage(f"approval: {{{terms}}}").approval


@pytest.mark.parametrize("role", [f"{USER}ann", f"{ROLE}path/ops", "ops", "*", "tag:a=b"])
def test_sessions_are_named_by_the_arn_of_their_role(role: str) -> None:
    [fault] = dev_faults(f"approval: {{named_sessions: ['{role}']}}")
    assert "must be the ARN of a role, without its path" in fault
