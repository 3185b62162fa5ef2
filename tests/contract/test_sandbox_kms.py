"""Message authentication codes of KMS: what links rest on, and which permission each use needs."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.served_cloud import ServedCloud

HMAC = "HMAC_SHA_256"


@pytest.fixture(scope="module")
def key(cloud: ServedCloud) -> str:
    made = cloud.client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    return str(made["KeyMetadata"]["Arn"])


def somebody(cloud: ServedCloud, key: str, *actions: str) -> Any:
    """Create a user who may do this with the key, by that algorithm only."""
    iam, name = cloud.client("iam"), f"links-{uuid.uuid4().hex[:8]}"
    condition = {"StringEquals": {"kms:MacAlgorithm": HMAC}}
    may = {"Effect": "Allow", "Action": list(actions), "Resource": key, "Condition": condition}
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    return cloud.client("kms", **keys)


def refusal(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    return str(raised.value.response["Error"]["Code"])


def test_a_code_is_right_for_its_message_and_key_only(cloud: ServedCloud, key: str) -> None:
    kms = cloud.client("kms")
    made = kms.generate_mac(KeyId=key, MacAlgorithm=HMAC, Message=b"message")
    assert len(made["Mac"]) == 32
    given = {"KeyId": key, "MacAlgorithm": HMAC, "Mac": made["Mac"]}
    assert kms.verify_mac(**given, Message=b"message")["MacValid"] is True
    assert refusal(kms.verify_mac, **given, Message=b"massage") == "KMSInvalidMacException"
    other = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    assert (
        refusal(kms.verify_mac, **{**given, "KeyId": other}, Message=b"message") == "KMSInvalidMacException"
    )


def test_a_key_that_encrypts_authenticates_nothing(cloud: ServedCloud) -> None:
    kms = cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    wrong = {"KeyId": key, "MacAlgorithm": HMAC, "Message": b"message"}
    assert refusal(kms.generate_mac, **wrong) == "InvalidKeyUsageException"


def test_permission_to_verify_a_code_is_no_permission_to_make_one(cloud: ServedCloud, key: str) -> None:
    checker = somebody(cloud, key, "kms:VerifyMac")
    made = cloud.client("kms").generate_mac(KeyId=key, MacAlgorithm=HMAC, Message=b"message")["Mac"]
    given = {"KeyId": key, "MacAlgorithm": HMAC, "Message": b"message"}
    assert checker.verify_mac(**given, Mac=made)["MacValid"] is True
    assert refusal(checker.generate_mac, **given) == "AccessDeniedException"


def test_a_permission_can_be_for_one_algorithm(cloud: ServedCloud, key: str) -> None:
    maker = somebody(cloud, key, "kms:GenerateMac")
    assert maker.generate_mac(KeyId=key, MacAlgorithm=HMAC, Message=b"message")["Mac"]
    other = {"KeyId": key, "MacAlgorithm": "HMAC_SHA_512", "Message": b"message"}
    assert refusal(maker.generate_mac, **other) == "AccessDeniedException"
