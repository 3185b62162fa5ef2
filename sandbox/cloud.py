"""One running sandbox: the AWS endpoint, the registry, the functions, with the template deployed."""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Self

from sandbox.settings import Settings

if TYPE_CHECKING:
    from sandbox.deployment.deploy import DeployedStack

# In this order: later ones use earlier ones.
_PATCHES = (
    "speed",
    "iam.enforcement",
    "iam.simulation",
    "cfn.cloudformation",
    "awslambda",
    "function_urls",
    "s3",
    "events.sns",
    "events.sqs",
    "events.rules",
    "states.stepfunctions",
    "ecr.operations",
    "inspector.inspector2",
    "signer.jobs",
    "ecs",
)
# The files of a run in its folder. Only the logs stay when it stops, until the next run.
_OWN_FILES = (
    *("blobs", "uploads", "functions", "findings", "intelligence.json"),
    *("trust-root.pem", "trust-root.key"),
    *("env", "env.pusher", "env.approver", "sam-env.json", "sam-template.json", "sam-code"),
)


class StateInUseError(Exception):
    """Another sandbox runs in this folder."""


class Cloud:
    """The sandbox as a context manager. One per process at a time, because moto's backends are global."""

    def __init__(
        self,
        settings: Settings,
        *,
        template: Path | None = None,
        parameters: dict[str, str] | None = None,
        deploy: bool = True,
        progress: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.settings = settings
        self.credentials: dict[str, str] = {}
        self.deployment: DeployedStack | None = None
        self._template = template
        self._parameters = parameters or {}
        self._deploy = deploy
        self._progress = progress
        self._undo = ExitStack()

    def start(self) -> None:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self._take_state()
        self._progress("starting AWS …")
        _forget_aws()
        self._undo.callback(_configure_moto(self.settings))
        patches = self._install_patches()
        # Imported late: they import moto, which reads the environment then.
        from sandbox import registry
        from sandbox.aws.iam.principals import create_admin
        from sandbox.server import serve
        from sandbox.wiring import registry_hooks

        self._undo.callback(serve(self.settings))
        self._undo.callback(registry.start(self.settings, registry_hooks()))
        self.credentials = create_admin()
        patches["cfn.cloudformation"].use_credentials(self.credentials)
        if self.settings.is_enhanced:
            self._scan_with_inspector()
        if self._deploy:
            self._deploy_template()
        # Last: when this file is there, everything is.
        self._write_env("env", self.credentials)

    def _scan_with_inspector(self) -> None:
        """Switch enhanced scanning on, before the deployment: a policy that needs it is refused otherwise."""
        from sandbox.clients import client

        everything = {"filter": "*", "filterType": "WILDCARD"}
        client(self.settings, self.credentials, "ecr").put_registry_scanning_configuration(
            scanType="ENHANCED",
            rules=[{"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": [everything]}],
        )

    def _take_state(self) -> None:
        state = self.settings.state
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
        self._undo.callback(lock.close)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateInUseError(f"a sandbox is already running in {state}") from error
        _clean(state)
        shutil.rmtree(state / "logs", ignore_errors=True)
        (state / "logs").mkdir()
        self._undo.callback(_clean, state)

    def _install_patches(self) -> dict[str, ModuleType]:
        modules = {name: importlib.import_module(f"sandbox.aws.{name}") for name in _PATCHES}
        for module in modules.values():
            module.install(self.settings)
            if hasattr(module, "stop"):
                self._undo.callback(module.stop)
        return modules

    def _deploy_template(self) -> None:
        from sandbox.aws.signer.jobs import trust_root_thumbprint
        from sandbox.deployment.deploy import deploy
        from sandbox.sam_local import environment

        self._progress("deploying the template …")
        # The root of the signatures here is not AWS's.
        optional = {"TrustedRoots": trust_root_thumbprint(self.settings)}
        self.deployment = deploy(
            self.settings,
            self.credentials,
            template=self._template,
            parameters=self._parameters,
            optional_parameters=optional,
        )
        template = self._template or self.settings.root / "template.yaml"
        self._undo.callback(environment.write(self.settings, self.deployment, template))
        self._write_people(self.deployment)

    @property
    def env(self) -> dict[str, str]:
        """The variables with which a shell uses this sandbox as if it were AWS."""
        return self._variables(self.credentials)

    def _variables(self, credentials: dict[str, str]) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.settings.endpoint,
            "AWS_REGION": self.settings.region,
            "AWS_DEFAULT_REGION": self.settings.region,
            "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
            "IMAGEGATE_REGISTRY": self.settings.registry,
            "IMAGEGATE_TRUST_ROOT": str((self.settings.state / "trust-root.pem").resolve()),
            "IMAGEGATE_STACK": self.settings.stack,
        }

    def _write_people(self, deployment: DeployedStack) -> None:
        from sandbox.people import create_people

        for name, credentials in create_people(self.settings, self.credentials, deployment).items():
            self._write_env(f"env.{name}", credentials)

    def _write_env(self, file: str, credentials: dict[str, str]) -> None:
        path = self.settings.state / file
        lines = [f"export {name}={value!r}\n" for name, value in self._variables(credentials).items()]
        path.touch(mode=0o600)
        # A session token in the shell would not belong to these keys.
        path.write_text("".join(["unset AWS_SESSION_TOKEN AWS_PROFILE\n", *lines]))
        self._undo.callback(path.unlink, missing_ok=True)

    def stop(self) -> None:
        """Stop everything that was started, in reverse order. A second call does nothing."""
        self._undo.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


def _clean(state: Path) -> None:
    """Remove only the files that sandboxes write: the folder may have other files in it."""
    for path in [*(state / name for name in _OWN_FILES), *state.glob("*.jsonl")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "MOTO_PORT": str(settings.aws_port),
        "MOTO_HOST": "http://127.0.0.1",
        "MOTO_ACCOUNT_ID": settings.account,
        # Pages in a browser must not call it.
        "MOTO_DISABLE_GLOBAL_CORS": "true",
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        # Ignore the developer's own accounts, profiles and proxies.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _forget_aws() -> None:
    """Remove every AWS variable and proxy of the shell: from here on there is only the sandbox."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update({"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"})


def _configure_moto(settings: Settings) -> Callable[[], None]:
    """Set moto's environment, which it reads partly on import and partly on each call; return the undo function."""
    before = dict(os.environ)
    os.environ |= _environment(settings)
    os.environ.pop("AWS_PROFILE", None)
    from sandbox.shared_models import share_models

    share_models()
    from moto.core.base_backend import BackendDict  # noqa: F401 - imports moto's settings
    from moto.moto_api._internal.models import moto_api_backend

    moto_api_backend.reset()

    def undo() -> None:
        os.environ.clear()
        os.environ |= before

    return undo
