"""The policies that people begin with: without a fault, and what matters in each."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from imagegate.findings.finding import Severity
from imagegate.policy.approval_terms import ApprovalTerms
from imagegate.policy.file.load import load_policy, parse_policy
from imagegate.policy.policy import Entry, Mode, Scanner, Stage
from imagegate.policy.rules import DEFAULT_MAX_FINDINGS, Action, EvidenceRules, FindingRules, ImageRules, Rule
from imagegate_cli.policy.check import check
from imagegate_cli.policy.source import PolicyFile
from tests.component.policies import ROOT, SAMPLES, SHIPPED, TODAY, sample

_YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_sample_has_no_fault_and_leads_to_an_approved_production(path: Path) -> None:
    policy = parse_policy(path.read_bytes(), today=TODAY)
    approved = [name for name, stage in policy.stages.items() if stage.approval]
    assert approved in (["production"], ["prod"])
    assert policy.target_of("shop-production") is None
    assert not policy.waivers


def samples_of_the_documentation() -> list[tuple[str, str]]:
    """Return each whole policy in the README and the documentation, with the name of its page."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    blocks = [(page.name, found) for page in pages for found in _YAML.findall(page.read_text())]
    return [(name, text) for name, text in blocks if text.startswith("version: 1") and "\nstages:" in text]


def test_no_sample_blocks_what_a_stage_that_observes_lets_go_on_unsigned() -> None:
    documented = samples_of_the_documentation()
    assert "README.md" in [name for name, _ in documented]
    files = [(path.name, path.read_text()) for path in SAMPLES]
    for name, text in [*documented, *files]:
        source = PolicyFile(name, load_policy(text.encode(), today=TODAY))
        assert [note for note in check(source, TODAY).notes if "only observes" in str(note)] == [], name


def test_a_pattern_of_tags_in_the_guide_matches_its_tag_and_no_other_kind() -> None:
    guide = (ROOT / "docs/how-to/write-a-policy.md").read_text()
    rows = re.findall(r"^\| `([\w.-]+)`[^|]*\| `([^|`]+)` \|$", guide, re.MULTILINE)
    assert len(rows) > 5
    shipped = parse_policy(SHIPPED.read_bytes(), today=TODAY).stages["dev"]
    for tag, _ in rows:
        matching = {
            named for named, pattern in rows if replace(shipped, promote_tags=(pattern,)).promotes(tag)
        }
        # A version with a commit is a version, too.
        assert matching == ({tag, "v1.2.3"} if tag.startswith("v") else {tag})


def waivers_of(text: str) -> str:
    """Return the policy with the example waivers, which are comments in the file."""
    lines = text.splitlines()
    start = lines.index("# waivers:")
    return "\n".join([*lines[:start], *(line.removeprefix("# ") for line in lines[start:])])


@pytest.mark.parametrize(
    "path", [path for path in SAMPLES if "# waivers:" in path.read_text()], ids=lambda p: p.name
)
def test_the_waivers_that_a_sample_shows_can_be_used(path: Path) -> None:
    assert parse_policy(waivers_of(path.read_text()).encode(), today=TODAY).waivers


def test_the_shipped_policy_asks_for_limits_and_an_approval_and_for_nothing_else() -> None:
    policy = parse_policy(SHIPPED.read_bytes(), today=TODAY)
    assert policy.scanner is Scanner.BASIC
    assert policy.target_of("shop-dev") == "shop-staging"
    assert policy.target_of("shop-staging") == "shop-production"
    for name, stage in policy.stages.items():
        assert stage == Stage(
            name=name,
            repositories=stage.repositories,
            entry=Entry.OPEN if name == "dev" else Entry.PROMOTION,
            promotes_to=stage.promotes_to,
            approval=ApprovalTerms() if name == "production" else None,
        )
        assert stage.findings == FindingRules(max=DEFAULT_MAX_FINDINGS)
        assert (stage.image, stage.evidence) == (ImageRules(), EvidenceRules())


def test_a_team_begins_without_being_stopped_and_ends_with_a_strict_production() -> None:
    policy = sample("team-of-30.yaml")
    assert policy.scanner is Scanner.ENHANCED
    assert (policy.waiver_terms.max_days, policy.waiver_terms.needs_ticket) == (30, True)
    base, dev, staging, production = policy.stages.values()
    assert [stage.mode for stage in policy.stages.values()] == [
        Mode.ENFORCE,
        Mode.OBSERVE,
        Mode.ENFORCE,
        Mode.ENFORCE,
    ]
    assert policy.base_stages == {"base"}
    assert (base.image.base_images, dev.image.base_images) == (Rule(("base",), Action.OFF), Rule(("base",)))
    assert [stage.findings.no_worse_than_next for stage in (base, dev, staging, production)] == [
        False,
        True,
        True,
        False,
    ]
    assert dev.findings.grace[Severity.CRITICAL] == timedelta(days=2)
    assert dev.findings.no_grace.known_exploited
    assert Severity.CRITICAL not in dev.findings.only_fixable
    assert dev.image.non_root == Rule(True, Action.WARN)
    assert production.findings.max[Severity.HIGH] == Rule(0)
    assert production.findings.max[Severity.MEDIUM] == Rule(40)
    assert production.evidence.require_signature == Rule(True)
    assert staging.evidence.require_signature == Rule(True, Action.WARN)


def test_the_strict_policy_lets_no_finding_wait_and_asks_who_built_what() -> None:
    policy = sample("strict.yaml")
    for stage in policy.stages.values():
        assert stage.mode is Mode.ENFORCE
        assert not stage.findings.grace
        assert not stage.findings.only_fixable
        assert {stage.findings.max[severity].value for severity in DEFAULT_MAX_FINDINGS} == {0}
        assert stage.evidence.require_provenance is not None
        assert stage.sign_platforms
    assert policy.stages["production"].evidence.require_signature == Rule(True)
