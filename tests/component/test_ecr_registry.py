"""What only ECR's registry offers. Its answers are stubbed, with botocore checking their shape."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.stub import Stubber

from imagegate.adapters import aws
from imagegate.adapters.ecr_registry import LayerState, ecr_layers
from imagegate.domain.errors import AccessRefusedError, ImageGateError, ImageNotFoundError, ThrottledError
from imagegate.domain.image import Digest

DIGESTS = [Digest.of(str(number).encode()) for number in range(250)]


@pytest.fixture
def stub(aws_account: None) -> Iterator[Stubber]:
    with Stubber(aws.client("ecr")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_a_hundred_layers_are_asked_for_at_once_and_what_is_unknown_is_not_there(stub: Stubber) -> None:
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
        ("RepositoryNotFoundException", ImageNotFoundError),
        ("ThrottlingException", ThrottledError),
    ],
)
def test_a_refusal_names_the_repository(stub: Stubber, code: str, expected: type[ImageGateError]) -> None:
    stub.add_client_error("batch_check_layer_availability", code)
    with pytest.raises(expected, match="shop-staging"):
        ecr_layers("shop-staging", DIGESTS[:1])
