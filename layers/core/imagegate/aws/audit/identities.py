"""The identities of the account, as IAM lists them.

It loads no library of AWS: the command line imports it before it knows what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

SIMULATIONS_A_SECOND = 5.0
_LINKED = "/aws-service-role/"  # roles that only a service of AWS can take


def read_identities(iam: Any, after_page: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Yield the ARNs of users and roles, without the roles that only a service of AWS can use."""
    for operation, key in (("list_users", "Users"), ("list_roles", "Roles")):
        for page in iam.get_paginator(operation).paginate():
            yield from (one["Arn"] for one in page[key] if not one["Path"].startswith(_LINKED))
            after_page()
