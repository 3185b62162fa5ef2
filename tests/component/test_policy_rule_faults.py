"""Messages about rules that nobody can mean: no value, no data, a contradiction."""

from __future__ import annotations

import pytest

from imagegate.policy.file.load import parse_policy
from imagegate.policy.policy import Scanner
from tests.component.policies import dev_faults, faults, three

BAD_RULES = [
    (
        "evidence: {sbom: cyclondx}",
        "evidence.sbom: must be 'cyclonedx', 'spdx' or 'off', not 'cyclondx' (did you mean cyclonedx?)",
    ),
    (
        "findings: {max: {hihg: 5}}",
        "findings.max.hihg: unknown key (did you mean high?)",
    ),
    (
        "findings: {max: {high: '5'}}",
        "findings.max.high: must be a whole number, not '5'",
    ),
    (
        "findings: {max: {high: {value: 5, action: wrn}}}",
        "findings.max.high.action: must be 'enforce', 'warn' or 'off', not 'wrn' (did you mean warn?)",
    ),
    (
        "findings: {max: {high: true}}",
        "findings.max.high: must be a whole number, not true",
    ),
    (
        "findings: {max: {low: {action: warn}}}",
        "findings.max.low: has no value, and nothing below gives one: give the rule a value, or write off",
    ),
    (
        "image: {max_age: {}}",
        "image.max_age: has no value, and nothing below gives one: give the rule a value, or write off",
    ),
    (
        "findings: {grace: {action: enforce}}",
        "findings.grace: has no value, and nothing below gives one: give the filter a value, or write off",
    ),
    (
        "findings: {only_fixable: [hgih]}",
        "findings.only_fixable[0]: must be 'critical', 'high', 'medium', 'low', 'informational', "
        "'undefined' or 'untriaged', not 'hgih' (did you mean high?)",
    ),
    (
        "findings: {only_fixable: low}",
        "findings.only_fixable: must be a list of severities, true or false, not 'low'",
    ),
    (
        "findings: {grace: {high: 2w}}",
        "findings.grace.high: must be a time such as 45s, 30m, 2h or 7d, not '2w'",
    ),
    (
        "findings: {grace: {high: 0}}",
        "findings.grace.high: must be from 1h to 3650d, not 0d",
    ),
    (
        "findings: {grace: {high: true}}",
        "findings.grace.high: must be a time such as 45s, 30m, 2h or 7d, not true",
    ),
    (
        "findings: {grace: {low: 2d}}",
        "findings.grace.low: dev has no limit for low, so there is nothing to wait for: give it one "
        "in findings.max, or write off",
    ),
    (
        "findings: {max: {high: off}, grace: {high: 2d}}",
        "findings.grace.high: dev has no limit for high, so there is nothing to wait for: give it "
        "one in findings.max, or write off",
    ),
    (
        "findings: {grace: 2d}",
        "findings.grace: must be a mapping, not '2d'",
    ),
    (
        "findings: {no_grace: {epss: 1.5}}",
        "findings.no_grace.epss: must be a probability from 0 to 1 such as 0.5, not '1.5'",
    ),
    (
        "findings: {no_grace: {epss: true}}",
        "findings.no_grace.epss: must be a probability from 0 to 1 such as 0.5, not true",
    ),
    (
        "findings: {no_grace: {known_exploited: yes}}",
        "findings.no_grace.known_exploited: must be true or false, not 'yes'",
    ),
    (
        "findings: {no_worse_than: prod}",
        "findings.no_worse_than: must be 'next_stage', not 'prod'",
    ),
    (
        "findings: {deny: []}",
        "findings.deny: must not be empty",
    ),
    (
        "findings: {deny: [CVE-2021-*]}",
        "findings.deny[0]: must be the name of one vulnerability such as CVE-2021-44228, not 'CVE-2021-*'",
    ),
    (
        "findings: {deny: [cve-2021-44228]}",
        "findings.deny[0]: must be the name of one vulnerability such as CVE-2021-44228, not "
        "'cve-2021-44228'",
    ),
    (
        "packages: {prohibited: ['*']}",
        "packages.prohibited[0].name: would prohibit every package",
    ),
    (
        "packages: {prohibited: [{name: a, versions: '< 2 3'}]}",
        'packages.prohibited[0].versions: must be versions such as "<2.17.1" or ">=2.0, <2.17.1", '
        "not '< 2 3'",
    ),
    (
        "packages: {prohibited: [{name: a, ecosystem: python}]}",
        "packages.prohibited[0].ecosystem: 'python' is no package URL type (did you mean pypi?)",
    ),
    (
        "packages: {prohibited: ['pkg:npm/a?x=1']}",
        "packages.prohibited[0]: must be a package URL such as pkg:npm/event-stream@3.3.6 (no ? and "
        "no #), not 'pkg:npm/a?x=1'",
    ),
    (
        "image: {max_size: 500}",
        "image.max_size: must be a size such as 500MB, 1.5GB or 512MiB, not 500",
    ),
    (
        "image: {max_size: 0MB}",
        "image.max_size: must be more than nothing, not 0MB",
    ),
    (
        "image: {max_age: 30m}",
        "image.max_age: must be from 1h to 3650d, not 30m",
    ),
    (
        "image: {labels: x}",
        "image.labels: must be a list of labels, or a mapping of labels to patterns, not 'x'",
    ),
    (
        "image: {labels: [1]}",
        "image.labels: a label is text (in quotes), not 1",
    ),
    (
        "image: {labels: {a: 1}}",
        "image.labels.a: must be text (in quotes), not 1",
    ),
    (
        "image: {labels: {a: x, action: warn}}",
        "image.labels.a: unknown key: beside value or action, labels go into value: {…}",
    ),
    (
        "image: {base_images: [bse]}",
        "image.base_images[0]: there is no stage 'bse' (did you mean base?)",
    ),
    (
        "image: {base_images: [dev]}",
        "image.base_images[0]: dev cannot be built on itself: say base_images: off in stages.dev.image",
    ),
    (
        "image: {platforms: [amd64]}",
        "image.platforms[0]: must be a platform such as linux/amd64 or linux/arm/v7, not 'amd64'",
    ),
    (
        "image: {non_root: yes}",
        "image.non_root: must be true or false, not 'yes'",
    ),
    (
        "image: {tags: 'v*'}",
        "image.tags: must be a list, not 'v*'",
    ),
    (
        "image: {forbidden_tags: ['*']}",
        "image.forbidden_tags: forbids every tag",
    ),
    (
        "image: {tags: ['v*'], forbidden_tags: ['v*', latest]}",
        "image.forbidden_tags: forbids every tag that image.tags allows",
    ),
    (
        "evidence: {require_signature: true}",
        "evidence.require_signature: no gate before dev could have signed: say require_signature: "
        "off in stages.dev.evidence",
    ),
    (
        "evidence: {require_signature: {valeu: true}}",
        "evidence.require_signature.valeu: unknown key (did you mean value?)",
    ),
    (
        "alerts: {high: page}",
        "alerts.high: must be 'log' or 'alert', not 'page'",
    ),
    (
        "alerts: {hgh: log}",
        "alerts.hgh: unknown key (did you mean high?)",
    ),
    (
        "scan: {max_scan_age: 1m}",
        "scan.max_scan_age: must be from 1h to 3650d, not 1m",
    ),
    (
        "findings: {max: {undefined: 1, untriaged: 2}}",
        "findings.max: undefined and untriaged are the same; give one of them",
    ),
    (
        "image: {max_age: }",
        "image.max_age: is empty: write a value, or take it out",
    ),
    (
        "image: {tags: [v1, null]}",
        "image.tags[1]: is empty: write a value, or take it out",
    ),
    (
        "image: {max_age: {value: }}",
        "image.max_age.value: is empty: write a value, or take it out",
    ),
]


