"""How the data of blocks is kept: encrypted as a whole by Fernet (AES-128-CBC and HMAC-SHA256).

All of the data, not only what a schema calls secret: schemas are the clients' and change, nothing ever searches in the
data, and what was forgotten to be marked as secret is encrypted too.

The key is the setting `PREFECT_SERVER_ENCRYPTION_KEY`, or a file beside the data that is made at the first start. It is
never in the database that it protects. A document remembers the *id* of its key (a digest that tells nothing of the
key), so that a wrong or lost key is noticed at the start, and not when a flow needs its password. The setting may hold
several keys with commas: the first one encrypts, all of them decrypt; so does a key file that is still there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from lictor.db import Tx, sql
from lictor.kit.errors import HTTPError, LictorError
from lictor.kit.lazy import lazy

fernet = lazy("cryptography.fernet")

VARIABLE = "PREFECT_SERVER_ENCRYPTION_KEY"

OTHER_KEY = sql(
    "blocks.key_that_is_not_known", str, "select key_id from block_document where key_id {not_in:known} limit 1"
)


class UnusableKey(LictorError):
    """The key for the blocks' data is missing, wrong or unreadable; the message tells what to do."""


class Sealed(NamedTuple):
    text: str
    key_id: str


class Cipher:
    """Encrypts with the first of its keys and decrypts with any of them. They are read, or made, when first needed.

    `setting` holds keys with commas; `file` is where a key is kept, None if it is to be kept in memory alone.
    """

    def __init__(self, setting: str | None, file: Path | None) -> None:
        self.setting = setting
        self.file = file
        self._passing = new_key()
        self._missing = ""

    @cached_property
    def keys(self) -> dict[str, str]:
        """The keys by their ids. UnusableKey for a setting or a file that holds none."""
        given = [key.strip() for key in (self.setting or "").split(",") if key.strip()]
        for key in given:
            _check(key, VARIABLE)
        return {key_id(key): key for key in given + self._filed(bool(given))}

    def seal(self, data: dict[str, Any]) -> Sealed:
        if not self.keys:
            raise HTTPError(500, f"Blocks cannot be kept: {self._missing}")
        first = next(iter(self.keys))
        return Sealed(self._fernet(first).encrypt(json.dumps(data).encode()).decode(), first)

    def open(self, sealed: Sealed) -> dict[str, Any]:
        """The data. HTTPError if it was encrypted with another key, or is not what was encrypted."""
        if sealed.key_id not in self.keys:
            raise HTTPError(500, _other_key(sealed.key_id))
        try:
            data: dict[str, Any] = json.loads(self._fernet(sealed.key_id).decrypt(sealed.text.encode()))
        except fernet.InvalidToken:
            raise HTTPError(500, "The data of a block is damaged: its seal is broken.") from None
        return data

    def _filed(self, given: bool) -> list[str]:
        if self.file is None:
            return [] if given else [self._passing]
        try:
            return _kept(self.file) or ([] if given else [_keep(self.file)])
        except OSError as error:
            self._missing = f"{VARIABLE} is not set, and no key can be kept in {self.file} ({error.strerror})."
            return []

    def _fernet(self, id: str) -> Any:
        return fernet.Fernet(self.keys[id].encode())


def check(tx: Tx, cipher: Cipher) -> None:
    """UnusableKey if there are documents that none of the keys opens."""
    other = tx.value(OTHER_KEY, known=list(cipher.keys))
    if other is not None:
        raise UnusableKey(_other_key(other))


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def key_id(key: str) -> str:
    """Tells keys apart; nothing of the key can be learned from it."""
    return hmac.new(key.encode(), b"lictor block documents", hashlib.sha256).hexdigest()[:16]


def _other_key(id: str) -> str:
    return (
        f"There are blocks in the database that were encrypted with another key ({id}). "
        f"Set {VARIABLE} to that key (several keys may stand there with commas between them), "
        "or put the key file back to where it was."
    )


def _check(key: str, source: str) -> None:
    try:
        length = len(base64.urlsafe_b64decode(key.encode()))
    except (binascii.Error, UnicodeEncodeError):
        length = 0
    if length != 32:
        raise UnusableKey(f"{source}: there is no key in it; 32 bytes in URL-safe base64 are expected")


def _kept(file: Path) -> list[str]:
    """The key in the file, if there is one."""
    if not file.exists():
        return []
    try:
        key = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableKey(f"{file}: the key in it cannot be read ({error})") from None
    _check(key, str(file))
    return [key]


def _keep(file: Path) -> str:
    """A new key in the file; if another process was faster, the key that it put there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(new_key() + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(new, file)  # unlike a rename, it never replaces a key that is there
    except FileExistsError:
        pass
    finally:
        new.unlink()
    return _kept(file)[0]
