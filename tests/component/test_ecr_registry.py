"""Operations that only ECR's registry has. Answers are stubbed; botocore checks their shape."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.stub import Stubber

from imagegate.aws import clients as aws
from imagegate.aws.ecr import registry as ecr_registry
from imagegate.aws.ecr.registry import LayerState, RemoteEcr, ecr_layers
from imagegate.errors import AccessRefusedError, ImageGateError, ThrottledError
from imagegate.oci.image import Digest
from imagegate.policy.policy import RemoteRegistry
from tests.fakes import NOW

DIGESTS = [Digest.of(str(number).encode()) for number in range(250)]


@pytest.fixture
def stub(aws_account: None) -> Iterator[Stubber]:
    with Stubber(aws.client("ecr")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_a_hundred_layers_are_checked_at_once_and_unknown_ones_are_absent(stub: Stubber) -> None:
    for start in (0, 100, 200):
        some = DIGESTS[start : start + 100]
        layers = [{"layerDigest": str(digest), "layerAvailability": "AVAILABLE"} for digest in some]
        if start == 0:
            layers[1]["layerAvailability"] = "ARCHIVED"
            del layers[2]
        asked = {"repositoryName": "shop-staging", "layerDigests": [str(digest) for digest in some]}
        stub.add_response("batch_check_layer_availability", {"layers": layers, "failures": []}, asked)
    found = ecr_layers("shop-staging", DIGESTS)
    assert found[DIGESTS[1]] is LayerState.ARCHIVED
    assert found[DIGESTS[2]] is LayerState.UNAVAILABLE
    assert list(found.values()).count(LayerState.AVAILABLE) == 248


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AccessDeniedException", AccessRefusedError),
        ("ThrottlingException", ThrottledError),
    ],
)
def test_a_refusal_names_the_repository(stub: Stubber, code: str, expected: type[ImageGateError]) -> None:
    stub.add_client_error("batch_check_layer_availability", code)
    with pytest.raises(expected, match="shop-staging"):
        ecr_layers("shop-staging", DIGESTS[:1])


def test_in_a_repository_that_a_push_may_make_there_are_no_layers(stub: Stubber) -> None:
    stub.add_client_error("batch_check_layer_availability", "RepositoryNotFoundException")
    assert set(ecr_layers("shop-staging", DIGESTS[:2]).values()) == {LayerState.UNAVAILABLE}


# Another account or Region.


WHERE = RemoteRegistry(
    "210987654321.dkr.ecr.eu-west-1.amazonaws.com", "arn:aws:iam::210987654321:role/imagegate"
)


class Account:
    """STS and ECR as another account answers them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, lifetime: timedelta = timedelta(hours=1)) -> None:
        self.lifetime, self.host, self.taken, self.regions = lifetime, WHERE.registry, 0, list[str]()
        monkeypatch.setattr(ecr_registry, "client", lambda service: self)
        monkeypatch.setattr(ecr_registry, "client_with", self.with_credentials)

    def assume_role(self, **asked: str) -> dict[str, Any]:
        assert asked["RoleArn"] == WHERE.role
        self.taken += 1
        return {"Credentials": {"AccessKeyId": "a", "Expiration": NOW + self.lifetime}}

    def with_credentials(self, service: str, credentials: dict[str, str], region: str) -> Account:
        assert (service, credentials["AccessKeyId"]) == ("ecr", "a")
        self.regions.append(region)
        return self

    def get_authorization_token(self) -> dict[str, Any]:
        token = {
            "proxyEndpoint": f"https://{self.host}",
            "authorizationToken": "token",
            "expiresAt": NOW + timedelta(hours=12),
        }
        return {"authorizationData": [token]}


def test_a_role_there_is_taken_and_the_login_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account(monkeypatch)
    there = RemoteEcr(WHERE, lambda: NOW)
    login = there.log_in()
    assert login.endpoint == f"https://{WHERE.registry}"
    assert login.expires_at < NOW + timedelta(minutes=61)
    there.log_in()
    assert (account.taken, account.regions) == (1, ["eu-west-1"])


def test_a_role_whose_credentials_are_about_to_end_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account(monkeypatch, lifetime=timedelta(minutes=14))
    there = RemoteEcr(WHERE, lambda: NOW)
    there.log_in()
    there.log_in()
    assert account.taken == 2


def test_a_role_of_another_account_than_the_registrys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Account(monkeypatch).host = "999999999999.dkr.ecr.eu-west-1.amazonaws.com"
    with pytest.raises(AccessRefusedError, match="leads to 999999999999"):
        RemoteEcr(WHERE, lambda: NOW).log_in()
