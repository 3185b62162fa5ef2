"""Forgeries by whoever has the leaf's key: the protected header breaks a rule, or can be read in two ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.component.envelopes import IDENTITY, NOW, compact
from tests.component.forging import Evidence, Genuine, anyone, gates, some_payload

NOTARY = "io.cncf.notary"
SCHEME, TIME, EXPIRY = f"{NOTARY}.signingScheme", f"{NOTARY}.authenticSigningTime", f"{NOTARY}.expiry"
PLUGIN, PLUGIN_VERSION = f"{NOTARY}.verificationPlugin", f"{NOTARY}.verificationPluginMinVersion"
JOB, VERSION = "com.amazonaws.signer.signingJob", "com.amazonaws.signer.signingProfileVersion"


def _signed(genuine: Genuine, random: Random, header: Any, **changes: Any) -> Evidence:
    return genuine.signed(protected=header, payload=some_payload(random), **changes)


def _one_of(make: Callable[[Genuine], list[dict[str, Any]]]) -> Callable[[Random], Evidence]:
    """Change a header in one of these ways."""

    def forge(random: Random) -> Evidence:
        genuine = anyone(random)
        header = dict(genuine.header) | random.choice(make(genuine))
        return _signed(genuine, random, {key: value for key, value in header.items() if value is not None})

    return forge


def _crit(genuine: Genuine) -> list[dict[str, Any]]:
    critical = list(genuine.header["crit"])
    must = [name for name in critical if not name.startswith("com.amazonaws")]
    return [
        *({"crit": [name for name in critical if name != left_out]} for left_out in must),
        *({"crit": [*critical, name]} for name in ("alg", "cty", "crit", "x5c", "b64", "com.example", "")),
        {"crit": [*critical, critical[0]]},
        {"crit": [*critical, PLUGIN_VERSION]},
        {"crit": [*critical, "com.example"], "com.example": True},
        {"crit": [*critical, "b64"], "b64": False},
        {"crit": [*critical, 1]},
        {"crit": [[name] for name in critical]},
        {"crit": dict.fromkeys(critical, True)},
        {"crit": ",".join(critical)},
        {"crit": []},
        {"crit": None},
        {"crit": True},
        {"crit": [name.upper() for name in critical]},
    ]


def _types(genuine: Genuine) -> list[dict[str, Any]]:
    values: list[Any] = [
        "application/json",
        "",
        genuine.header["cty"].upper(),
        f"{genuine.header['cty']} ",
        [],
        1,
    ]
    other = "notary.x509" if genuine.is_gate else "notary.x509.signingAuthority"
    schemes: list[Any] = [other, "notary.x509.", "NOTARY.X509", "", 1, None, ["notary.x509"]]
    return [*({"cty": value} for value in values), {"cty": None}, *({SCHEME: scheme} for scheme in schemes)]


_NO_TIMES: list[Any] = [
    None,
    1795247558,
    1795247558.5,
    "",
    "2026-11-21",
    "2026-11-21T07:52:38",
    "2026-11-21 07:52:38Z",
    "2026-11-21T07:52:38z",
    "2026-11-21T07:52Z",
    "2026-11-21T24:00:00Z",
    "2026-13-21T07:52:38Z",
    "2026-02-30T07:52:38Z",
    "2026-11-21T07:52:60Z",
    "2026-11-21T07:52:38+99:00",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:00",
    "10000-01-01T00:00:00Z",
    "20261121T075238Z",
    "Sat, 21 Nov 2026 07:52:38 GMT",
    "2026-11-21T07:52:38Z\n",
    ["2026-11-21T07:52:38Z"],
    "٢026-11-21T07:52:38Z",
]


def _times(genuine: Genuine) -> list[dict[str, Any]]:
    time = TIME if genuine.is_gate else f"{NOTARY}.signingTime"
    other = f"{NOTARY}.signingTime" if genuine.is_gate else TIME
    # Without an expiry at all a user's signature is fine.
    return [
        *({time: value} for value in _NO_TIMES),
        *({EXPIRY: value} for value in _NO_TIMES[1:]),
        {other: "2026-11-21T07:52:38Z"},
        {EXPIRY: genuine.header[time]},
        {EXPIRY: "2026-11-21T07:52:37Z"},
        {EXPIRY: "1999-01-01T00:00:00Z"},
    ]


def expired(random: Random) -> Evidence:
    genuine = anyone(random)
    expiry = datetime.fromisoformat(genuine.header[EXPIRY])
    at = expiry + timedelta(seconds=random.choice([0, 1, 86_400, random.randrange(10**9)]))
    return replace(_signed(genuine, random, dict(genuine.header)), at=at)


def just_expired(random: Random) -> Evidence:
    """Expire the signature while the certificates are still valid."""
    genuine = anyone(random)
    time = NOW - timedelta(seconds=random.randrange(400))
    header = dict(genuine.header) | {EXPIRY: time.astimezone(UTC).isoformat()}
    return _signed(genuine, random, header)


def from_the_future(random: Random) -> Evidence:
    """Sign in the future by a signing authority; nobody believes an end user's own time."""
    genuine = random.choice(gates())
    time = NOW + timedelta(minutes=5, seconds=1 + random.randrange(10**5))
    return _signed(genuine, random, dict(genuine.header) | {TIME: time.isoformat()})


