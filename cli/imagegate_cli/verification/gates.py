"""`imagegate verify --print-policy`: the gates of a stack, as a verification policy for another program."""

from __future__ import annotations

from pathlib import Path

from imagegate.policy.policy import APP, Policy
from imagegate_cli.faults import CannotTellError
from imagegate_cli.stack import Stack
from imagegate_cli.verification.policies import FORMATS, Gate, Gates
from imagegate_cli.verification.trust import AWS_ROOT, roots_in

_AWS_STORE = "aws-signer-ts"  # as AWS's installer of Notation names it
_OWN_STORE = "imagegate-roots"
_HINTS = {
    "notation": (
        "Save it as trustpolicy.json, then: notation policy import trustpolicy.json",
        "AWS Signer's plugin and, unless AWS's installer did it, the root: "
        "notation cert add --type signingAuthority --store {store} ROOT.pem",
        "It names the repositories that exist now: print it again when there are more.",
    ),
    "kyverno": (
        "Install notation-aws-verifier into the cluster first; then: kubectl apply -f FILE",
        "In TrustPolicy it names the repositories that exist now: an image of a new one is refused; print it again.",
        "Images that belong to no stage are not checked.",
    ),
    "ratify": (
        "Install Gatekeeper and Ratify with dynamic plugins and ECR's authentication; then: kubectl apply -f FILE",
        "It names the repositories that exist now: an image of a new one is refused; print it again.",
    ),
}


def printed(stack: Stack, kind: str, stage: str | None, root: Path | None) -> tuple[str, list[str]]:
    """Return the policy, and hints how to use it. `kind` is a key of `FORMATS`. Raises `CannotTellError`."""
    gates = _gates(stack, stage, root, needs_root=kind != "notation")
    empty = [gate.stage for gate in gates.gates if not gate.repositories]
    kept = tuple(gate for gate in gates.gates if gate.repositories)
    if not kept:
        raise CannotTellError(f"no repository of {', '.join(empty)} exists yet: push an image first")
    hints = [hint.format(store=gates.store) for hint in _HINTS[kind]]
    hints += [f"Left out, for no repository of it exists yet: {', '.join(empty)}"] if empty else []
    return FORMATS[kind](Gates(gates.name, kept, gates.store, gates.root)), hints


def _gates(stack: Stack, stage: str | None, root: Path | None, *, needs_root: bool) -> Gates:
    stages = stack.policy.stages
    if stage is not None and stage not in stages:
        raise CannotTellError(f"the policy has no stage {stage}, only {', '.join(stages)}")
    profiles, existing = stack.signing_profiles, stack.repository_uris
    gates = tuple(
        Gate(
            name,
            profiles[name],
            tuple(
                sorted(uri for repository, uri in existing.items() if _is_of(stack.policy, repository, name))
            ),
            f"{_host(stack, existing)}/{stages[name].repositories.text.replace(APP, '*')}",
        )
        for name in ([stage] if stage else stages)
    )
    trusted = stack.trusted_roots
    store = _AWS_STORE if trusted == {AWS_ROOT} else _OWN_STORE
    return Gates(stack.name, gates, store, _root(trusted, root) if needs_root else "")


def _is_of(policy: Policy, repository: str, stage: str) -> bool:
    stage_of = policy.stage_of(repository)
    return stage_of is not None and stage_of.name == stage


def _host(stack: Stack, existing: dict[str, str]) -> str:
    uri = next(iter(existing.values()), stack.images.registry)
    return uri.partition("/")[0]


def _root(trusted: frozenset[str], file: Path | None) -> str:
    """Return the certificates of the file in PEM. The stack must trust all of them."""
    if file is None:
        raise CannotTellError(
            "it holds the root certificate: name its file with --trust-root. AWS publishes that of AWS Signer "
            "(AWS Signer developer guide, image signing: aws-signer-notation-root.cert)"
        )
    if not roots_in(file) <= trusted:
        raise CannotTellError(f"{file} has a certificate that is none of the roots that the stack trusts")
    return file.read_text()
