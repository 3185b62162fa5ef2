"""The page of the reports that `imagegate judge` reads, from the table of the program."""

from __future__ import annotations

from imagegate_cli.scanners.supported import FORMATS
from tools.reference.markdown import NOTE, code, table

_HEAD = """
# Scanner reports

`imagegate judge --findings FILE` reads these reports. The format is detected from the content of the file, never from
its name; `-` is standard input. `--findings` may be repeated: several reports about one image become one list, in which
a finding of several scanners counts once, with the worst severity.
"""
_TAIL = """
A report that does not say that a finding has no fix leaves that open: a rule that needs it, such as
`findings.only_fixable`, is then unknown, and never a pass.

Files are UTF-8, or UTF-16 with a byte order mark, as `>` of PowerShell writes it.

## What is refused

- a report that is not whole: one page of several, a summary that counts more findings than are listed, a scan that
  failed or is not over;
- Inspector Scan's output format `INSPECTOR_ALT`, whose shape AWS does not document: use `INSPECTOR`, or CycloneDX;
- an empty report that does not say that anybody looked, such as an SBOM of Trivy without vulnerabilities;
- findings about several images;
- a field that the format prescribes and that is missing or of another type: the message names its path.

## How severities are read

- Security Hub: the worse of the label and the scanner's severity, because rules of Security Hub can lower the label.
- Snyk: the worse of `severity` and `severityWithCritical`.
- CycloneDX: the rating of the source that the vulnerability itself names (Trivy: else that of NVD), else the worst.
- SARIF: the score, wherever the tool writes it, else the word, else the level. `error` alone is HIGH or CRITICAL, and
  nobody knows which.
- A severity that is not known is UNDEFINED, which has a limit of its own.

## What counts

Findings that the tool or service has closed, suppressed, archived, flagged as false positives or given an analysis
count like all others, and a note names them: only the policy, its waivers and `--vex` set findings aside. Secrets,
misconfigurations and licenses of Trivy and license issues of Snyk have
[rules of their own](policy.md#secrets-misconfigurations-and-licenses); without such a rule they count by severity,
and a note says so. A note names each other section of a report.
"""


def page() -> str:
    """Return the page."""
    rows = [(one.name, code(one.command), "yes" if one.fixes else "") for one in FORMATS]
    lines = [NOTE, _HEAD, *table(("report", "written by", "says that there is no fix"), rows)]
    return "\n".join(lines) + _TAIL.lstrip("\n")