@pytest.mark.parametrize(("text", "fault"), BAD_RULES)
def test_a_rule_that_cannot_be_meant_is_named(text: str, fault: str) -> None:
    assert dev_faults(text) == [fault]


def test_the_last_stage_has_none_to_be_compared_with() -> None:
    assert faults(three(defaults="findings: {no_worse_than: next_stage}")) == [
        "3: defaults.findings.no_worse_than: no stage follows base: say no_worse_than: off in stages.base.findings",
        "3: defaults.findings.no_worse_than: no stage follows prod: say no_worse_than: off in stages.prod.findings",
    ]


FIX, RULE = "whether there is a fix", "say scanner: enhanced, or take the rule out"
NEEDS_ENHANCED = {
    "findings: {only_fixable: true}": f"findings.only_fixable: basic scanning does not say {FIX}: {RULE}",
    "findings: {grace_starts: fix_available}": f"findings.grace_starts: basic scanning does not say {FIX}: {RULE}",
    "findings: {no_grace: {known_exploited: true}}": "findings.no_grace.known_exploited: basic scanning does not say "
    f"what is known to be exploited: {RULE}",
    "findings: {no_grace: {exploit_available: true}}": "findings.no_grace.exploit_available: basic scanning does not "
    f"say whether there is an exploit: {RULE}",
    "findings: {no_grace: {epss: 0}}": "findings.no_grace.epss: basic scanning does not say how probable an "
    f"exploitation is: {RULE}",
    "evidence: {sbom: cyclonedx}": "evidence.sbom: basic scanning does not say what an image is made of: say scanner: "
    "enhanced, or take the key out",
}


@pytest.mark.parametrize(("text", "fault"), NEEDS_ENHANCED.items())
def test_a_rule_that_the_scanner_has_no_data_for_is_refused(text: str, fault: str) -> None:
    assert dev_faults(text, scanner="basic") == [fault]
    assert parse_policy(three(text).encode()).scanner is Scanner.ENHANCED


@pytest.mark.parametrize(
    "text",
    [
        "findings: {only_fixable: false, grace: {high: 2d}, no_worse_than: next_stage, deny: [CVE-2021-44228]}",
        "findings: {only_fixable: off, no_grace: {epss: off, known_exploited: false}}",
        "findings: {only_fixable: {value: [low], action: off}}",
        "packages: {prohibited: [a]}",
        "image: {base_images: [base], max_size: 1GB}",
        "evidence: {sbom: off}",
    ],
)
def test_basic_scanning_is_enough_for_the_other_rules(text: str) -> None:
    assert parse_policy(three(text, scanner="basic").encode()).scanner is Scanner.BASIC


def test_an_ineffective_default_is_reported_once() -> None:
    assert faults(three(defaults="findings: {only_fixable: true}", scanner="basic")) == [
        f"3: defaults.findings.only_fixable: basic scanning does not say {FIX}: {RULE}"
    ]
