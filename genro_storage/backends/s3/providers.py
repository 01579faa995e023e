"""Where the credentials of a mount come from: each way as a ``CredentialSource``."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import inspect
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..object_stores.plain import check_line
from .credentials import Credentials, CredentialSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from .broker import Broker
    from .options import S3Options

__all__ = ["make_source", "read_credential", "sdk_credentials"]


def make_source(options: S3Options, broker: Broker | None) -> CredentialSource | None:
    """The source of a mount's credentials, None where it sends none. Nothing is asked for it."""
    if broker is not None:
        return CredentialSource(broker.fetch, "the credentials broker")
    if options.anon:
        return None
    if options.credential_provider is not None:
        return CredentialSource(_Provider(options).fetch, "the credential provider")
    if options.key is not None and options.secret is not None:
        token = None if options.token is None else options.token.get_secret_value()
        fixed = Credentials(options.key, options.secret.get_secret_value(), token)
        return CredentialSource(lambda: fixed, "the configuration", renewable=False)
    chain = _Chain(options)
    return CredentialSource(chain.fetch, "the usual places of AWS", forget=chain.forget)


# -- a provider in code ---------------------------------------------------------------------------


class _Provider:
    """Calls what the mount was given, which may be asynchronous, or ``module:name``."""

    def __init__(self, options: S3Options) -> None:
        self._given = options.credential_provider
        self._patience = options.timeout
        self._found: Callable[[], Any] | None = None

    def fetch(self) -> Credentials:
        if self._found is None:
            given = self._given
            self._found = _imported(given) if isinstance(given, str) else given
        assert self._found is not None
        answer = self._found()
        if inspect.isawaitable(answer):
            answer = self._awaited(answer)
        return read_credential(answer)

    def _awaited(self, answer: Any) -> Any:
        # Always on the same loop, which is where a provider's own connections then are. Sources
        # are never asked on its thread.
        from fsspec.asyn import get_loop

        async def waited() -> Any:
            async with asyncio.timeout(self._patience):
                return await answer

        try:
            return asyncio.run_coroutine_threadsafe(waited(), get_loop()).result()
        except TimeoutError as error:
            raise TimeoutError(
                errno.ETIMEDOUT, f"the credential provider took more than {self._patience:g} s"
            ) from error


def _imported(reference: str) -> Callable[[], Any]:
    from importlib import import_module

    module_name, _, name = reference.partition(":")
    try:
        found: Any = import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        # No ImportError, which would ask to install an extra of ours.
        raise ValueError(
            f"'credential_provider': there is no module {error.name!r}; correct {reference!r}"
        ) from error
    except AttributeError as error:
        raise ValueError(
            f"'credential_provider': {module_name!r} has no {name!r}; correct {reference!r}"
        ) from error
    if inspect.isclass(found):
        found = found()
    if not callable(found):
        raise ValueError(  # noqa: TRY004 - a mistake of the configuration
            f"'credential_provider': {reference!r} cannot be called"
        )
    return found  # type: ignore[no-any-return]


def read_credential(answer: Any) -> Credentials:
    """What a provider returned, in obstore's shape; ``ValueError``, without values, where not."""
    hint = "it returns access_key_id, secret_access_key, token and expires_at"
    if not isinstance(answer, Mapping):
        kind = type(answer).__name__
        raise ValueError(f"the credential provider returned a {kind}; {hint}")  # noqa: TRY004 - a mistake of the configuration, as those below
    for name in ("access_key_id", "secret_access_key"):
        if not isinstance(answer.get(name), str) or not answer[name]:
            raise ValueError(f"the credential provider returned no {name}; {hint}")
    token, ends = answer.get("token"), answer.get("expires_at")
    if token is not None and not isinstance(token, str):
        raise ValueError(f"the credential provider returned a token that is no text; {hint}")
    for name in ("access_key_id", "secret_access_key", "token"):
        try:
            check_line(answer.get(name) or "", ascii_only=name != "secret_access_key")
        except ValueError as error:
            raise ValueError(f"the {name} of the credential provider: {error}") from None
    if ends is not None and not isinstance(ends, datetime):
        raise ValueError("the credential provider returned an expires_at that is no datetime")
    if ends is not None and ends.tzinfo is None:
        raise ValueError(
            "the credential provider returned an expires_at without a time zone; write for "
            "instance datetime.now(UTC) + timedelta(hours=1)"
        )
    return Credentials(
        answer["access_key_id"],
        answer["secret_access_key"],
        token or None,
        None if ends is None else ends.timestamp(),
    )


