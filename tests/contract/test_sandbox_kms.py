"""Message authentication codes of KMS: what links rest on, and which permission each use needs."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.deployment.template import read
from sandbox.settings import REGION
from tests.contract.served_cloud import ServedCloud

ROOT = Path(__file__).parents[2]
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


def promoter(cloud: ServedCloud, *sids: str) -> Any:
    """Create a user with these statements of the template about a new key; return ECR for them, and the key."""
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    policy = read(ROOT / "template.yaml")["Resources"]["EncryptRepositories"]["Properties"]["PolicyDocument"]
    given = json.dumps([one for one in policy["Statement"] if one["Sid"] in sids])
    given = given.replace(json.dumps({"Fn::Split": [",", {"Ref": "RepositoryKeys"}]}), json.dumps(key))
    via = json.dumps({"Fn::Sub": "ecr.${AWS::Region}.${AWS::URLSuffix}"})
    statements = json.loads(given.replace(via, json.dumps(f"ecr.{REGION}.amazonaws.com")))
    may = {"Effect": "Allow", "Action": ["ecr:CreateRepository", "ecr:TagResource"], "Resource": "*"}
    iam, name = cloud.client("iam"), f"promoter-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [may, *statements]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    return cloud.client("ecr", **keys), key


SIDS = ("SeeTheKeysOfRepositories", "LetEcrUseTheKeysOfRepositories")


def test_a_repository_is_encrypted_by_a_customers_key_with_the_permissions_of_the_template(
    cloud: ServedCloud,
) -> None:
    ecr, key = promoter(cloud, *SIDS)
    encryption = {"encryptionType": "KMS", "kmsKey": key}
    made = ecr.create_repository(repositoryName=f"r-{uuid.uuid4().hex}", encryptionConfiguration=encryption)
    assert made["repository"]["encryptionConfiguration"]["kmsKey"] == key


@pytest.mark.parametrize("missing", SIDS)
def test_it_needs_each_of_them(cloud: ServedCloud, missing: str) -> None:
    ecr, key = promoter(cloud, *(sid for sid in SIDS if sid != missing))
    encryption = {"encryptionType": "KMS", "kmsKey": key}
    given = {"repositoryName": f"r-{uuid.uuid4().hex}", "encryptionConfiguration": encryption}
    assert refusal(ecr.create_repository, **given) == "AccessDeniedException"


def test_tags_of_a_repository_need_a_permission_of_their_own(cloud: ServedCloud) -> None:
    iam, name = cloud.client("iam"), f"tagger-{uuid.uuid4().hex[:8]}"
    may = {"Effect": "Allow", "Action": "ecr:CreateRepository", "Resource": "*"}
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    ecr = cloud.client("ecr", **keys)
    named = {"repositoryName": f"r-{uuid.uuid4().hex}"}
    tags = [{"Key": "team", "Value": "shop"}]
    assert refusal(ecr.create_repository, **named, tags=tags) == "AccessDeniedException"
    assert ecr.create_repository(**named)["repository"]["repositoryName"] == named["repositoryName"]
