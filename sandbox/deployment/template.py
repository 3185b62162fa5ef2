"""SAM templates: read, packaged with the files that they name, and translated to plain CloudFormation, offline."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

Template = dict[str, Any]
Upload = Callable[[bytes], dict[str, str]]  # content to {"Bucket", "Key"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache"}


class _Loader(yaml.SafeLoader):
    """A YAML loader that knows CloudFormation's short forms."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
# CloudFormation's "2012-10-17" is text.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path) -> Template:
    template = yaml.load(path.read_text(), _Loader)  # noqa: S506 - derived from SafeLoader
    assert isinstance(template, dict), f"{path} is not a template"
    return template


def zip_folder(folder: Path, prefix: str = "") -> bytes:
    """Return a deterministic archive of a folder."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not _IGNORED & set(path.parts):
                name = prefix + path.relative_to(folder).as_posix()
                info = zipfile.ZipInfo(name, _EPOCH)
                info.external_attr = 0o644 << 16
                archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def package_files(template: Template, folder: Path, upload: Upload) -> Template:
    """Return the template with code and layers uploaded, and state machine definitions inlined."""
    shared = (template.get("Globals") or {}).get("Function") or {}
    for definition in template["Resources"].values():
        properties = definition.setdefault("Properties", {})
        kind = definition["Type"]
        if kind == "AWS::Serverless::Function":
            uri = properties.get("CodeUri", shared.get("CodeUri"))
            if isinstance(uri, str):
                properties["CodeUri"] = upload(zip_folder(folder / uri))
        elif kind == "AWS::Serverless::LayerVersion":
            # The build of a layer, if it has one, puts the packages under python/.
            prefix = "python/" if "BuildMethod" in (definition.get("Metadata") or {}) else ""
            properties["ContentUri"] = upload(zip_folder(folder / properties["ContentUri"], prefix))
        elif kind == "AWS::Serverless::StateMachine" and "DefinitionUri" in properties:
            text = (folder / properties.pop("DefinitionUri")).read_text()
            properties["Definition"] = yaml.load(text, _Loader)  # noqa: S506 - as above
    return template


def translate(template: Template, region: str) -> Template:
    session = boto3.Session(region_name=region)
    translator = Translator({}, Parser(), boto_session=session)
    result = translator.translate(template, {})
    assert isinstance(result, dict)
    # The transform is done: CloudFormation must not do it again.
    return json.loads(json.dumps({k: v for k, v in result.items() if k != "Transform"}))  # type: ignore[no-any-return]


def check_parameters(template: Template, given: dict[str, str]) -> dict[str, str]:
    """Return the given values. Raises ValueError for a value that the template does not know or forbids."""
    known = template.get("Parameters") or {}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"the template has no parameter {name}")
        allowed, pattern = known[name].get("AllowedValues"), known[name].get("AllowedPattern")
        if allowed and value not in [str(item) for item in allowed]:
            raise ValueError(f"parameter {name}: {value!r} is none of {allowed}")
        if pattern and not re.fullmatch(pattern, value):
            raise ValueError(f"parameter {name}: {value!r} does not match {pattern}")
    return given


def object_key(content: bytes) -> str:
    return sha256(content).hexdigest()
