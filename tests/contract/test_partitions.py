"""The translated template in each partition of AWS: refused by a sentence, or without a name of another partition."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import pytest

from sandbox.deployment.template import read, translate
from tools.translated import TEMPLATE, packaged

SESSION = botocore.session.get_session()
PLACES = {
    region: partition
    for partition in SESSION.get_available_partitions()
    for region in SESSION.get_available_regions("ecr", partition)
}
ELSEWHERE = [region for region, partition in PLACES.items() if partition != "aws"]
SIGNING = {region for region in PLACES if region in SESSION.get_available_regions("signer", PLACES[region])}
SUFFIXES = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}
ONE_EACH = {"aws": "eu-central-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}


@cache
def translated_for(region: str) -> dict[str, Any]:
    return translate(copy.deepcopy(packaged(read(TEMPLATE))), region)


def refusals(region: str) -> list[str]:
    """Return the descriptions of the rules that refuse a deployment to a Region."""
    found = []
    for rule in translated_for("eu-central-1")["Rules"].values():
        for assertion in rule["Assertions"]:
            [contains] = assertion["Assert"]["Fn::Not"]
            refused, here = contains["Fn::Contains"]
            assert here == {"Ref": "AWS::Region"}
            found += [assertion["AssertDescription"]] if region in refused else []
    return found


def texts(node: Any, values: dict[str, str]) -> Iterator[str]:
    """Yield every text with the pseudo parameters filled in."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from texts(key, values)
            yield from texts(value, values)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value, values)
    elif isinstance(node, str):
        yield re.sub(r"\$\{(AWS::\w+)\}", lambda found: values.get(found[1], found[0]), node)


@pytest.mark.parametrize("region", ELSEWHERE)
def test_where_nobody_can_decide_or_verify_one_sentence_says_so(region: str) -> None:
    [why] = refusals(region)
    assert why.startswith("imagegate does not work in ")


def test_no_region_is_refused_that_could_do_all() -> None:
    """Regions without function URLs have no AWS Signer, either, by botocore's endpoints; GovCloud has it."""
    refused = {region for region in PLACES if PLACES[region] == "aws" and refusals(region)}
    assert len(refused) == 11
    assert not refused & SIGNING
    assert {"us-east-1", "eu-central-1", "ap-southeast-2"} <= SIGNING


@pytest.mark.parametrize(("partition", "region"), ONE_EACH.items())
def test_every_arn_and_host_is_of_the_partition(partition: str, region: str) -> None:
    """The definition of the state machine is a file of its own, and names the partition aws."""
    values = {"AWS::Partition": partition, "AWS::URLSuffix": SUFFIXES[partition], "AWS::Region": region}
    found = list(texts(translated_for(region)["Resources"], values))
    arns = {text.split(":")[1] for text in found if text.startswith("arn:")}
    assert arns == {partition}
    hosts = {text for text in found if re.fullmatch(rf"[a-z0-9.]+\.{region}\.amazonaws\.com[a-z.]*", text)}
    assert hosts
    assert {text.partition(region + ".")[2] for text in hosts} == {SUFFIXES[partition]}
    assert f"{region}.amazonaws" not in json.dumps(translated_for(region)["Resources"])
