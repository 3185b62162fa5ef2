"""The behaviours that API calls alone cannot show, or that cost too much, with the reason."""

from __future__ import annotations

# Heading on docs/explanation/fidelity.md → behaviour → reason.
NOT_RECORDED = (
    (
        "Events of ECR and EventBridge",
        "ECR's events; delivery, its order and its repetitions; dead letters; schedules",
        "they come on their own time, best effort: what did not come proves nothing",
    ),
    (
        "Step Functions",
        "waits, time-outs, retries, JSONata",
        "they are the workflow's own: a deploy of it shows them",
    ),
    ("Step Functions", "a name becoming free again", "after 90 days"),
    ("Amazon ECS: deployments", "all of it", "needs a cluster, services, and deployments that take minutes"),
    ("Lambda", "all of it", "needs deployed functions, and failures that take minutes"),
    ("ECR: images and manifests", "throttling", "would throttle the account's other users"),
    (
        "ECR: settings of repositories and of the registry",
        "settings of the registry",
        "one document for the whole account: others would notice",
    ),
    (
        "ECR: settings of repositories and of the registry",
        "pull-through caches, replication, managed signing",
        "needs another registry, or one document for the whole account; `imagegate baseline plan` shows them",
    ),
    (
        "ECR: settings of repositories and of the registry",
        "whether EventBridge gets the records of CloudTrail",
        "needs a trail and a rule; deploy, change a setting, and look for the message",
    ),
    (
        "ECR: images and manifests",
        "lifecycle policies that act; the time of the last pull",
        "within 24 hours, and up to 24 hours late",
    ),
    (
        "ECR: images and manifests",
        "what runs in Amazon ECS, AWS Lambda and Amazon EKS",
        "needs running services",
    ),
    (
        "Events of ECR and EventBridge",
        "the canary, the reconciler's turns, and the board",
        "they are our own, over calls that are recorded; a deployment shows them",
    ),
    (
        "ECR: scans",
        "enhanced scanning, unless the account uses it",
        "a setting of the whole registry, and billed",
    ),
    (
        "ECR: scans",
        "findings, their pages, and their counts",
        "they change from day to day: the database does",
    ),
    (
        "The registry's protocol",
        "pages of referrers",
        "needs more than 50 pushes",
    ),
    ("The registry's protocol", "permissions per request", "needs other identities than the caller's"),
    ("Signer and Notation", "revocation that has an effect", "a revoked job or profile stays revoked"),
    (
        "Signer and Notation",
        "the root certificate, clients, plug-ins",
        "not told by the API",
    ),
    ("DynamoDB", "expiry of items; an index that lags", "takes up to days; cannot be provoked"),
    ("S3", "two writes at once", "cannot be provoked reliably"),
    ("SNS", "delivery by mail and chat, repetitions", "needs people, and a channel"),
    (
        "CloudWatch",
        "alarms, queries",
        "need a deployment; set-alarm-state shows that messages come",
    ),
    ("CloudFormation", "all of it", "needs stacks with functions"),
    (
        "IAM and KMS",
        "permissions, keys of one's own",
        "needs other identities; a key costs a dollar and a week to delete",
    ),
)