# -- the SDK's own ways ---------------------------------------------------------------------------


class _Chain:
    """What botocore finds: environment, profile, SSO, web identity, container, instance."""

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._found: Any = None

    def fetch(self) -> Credentials:
        from botocore.exceptions import NoCredentialsError

        # Kept, because it renews itself; one that was not there may be there the next time.
        if self._found is None:
            self._found = self._look()
        if self._found is None:
            raise NoCredentialsError
        frozen = self._found.get_frozen_credentials()
        ends = getattr(self._found, "_expiry_time", None)
        return Credentials(
            frozen.access_key,
            frozen.secret_key,
            frozen.token or None,
            ends.timestamp() if isinstance(ends, datetime) else None,
        )

    def forget(self) -> None:
        """Look again the next time: a file may hold others by now."""
        self._found = None

    def _look(self) -> Any:
        from botocore.credentials import ContainerProvider
        from botocore.session import Session

        options = self._options
        places = {
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": options.container_credentials_relative_uri,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": options.container_credentials_full_uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": options.container_authorization_token_file,
        }
        given = {name: value for name, value in places.items() if value is not None}
        if given:
            return ContainerProvider(environ=given).load()
        from .sdk_settings import load_models

        session = Session(profile=options.profile)
        session.register_component("data_loader", load_models())
        region = options.region or options.default_region
        if region is not None:
            session.set_config_variable("region", region)
        if options.web_identity_token_file is not None:
            return _web_identity(session, options)
        if options.metadata_endpoint is not None:
            session.set_config_variable("ec2_metadata_service_endpoint", options.metadata_endpoint)
        if options.imdsv1_fallback is not None:
            session.set_config_variable("ec2_metadata_v1_disabled", not options.imdsv1_fallback)
        return session.get_credentials()


def _web_identity(session: Any, options: S3Options) -> Any:
    from botocore.credentials import (
        AssumeRoleWithWebIdentityCredentialFetcher,
        DeferredRefreshableCredentials,
    )
    from botocore.utils import FileWebIdentityTokenLoader

    def create(service: str, **more: Any) -> Any:
        if options.sts_endpoint is not None:
            more["endpoint_url"] = options.sts_endpoint
        return session.create_client(service, **more)

    named = options.role_session_name
    fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
        create,
        FileWebIdentityTokenLoader(options.web_identity_token_file),
        options.role_arn,
        extra_args={} if named is None else {"RoleSessionName": named},
    )
    return DeferredRefreshableCredentials(
        method="assume-role-with-web-identity", refresh_using=fetcher.fetch_credentials
    )


async def _in_a_thread(step: Callable[[], Credentials]) -> Credentials:
    """``step()`` in a thread of its own.

    Those of the loop are few, and an awaited provider may need one: they must not all wait for it.
    """
    future: Future[Credentials] = Future()
    future.set_running_or_notify_cancel()  # who no longer waits for it does not end it

    def work() -> None:
        try:
            found = step()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            future.set_exception(error)
        else:
            future.set_result(found)

    # In the context of who waits for it, and may want to hear of what is tried again.
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(work,), name="genro-storage-credentials", daemon=True
    ).start()
    return await asyncio.wrap_future(future)


def sdk_credentials(source: CredentialSource) -> Any:
    """Credentials for a session of aiobotocore that ask the source for each signature."""
    from aiobotocore.credentials import AioCredentials
    from botocore.credentials import ReadOnlyCredentials

    class SourceCredentials(AioCredentials):  # type: ignore[misc]
        """The source's, whatever they are when a request is signed."""

        def __init__(self) -> None:
            # Nothing to keep: what there is at this moment may be over soon.
            super().__init__("", "", method="genro-storage")

        @property
        def _expiry_time(self) -> datetime | None:
            # Where botocore keeps it, and whoever signs a URL looks for it.
            found = source.peek()
            ends = None if found is None else found.expires_at
            return None if ends is None else datetime.fromtimestamp(ends, UTC)

        async def get_frozen_credentials(self) -> Any:
            # A thread only where they are to be fetched: that may take its time.
            found = source.peek()
            if found is None:
                found = await _in_a_thread(source.get)
            return ReadOnlyCredentials(found.key, found.secret, found.token)

    return SourceCredentials()
