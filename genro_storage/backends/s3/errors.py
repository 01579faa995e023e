"""What botocore and S3 servers raise, in standard exceptions that name the fix."""

from __future__ import annotations

import errno
import io
from dataclasses import dataclass
from typing import Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from ..errors import RootNotFoundError, UntrustedServerError, WrongServerError
from ..object_stores.connecting import connection_failure
from .codes import BUSY
from .likeness import NotS3Error

__all__ = ["Explainer"]

_CREDENTIALS = {
    "InvalidAccessKeyId": "the access key id is unknown there; check 'key' (and 'endpoint_url')",
    "SignatureDoesNotMatch": "the signature is wrong; check 'secret'",
    "ExpiredToken": "the session token has expired; renew 'key', 'secret' and 'token'",
    "InvalidToken": "the session token is not valid; check 'token'",
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it",
    "RequestExpired": "the clock of this machine is wrong; set it",
    "AccountProblem": "the account has a problem; ask its provider",
    "AllAccessDisabled": "all access to the bucket is disabled; ask its owner",
    "InvalidObjectState": "the file is archived; restore it first",
    "InvalidPayer": "the bucket's owner makes requesters pay",
    "NotSignedUp": "the account is not signed up for this service",
}
_CREDENTIALS["ExpiredTokenException"] = _CREDENTIALS["ExpiredToken"]
_CREDENTIALS["TokenRefreshRequired"] = _CREDENTIALS["ExpiredToken"]

_FAILED = {
    "InternalError",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "OperationAborted",
    "ConditionalRequestConflict",
    "500",
    "502",
}
#: What a page for people says that is there in the place of an answer.
_NO_S3 = ("400", "405", "501")
_FULL = {
    "QuotaExceeded",
    "XMinioStorageFull",
    "XMinioStorageQuotaExceeded",
    "InsufficientStorage",
    "507",
}
_PLAIN = {
    "KeyTooLongError": (errno.ENAMETOOLONG, "a key has at most 1024 bytes"),
    "KeyTooLong": (errno.ENAMETOOLONG, "a key has at most 1024 bytes"),
    "EntityTooLarge": (errno.EFBIG, "the server takes no file that large"),
    "MetadataTooLarge": (errno.EINVAL, "user metadata may have 2 KB in all"),
    "NoSuchUpload": (errno.EIO, "the server has dropped the unfinished upload"),
}


