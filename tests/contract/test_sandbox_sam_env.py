"""The input of `sam local invoke`: the deployed functions with their own roles, and a relay to the sandbox."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sandbox.sam_local import relay
from tests.contract.served_cloud import ServedCloud, served_cloud


def test_a_function_gets_its_deployed_variables_and_its_own_role(cloud: ServedCloud) -> None:
    variables = json.loads((cloud.state / "sam-env.json").read_text())["Where"]
    assert variables["NUMBER"] == "3"
    assert variables["DIGEST"]
    assert variables["AWS_ENDPOINT_URL"] == cloud.env["AWS_ENDPOINT_URL"]
    keys = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    own = {key: variables[key.upper()] for key in keys}
    assert "assumed-role" in cloud.client("sts", **own).get_caller_identity()["Arn"]
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("lambda", **own).list_functions()


def test_the_template_names_every_variable_that_has_a_value(cloud: ServedCloud) -> None:
    template = json.loads((cloud.state / "sam-template.json").read_text())
    shared = template.get("Globals", {}).get("Function", {}).get("Environment", {}).get("Variables", {})
    for name, values in json.loads((cloud.state / "sam-env.json").read_text()).items():
        properties = template["Resources"][name]["Properties"]
        assert values.keys() <= {*shared, *properties["Environment"]["Variables"]}
        assert Path(properties["CodeUri"]).is_dir()


def test_the_relay_beside_the_code_connects_to_the_endpoint(cloud: ServedCloud) -> None:
    port = cloud.env["AWS_ENDPOINT_URL"].rsplit(":", 1)[1]
    for path in cloud.state.glob(f"sam-code/*/.relay/{port}.sock"):
        with relay.to_socket(path) as way:
            way.sendall(b"GET /sandbox-api/quirks HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: way.recv(65536), b""))
        assert b" 200 " in answer.splitlines()[0]
        break
    else:
        pytest.fail("no relay")


def test_only_the_owner_may_use_a_relay_and_its_path_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / ("deep" * 30) / "80.sock"
    path.parent.mkdir()
    with relay.listen(path) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        relay.to_socket(path).close()
        listener.accept()[0].close()


def test_keys_are_for_the_owner_alone_and_gone_after_a_stop(tmp_path: Path) -> None:
    with served_cloud(tmp_path, "tiny") as running:
        assert stat.S_IMODE((running.state / "sam-env.json").stat().st_mode) == 0o600
    assert not list(tmp_path.glob("sam-*"))
