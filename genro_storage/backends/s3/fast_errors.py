"""What obstore says has gone wrong, as botocore would have raised it: one explanation for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .codes import OVER

if TYPE_CHECKING:
    from ..object_stores.failures import Failure
    from .client import S3Client

__all__ = ["explain"]

_OPERATIONS = {"HEAD": "HeadObject", "GET": "GetObject", "PUT": "PutObject"}
#: What the SDK turns to another region for.
_ELSEWHERE = (
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "IllegalLocationConstraintException",
)

#: Without a code of its own: what hardly any S3 server says of a single object.
_NO_S3 = ("400", "405", "501")

_CLASSES = {
    "unreachable": "EndpointConnectionError",
    "unanswered": "ConnectTimeoutError",
    "timeout": "ReadTimeoutError",
    "broken": "ConnectionClosedError",
}


def explain(client: S3Client, failure: Failure) -> Exception | None:
    """The standard exception; None where botocore shall try, and say what is wrong itself."""
    error = _as_botocore(client, failure)
    if error is None:
        return None
    explained = client.explained(error)
    if explained is not error:
        explained.__cause__ = error
    return explained


def _as_botocore(client: S3Client, failure: Failure) -> Exception | None:
    from botocore import exceptions

    boto: Any = exceptions
    found: Exception
    endpoint = client.endpoint or "Amazon S3"
    if failure.kind == "status" and failure.status is not None:
        code = failure.code or str(failure.status)
        if code in OVER and client.source is not None and client.source.renewable:
            return None  # the SDK asks for new ones, and tries again
        if code in _NO_S3:
            return None  # perhaps no S3 server, which the SDK tells by its answer
        if code in _ELSEWHERE or (failure.status == 400 and failure.method == "HEAD"):
            return None
        answer: dict[str, Any] = {"Code": code, "Message": failure.message}
        if failure.region:
            answer["Region"] = failure.region
        response = {"Error": answer, "ResponseMetadata": {"HTTPStatusCode": failure.status}}
        found = boto.ClientError(response, _OPERATIONS.get(failure.method, "GetObject"))
        return found
    kind = _CLASSES.get(failure.kind)
    if kind is None:
        # What is wrong with a certificate the SDK says in words that people know.
        return None
    found = getattr(boto, kind)(endpoint_url=endpoint, error=Exception(failure.kind))
    return found
