"""IAM: the tags of users and roles, by which a policy may name approvers.

Source: IAM API reference, ListUserTags and ListRoleTags. A path is not part of what STS says of a role's session, and
not needed: names are unique in an account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from imagegate.aws.clients import client, translated
from imagegate.errors import AccessRefusedError

_USER = re.compile(r"arn:[^:]+:iam::\d{12}:user/(?:.*/)?([^/]+)")
_SESSION = re.compile(r"arn:[^:]+:sts::\d{12}:assumed-role/([^/]+)/.+")


class IamPeople:
    """The users and roles of this account."""

    def tags(self, arn: str) -> Mapping[str, str]:
        """Empty for whoever is neither a user nor a role, or is gone."""
        if user := _USER.fullmatch(arn):
            return _listed("list_user_tags", UserName=user[1])
        if session := _SESSION.fullmatch(arn):
            return _listed("list_role_tags", RoleName=session[1])
        return {}


def _listed(operation: str, **asked: str) -> dict[str, str]:
    iam: Any = client("iam")
    try:
        with translated({"AccessDenied": AccessRefusedError}, asked=operation):
            pages = iam.get_paginator(operation).paginate(**asked)
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    except iam.exceptions.NoSuchEntityException:
        return {}
