"""What a share answers, as the standard exceptions and in words that name the fix."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from smbprotocol.exceptions import (
    SMBAuthenticationError,
    SMBConnectionClosed,
    SMBException,
    SMBResponseException,
)

from ..errors import RootNotFoundError
from .wire import NO_SERVER

if TYPE_CHECKING:
    from . import SmbOptions

__all__ = ["explained"]

#: NTSTATUS -> what the standard library calls it. What is not here is an EIO with its number.
_CODES: dict[int, tuple[int, str]] = {
    0xC000_0034: (errno.ENOENT, "not found"),  # OBJECT_NAME_NOT_FOUND
    0xC000_003A: (errno.ENOENT, "not found"),  # OBJECT_PATH_NOT_FOUND
    0xC000_0039: (errno.ENOENT, "not found"),  # OBJECT_PATH_INVALID
    0xC000_003B: (errno.ENOENT, "not found"),  # OBJECT_PATH_SYNTAX_BAD
    0xC000_0225: (errno.ENOENT, "not found"),  # NOT_FOUND
    0xC000_000F: (errno.ENOENT, "not found"),  # NO_SUCH_FILE
    0xC000_0056: (errno.ENOENT, "it is being deleted"),  # DELETE_PENDING
    0xC000_0035: (errno.EEXIST, "already exists"),  # OBJECT_NAME_COLLISION
    0xC000_00BA: (errno.EISDIR, "is a directory"),  # FILE_IS_A_DIRECTORY
    0xC000_0103: (errno.ENOTDIR, "is not a directory"),  # NOT_A_DIRECTORY
    0xC000_0101: (errno.ENOTEMPTY, "directory not empty"),  # DIRECTORY_NOT_EMPTY
    0xC000_0033: (errno.EINVAL, "the server cannot hold this name"),  # OBJECT_NAME_INVALID
    0xC000_0106: (errno.ENAMETOOLONG, "the name is too long for the server"),  # NAME_TOO_LONG
    0xC000_007F: (errno.ENOSPC, "the disk of the server is full"),  # DISK_FULL
    0xC000_0044: (errno.EDQUOT, "the quota on the server is used up"),  # QUOTA_EXCEEDED
    0xC000_0904: (errno.EFBIG, "the file is too large for the server"),  # FILE_TOO_LARGE
    0xC000_0022: (  # ACCESS_DENIED
        errno.EACCES,
        "the server denies it; check the rights of 'username', and whether the share is read-only",
    ),
    0xC000_0061: (errno.EACCES, "the server denies it to this user"),  # PRIVILEGE_NOT_HELD
    0xC000_00CA: (errno.EACCES, "the server denies it to this user"),  # NETWORK_ACCESS_DENIED
    0xC000_00A2: (errno.EROFS, "the share is read-only"),  # MEDIA_WRITE_PROTECTED
    0xC000_0121: (errno.EACCES, "it is marked read-only, or in use"),  # CANNOT_DELETE
    0xC000_0043: (errno.EACCES, "another program has it open"),  # SHARING_VIOLATION
    0xC000_0054: (errno.EACCES, "another program has locked a part of it"),  # FILE_LOCK_CONFLICT
    0x8000_002D: (errno.EACCES, "it leads over a symbolic link"),  # STOPPED_ON_SYMLINK
    0xC000_0257: (  # PATH_NOT_COVERED
        errno.EACCES,
        "it is kept on another server (DFS); mount that server's share itself",
    ),
    0xC000_00BB: (errno.ENOTSUP, "the server does not support it"),  # NOT_SUPPORTED
    0xC000_0010: (errno.ENOTSUP, "the server does not support it"),  # INVALID_DEVICE_REQUEST
    0xC000_00B5: (errno.ETIMEDOUT, "the server's own storage does not answer"),  # IO_TIMEOUT
    # What passes: too many sessions, too little memory, a session that an administrator has ended.
    0xC000_009A: (errno.ECONNABORTED, "the server is overloaded"),  # INSUFFICIENT_RESOURCES
    0xC000_0205: (errno.ECONNABORTED, "the server is overloaded"),  # INSUFF_SERVER_RESOURCES
    0xC000_00D0: (errno.ECONNABORTED, "the server takes no more users"),  # REQUEST_NOT_ACCEPTED
    0xC000_0466: (errno.ECONNABORTED, "the server is not available"),  # SERVER_UNAVAILABLE
    0xC000_0128: (errno.ECONNRESET, "the server has closed the file"),  # FILE_CLOSED
}

_LOGIN: dict[int, str] = {
    0xC000_006A: "the server refuses the user or the password; check 'username' and 'password'",
    0xC000_006D: "the server refuses the user or the password; check 'username' and 'password'",
    0xC000_0064: "the server does not know this user; check 'username' and 'domain'",
    0xC000_0071: "the password has expired; set a new one and correct 'password'",
    0xC000_0224: "the password must be changed first; set a new one and correct 'password'",
    0xC000_0072: "the account is disabled; check 'username'",
    0xC000_0193: "the account has expired; check 'username'",
    0xC000_0234: "the account is locked after too many attempts; check 'password' and wait",
    0xC000_006E: "the account may not log in like this; check 'username' on the server",
    0xC000_006F: "the account may not log in at this hour",
    0xC000_0070: "the account may not log in from this machine",
    0xC000_015B: "the account may not log in over the network; check 'username' on the server",
    0xC000_018D: "the domain does not trust this server; check 'domain'",
    0xC000_005E: "no domain controller answers; check 'domain'",
}


def explained(error: Exception, options: SmbOptions) -> Exception:
    """The exception to raise instead of what the client raised; itself where it is a standard one."""
    server = f"{options.host}:{options.port}"
    if isinstance(error, SMBResponseException):
        return _status(int(error.status), options)
    if isinstance(error, SMBAuthenticationError):
        if options.username is None:
            return PermissionError(
                errno.EACCES, "there is no Kerberos ticket; give 'username' and 'password'"
            )
        return PermissionError(
            errno.EACCES, f"cannot log in on {server}; check 'username' and 'password'"
        )
    if isinstance(error, SMBConnectionClosed):
        return ConnectionResetError(errno.ECONNRESET, f"{server} has ended the connection")
    if isinstance(error, SMBException):
        return _words(str(error), server)
    if isinstance(error, TimeoutError):
        return TimeoutError(
            errno.ETIMEDOUT, f"{server} does not answer within 'timeout' ({options.timeout:g} s)"
        )
    cause = error.__cause__
    # The client wraps what its socket says in a ValueError.
    if type(error) is ValueError and isinstance(cause, OSError):
        return _unreachable(cause, server)
    if isinstance(error, ConnectionError) and error.errno is not None:
        return type(error)(error.errno, f"the connection to {server} broke")
    return error


def _status(status: int, options: SmbOptions) -> Exception:
    login = _LOGIN.get(status)
    if login is not None:
        return PermissionError(errno.EACCES, login)
    if status == 0xC000_00CC:  # BAD_NETWORK_NAME
        return RootNotFoundError(
            f"the share {options.share!r} does not exist on {options.host}; correct 'share'"
        )
    known = _CODES.get(status)
    if known is None:
        return OSError(errno.EIO, f"the server answers with status 0x{status:08x}")
    # OSError itself picks the class that belongs to the number.
    return OSError(*known)


def _words(text: str, server: str) -> Exception:
    """Some refusals of the client library have words only."""
    if NO_SERVER in text:
        # Tried again all the same: an answer can be spoilt on its way.
        return ConnectionError(errno.EPROTONOSUPPORT, f"{server}: {NO_SERVER}")
    if "encryption is required" in text:
        return PermissionError(
            errno.EACCES, f"{server} does not offer encryption; leave 'encrypt' out, or update it"
        )
    if "guest" in text or "anonymous" in text:
        return PermissionError(
            errno.EACCES,
            f"{server} has let nobody in but a guest, whose connection cannot be signed; "
            "check 'username' and 'password'",
        )
    return ConnectionError(errno.ECONNABORTED, f"{server}: {text}")


def _unreachable(cause: OSError, server: str) -> Exception:
    if isinstance(cause, socket.gaierror):
        return ConnectionError(
            errno.EHOSTUNREACH, f"the name of {server} is not known; check 'host'"
        )
    if isinstance(cause, TimeoutError):
        return TimeoutError(errno.ETIMEDOUT, f"{server} does not answer; check 'host' and 'port'")
    if isinstance(cause, ConnectionRefusedError):
        return ConnectionRefusedError(
            errno.ECONNREFUSED, f"{server} refuses connections; check 'host' and 'port'"
        )
    return ConnectionError(cause.errno or errno.EHOSTUNREACH, f"{server}: {cause.strerror}")