def _reserved(genuine: Genuine) -> list[dict[str, Any]]:
    more: list[dict[str, Any]] = [
        {"b64": False},
        {"jku": "https://x"},
        {"jwk": {}},
        {"x5c": []},
        {"kid": "x"},
        {"x5u": "x"},
        {"typ": "JWT"},
    ]
    if genuine.is_gate:
        return [*more, {"com.example": 1}, {f"{NOTARY}.newer": 1}, {PLUGIN_VERSION: "1.0.0"}]
    return [
        *more,
        {f"{NOTARY}.newer": 1},
        {JOB: genuine.header.get(JOB, "x")},
        {VERSION: f"{IDENTITY}/0a1B2c3D4e"},
        {PLUGIN: "com.amazonaws.signer.notation.plugin"},
        {PLUGIN_VERSION: "1.0.0"},
    ]


def signed_duplicates(random: Random) -> Evidence:
    genuine = anyone(random)
    name = random.choice(list(genuine.header))
    other = random.choice([genuine.header[name], "x", [], None, 0])
    text = compact(dict(genuine.header))[1:-1]
    twice = [compact({name: other})[1:-1], text]
    random.shuffle(twice)
    return _signed(genuine, random, b"{" + b",".join(twice) + b"}")


def signed_nonsense(random: Random) -> Evidence:
    """Sign a text that is no JSON object, or an ambiguous one."""
    genuine = anyone(random)
    text = compact(dict(genuine.header))
    nonsense: list[bytes] = [
        b"",
        b"[]",
        b"null",
        b'"x"',
        text + b"x",
        text[:-1],
        b"\xef\xbb\xbf" + text,
        text.decode().encode("utf-16"),
        text[:-1] + b',"a":NaN}',
        text[:-1] + b',"a":' + b"[" * 20 + b"]" * 20 + b"}",
        text[:-1] + b',"a":' + b"9" * 5_000 + b"}",
        text[:-1] + b',"a":"\\ud800"}',
        text[:-1] + b',"a":"\xff"}',
        text.replace(b'"', b"'"),
        text[:-1] + b",}",
        text.replace(b'"alg"', b'"ALG"'),
    ]
    return _signed(genuine, random, random.choice(nonsense))


FORGED_HEADERS = {
    "crit": _one_of(_crit),
    "content type or scheme": _one_of(_types),
    "times": _one_of(_times),
    "expired": expired,
    "just expired": just_expired,
    "from the future": from_the_future,
    "reserved headers": _one_of(_reserved),
    "signed duplicates": signed_duplicates,
    "signed nonsense": signed_nonsense,
}
