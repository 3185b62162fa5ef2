"""IAM: the tags of users and roles, by which a policy may name approvers.

Source: IAM API reference, ListUserTags and ListRoleTags. The ARN of a role's session lacks the path of the role. It is
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
        """Return the tags; empty if the ARN is of neither a user nor a role, or if it is gone."""
        if user := _USER.fullmatch(arn):
            return _list_tags("list_user_tags", UserName=user[1])
        if session := _SESSION.fullmatch(arn):
            return _list_tags("list_role_tags", RoleName=session[1])
        return {}


def _list_tags(operation: str, **owner: str) -> dict[str, str]:
    iam: Any = client("iam")
    try:
        with translated({"AccessDenied": AccessRefusedError}, subject=operation):
            pages = iam.get_paginator(operation).paginate(**owner)
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    except iam.exceptions.NoSuchEntityException:
        return {}
