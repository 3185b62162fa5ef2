"""Forgeries by a signer who may use a signing profile, but not this gate's, or who hides that AWS Signer must be
queried.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.component.envelopes import IDENTITY
from tests.component.forging import Evidence, Genuine, gates, some_payload, users

NOTARY, AWS = "io.cncf.notary", "com.amazonaws.signer"
PLUGIN, PLUGIN_VERSION = f"{NOTARY}.verificationPlugin", f"{NOTARY}.verificationPluginMinVersion"
JOB, VERSION = f"{AWS}.signingJob", f"{AWS}.signingProfileVersion"


def _signed(genuine: Genuine, random: Random, header: dict[str, Any]) -> Evidence:
    return genuine.signed(protected=header, payload=some_payload(random))


def plugin_games(random: Random) -> Evidence:
    """Hide the plugin, without which an AWS signature would be accepted without a query for revocation."""
    genuine = random.choice(gates())
    header = dict(genuine.header)
    changes: list[dict[str, Any]] = [
        {PLUGIN: None},
        {PLUGIN: "com.example.plugin"},
        {PLUGIN: ""},
        {PLUGIN: "COM.AMAZONAWS.SIGNER.NOTATION.PLUGIN"},
        {PLUGIN: None, JOB: None},
        {PLUGIN: None, VERSION: None},
        {PLUGIN: None, JOB: None, VERSION: None},
        {JOB: None},
        {VERSION: None},
        {JOB: "arn:aws:signer:eu-central-1:123456789012:/signing-jobs/"},
        {JOB: ["x"]},
        {PLUGIN_VERSION: random.choice(["1.0.351", "2.0.0", "1", "", "latest", "1.0.0.0"])},
    ]
    header |= random.choice(changes)
    header = {key: value for key, value in header.items() if value is not None}
    header["crit"] = [name for name in header if name not in ("alg", "cty", "crit")]
    return _signed(genuine, random, header)


def another_gate(random: Random) -> Evidence:
    """Sign genuinely, with the profile of somebody else."""
    version = "".join(random.choices("0123456789abcdef", k=10))
    others = [
        IDENTITY.replace("_dev", random.choice(["_staging", "__dev", "_dev2", "_DEV", "_de", "_dev_"])),
        IDENTITY.replace("123456789012", f"{random.randrange(10**11):012}"),
        IDENTITY.replace("eu-central-1", random.choice(["eu-west-1", "us-east-1", "eu-central-2"])),
        IDENTITY.replace("arn:aws:", random.choice(["arn:aws-cn:", "arn:AWS:", "arn:aws-us-gov:"])),
        IDENTITY.upper(),
        f"{IDENTITY}/{version}",
        f"x{IDENTITY}",
        f"{IDENTITY}\n",
        "*",
    ]
    genuine = random.choice(gates())
    return _signed(genuine, random, dict(genuine.header) | {VERSION: f"{random.choice(others)}/{version}"})


def no_version(random: Random) -> Evidence:
    genuine = random.choice(gates())
    ending = random.choice(
        ["", "/", "/short", "/0a1B2c3D4e5", "/0a1B2c3D4-", "/0a1B2c3D4e ", "/*", "/٠a1B2c3D4e"]
    )
    return _signed(genuine, random, dict(genuine.header) | {VERSION: IDENTITY + ending})


def other_policy(random: Random) -> Evidence:
    """Show an end user's signature instead of a gate's, and the other way round, under trusted roots."""
    signer, reader = random.choice(users()), random.choice(gates())
    if random.random() < 0.5:
        signer, reader = reader, signer
    return replace(_signed(signer, random, dict(signer.header)), policy=reader.policy)


FORGED_IDENTITIES = {
    "plugin": plugin_games,
    "another gate": another_gate,
    "no version": no_version,
    "other policy": other_policy,
}