@dataclass(frozen=True)
class Explainer:
    """Turns errors into standard ones for one mount; called with each error."""

    bucket: str
    anon: bool
    endpoint: str

    def __call__(self, error: Exception) -> Exception:
        if isinstance(error, boto.ClientError):
            return self._answer(error)
        if isinstance(error, boto.BotoCoreError):
            return self._client(error)
        if isinstance(error, NotS3Error):
            return self._wrong_server(str(error))
        # What comes out of the middle of an answer, under aiohttp's own names, and an answer that
        # is no S3 server's: an overloaded proxy's, often.
        if isinstance(error, ResponseParserError) or type(error).__module__.startswith("aiohttp."):
            return ConnectionError(
                errno.ECONNRESET, f"the connection to {self.endpoint} broke ({_name(error)})"
            )
        return error

    def _answer(self, error: boto.ClientError) -> Exception:
        answer: dict[str, Any] = error.response.get("Error", {})
        code = str(answer.get("Code", ""))
        text = f"{code}: {answer.get('Message', '')}".strip(": ")
        if "Page" in answer and code in _NO_S3:
            return self._wrong_server(f"{text}, {answer['Page']}")
        if code == "NoSuchBucket":
            return RootNotFoundError(
                f"the bucket {self.bucket!r} does not exist; create it or correct 'bucket'"
            )
        if code in ("NoSuchKey", "NotFound", "404", "NoSuchVersion"):
            return FileNotFoundError(errno.ENOENT, "not found")
        if code in _CREDENTIALS:
            return PermissionError(errno.EACCES, _CREDENTIALS[code])
        if code in ("AuthorizationHeaderMalformed", "PermanentRedirect", "301"):
            region = answer.get("Region") or _header(error, "x-amz-bucket-region")
            found = f"is in the region {region!r}" if region else "is in another region"
            return PermissionError(errno.EACCES, f"the bucket {found}; correct 'region'")
        if code in ("AccessDenied", "403", "401", "Unauthorized"):
            return PermissionError(errno.EACCES, self._denied())
        if code == "400" and error.operation_name.startswith("Head"):
            return PermissionError(errno.EACCES, self._denied())
        if code in ("PreconditionFailed", "412"):
            if error.operation_name in ("PutObject", "CompleteMultipartUpload"):
                return FileExistsError(errno.EEXIST, "already exists")
            return OSError(errno.EBUSY, "another content came in its place meanwhile; try again")
        if code in BUSY:
            return _busy(code)
        if code in ("RequestTimeout", "504"):
            return TimeoutError(errno.ETIMEDOUT, f"{self.endpoint} answered: {text}")
        if code in _FAILED:
            return ConnectionError(errno.EREMOTEIO, f"{self.endpoint} failed: {text}")
        if code in _FULL:
            return OSError(errno.ENOSPC, "no space, or no quota, is left")
        if code in ("MethodNotAllowed", "405", "NotImplemented", "501"):
            return io.UnsupportedOperation(f"the server refuses {error.operation_name} ({code})")
        if code in _PLAIN:
            return OSError(*_PLAIN[code])
        return self._unknown(error, code, text)

    def _wrong_server(self, why: str) -> WrongServerError:
        return WrongServerError(
            f"{self.endpoint} answers, but not like S3 ({why}); check 'endpoint_url'"
        )

    def _unknown(self, error: boto.ClientError, code: str, text: str) -> Exception:
        """A code that only this server has: its status says what kind of failure it is."""
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
        # Some servers do not even understand a request without a signature.
        if status in (401, 403) or (self.anon and status == 400):
            return PermissionError(errno.EACCES, f"{self._denied()} ({code})")
        if status == 404:
            return FileNotFoundError(errno.ENOENT, "not found")
        if status in (429, 503):
            return _busy(code)
        if status >= 500:
            return ConnectionError(errno.EREMOTEIO, f"{self.endpoint} failed: {text}")
        return OSError(errno.EIO, f"{self.endpoint} answered: {text}")

    def _denied(self) -> str:
        if self.anon:
            return "the bucket does not allow this without credentials; give 'key' and 'secret'"
        return "the server denies this; check 'key', 'secret', and what they are allowed to do"

    def _client(self, error: boto.BotoCoreError) -> Exception:
        if isinstance(error, boto.NoCredentialsError):
            return PermissionError(
                errno.EACCES,
                "no credentials were found; give 'key' and 'secret', a 'profile', or 'anon: true'",
            )
        if isinstance(error, boto.ProfileNotFound):
            return PermissionError(
                errno.EACCES, f"{error}; correct 'profile' (or AWS_PROFILE), or write it there"
            )
        if isinstance(
            error,
            boto.PartialCredentialsError
            | boto.CredentialRetrievalError
            | boto.TokenRetrievalError
            | boto.UnauthorizedSSOTokenError
            | boto.SSOError,
        ):
            return PermissionError(errno.EACCES, f"the credentials cannot be used: {error}")
        if isinstance(error, boto.ConnectTimeoutError):
            return TimeoutError(
                errno.ETIMEDOUT, f"{self.endpoint} does not answer; check 'endpoint_url'"
            )
        if isinstance(error, boto.ReadTimeoutError):
            return TimeoutError(errno.ETIMEDOUT, f"{self.endpoint} has stopped answering")
        if isinstance(error, boto.SSLError | boto.EndpointConnectionError):
            found = connection_failure(error, self.endpoint)
            if found is not None:
                return found
        if isinstance(error, boto.SSLError):
            return UntrustedServerError(f"no secure connection to {self.endpoint}")
        if isinstance(error, boto.EndpointConnectionError | boto.ProxyConnectionError):
            return ConnectionError(
                errno.ECONNREFUSED, f"{self.endpoint} cannot be reached; check 'endpoint_url'"
            )
        if isinstance(
            error,
            boto.HTTPClientError | boto.IncompleteReadError | boto.ResponseStreamingError,
        ):
            return ConnectionError(
                errno.ECONNRESET, f"the connection to {self.endpoint} broke ({_name(error)})"
            )
        if isinstance(error, boto.FlexibleChecksumError):
            return OSError(errno.EIO, f"what arrived is not what was stored: {error}")
        if isinstance(error, boto.ParamValidationError):
            return ValueError(str(error))
        return OSError(errno.EIO, f"{_name(error)}: {error}")


def _busy(code: str) -> Exception:
    return ConnectionError(
        errno.EBUSY, f"the server is busy ({code}); try again later, or with more 'retries'"
    )


def _header(error: boto.ClientError, name: str) -> str | None:
    headers: dict[str, str] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers.get(name)


def _name(error: BaseException) -> str:
    return type(error).__name__
