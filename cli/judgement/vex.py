"""What was found, as an OpenVEX document for others."""

from __future__ import annotations

import json

from cli.judgement.opinion import Opinion
from imagegate.domain import openvex


def written(opinion: Opinion) -> str:
    """Every finding: waived with a justification is `not_affected`, all else `affected` with what is done about it."""
    waivers = {waiver.id: waiver for waiver in opinion.judged.used}
    told = [
        openvex.Told(
            vulnerability=line.finding.vulnerability,
            package=package.purl or package.name,
            waiver=waivers.get(line.ruling.get("waiver", "")),
            until=str(line.ruling.get("until", "")) if line.why == "grace" else "",
            counts=line.counts,
        )
        for line in opinion.lines()
        for package in line.finding.packages
    ]
    digest = f"@{opinion.digest}" if opinion.digest else ""
    product = f"pkg:oci/{opinion.subject.partition('@')[0].rpartition('/')[2].partition(':')[0]}{digest}"
    return json.dumps(openvex.document(product, told, opinion.now), indent=2) + "\n"
