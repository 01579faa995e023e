"""What the failures of Microsoft's client mean, as standard errors.

They are cut off from those of the client: these quote URLs, and with a shared access signature a
URL holds the credentials.
"""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from urllib3.exceptions import HTTPError as Urllib3Error

from ..errors import RootNotFoundError, WrongServerError
from ..object_stores.connecting import connection_failure
from ..object_stores.errors import is_timeout, root_name

if TYPE_CHECKING:
    from collections.abc import Generator

    from .access import AzureAccess

__all__ = ["AzureErrors", "BlocksLostError", "ConditionError"]


class ConditionError(OSError):
    """What was to be read or replaced has another ETag by now."""


class BlocksLostError(OSError):
    """Blocks that were sent are no longer there: another writer has committed meanwhile."""


class AzureErrors:
    """Explains failures, for a client of one container."""

    _access: AzureAccess
    _container: str
    _host: str

    @contextlib.contextmanager
    def _explained(self) -> Generator[None]:
        """Turns what the client raises into standard errors without its URLs."""
        try:
            yield
        except (ServiceRequestTimeoutError, ServiceResponseTimeoutError):
            raise self._silent() from None
        except (ServiceRequestError, ServiceResponseError, IncompleteReadError) as error:
            if is_timeout(error):
                raise self._silent() from None
            raise self._unreachable(error) from None
        except ClientAuthenticationError as error:
            if error.response is None:  # Entra ID, not the storage
                raise PermissionError(
                    errno.EACCES,
                    "Microsoft Entra ID gave no token; give 'account_key', 'sas_token' or "
                    "'connection_string', or `anon: true`, or sign in",
                ) from None
            raise self._refusal(error) from None
        except HttpResponseError as error:
            raise self._refusal(error) from None
        except (AzureError, requests.RequestException, Urllib3Error) as error:
            raise self._unreachable(error) from None
        except ValueError as error:
            if "deserialize" not in str(error):
                raise
            raise self._strange() from None  # a listing that is none

    def _silent(self) -> TimeoutError:
        return TimeoutError(errno.ETIMEDOUT, f"no answer from {self._host} in time")

    def _unreachable(self, error: BaseException) -> Exception:
        return connection_failure(error, self._address) or ConnectionError(
            errno.ECONNRESET, f"the connection to {self._host} failed ({root_name(error)})"
        )

    @property
    def _address(self) -> str:
        """The server without the account, which an emulator has in its path."""
        return urlsplit(self._access.endpoint)._replace(path="").geturl()

    def _strange(self) -> OSError:
        return WrongServerError(
            f"{self._host} does not answer as Azure Blob Storage; check 'endpoint_url'"
        )

    def _refusal(self, error: HttpResponseError) -> Exception:
        named = getattr(error, "error_code", None) or ""
        return self._refused(error.status_code or 0, str(getattr(named, "value", named)))

    def _refused(self, status: int, code: str) -> Exception:
        """The standard error for a status that says no."""
        said = f" ({code})" if code else ""
        if code in ("ContainerNotFound", "ContainerBeingDeleted"):
            return RootNotFoundError(
                f"the container {self._container!r} does not exist; create it or correct "
                "'container'"
            )
        if status == 404:
            return FileNotFoundError(errno.ENOENT, "not found")
        if code in ("BlobAlreadyExists", "UnauthorizedBlobOverwrite"):
            return FileExistsError(errno.EEXIST, "already exists")
        if code == "SnapshotsPresent":
            return OSError(
                errno.EBUSY, "the blob has snapshots, which would be lost; delete those first"
            )
        if code == "InvalidBlockList":
            return BlocksLostError(errno.EBUSY, "another writer was faster; write again")
        if code.startswith("Lease") or code in ("BlobImmutableDueToPolicy", "BlobArchived"):
            return PermissionError(errno.EACCES, f"the blob is locked{said}")
        if status in (401, 403):
            return PermissionError(errno.EACCES, f"access denied{said}; {self._fix(code)}")
        if status == 412:
            return ConditionError(errno.ESTALE, "it was replaced while it was read; read it again")
        if status in (408, 429) or status >= 500:
            return ConnectionError(
                errno.ECONNRESET, f"{self._host} cannot answer now (status {status}){said}"
            )
        if code in ("Md5Mismatch", "InvalidMd5"):
            return OSError(errno.EIO, f"the content arrived damaged{said}")
        if not code and (status < 300 or status == 405):
            return self._strange()  # the status of a success, and no word of the service's
        if status == 400:
            return OSError(errno.EINVAL, f"{self._host} refused the request{said}")
        return OSError(errno.EIO, f"{self._host} answered with status {status}{said}")

    def _fix(self, code: str) -> str:
        """What to correct where access is denied."""
        if self._access.key is not None:
            return "check 'account_name' and 'account_key'"
        if self._access.sas is not None:
            return "'sas_token' is wrong, has ended, or does not allow this"
        if self._access.anonymous:
            return "the container is not public: give 'account_key' or 'sas_token'"
        return "the identity that is signed in has no right to this"
