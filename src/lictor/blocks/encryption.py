"""How the data of blocks is kept: encrypted as a whole by Fernet (AES-128-CBC and HMAC-SHA256).

All of the data, not only what a schema calls secret: schemas are the clients' and change, nothing ever searches in the
data, and what was forgotten to be marked as secret is encrypted too.

The key is the setting `PREFECT_SERVER_ENCRYPTION_KEY`, or a file beside the data, made with the first document. It is
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
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from lictor.db import Tx, sql
from lictor.kit.errors import HTTPError
from lictor.kit.lazy import lazy

fernet = lazy("cryptography.fernet")

VARIABLE = "PREFECT_SERVER_ENCRYPTION_KEY"

# The least and the greatest, which an index tells at once: there is one key, or two while it is being changed.
KEYS_IN_USE = sql(
    "blocks.keys_in_use",
    str,
    "select min(key_id) from block_document union select max(key_id) from block_document",
)


class UnusableKey(HTTPError):
    """The key for the blocks' data is missing, wrong or unreadable; the message tells what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(500, message)


class Sealed(NamedTuple):
    text: str
    key_id: str


class Cipher:
    """Encrypts with the first of its keys and decrypts with any of them; UnusableKey, where it has none that fits.

    `setting` holds keys with commas, UnusableKey if one of them is none; `file` is where a key is kept, None if it is
    to be kept in memory alone.
    """

    def __init__(self, setting: str | None, file: Path | None) -> None:
        self._given = [key.strip() for key in (setting or "").split(",") if key.strip()]
        for key in self._given:
            _check(key, VARIABLE)
        self._file = file
        self._keys = {} if file is not None or self._given else _by_id([new_key()])

    def seal(self, data: dict[str, Any]) -> Sealed:
        """With a new key, if there is none."""
        if not self._keys and not self._load():
            self._make()
        id, key = next(iter(self._keys.items()))
        return Sealed(fernet.Fernet(key.encode()).encrypt(json.dumps(data).encode()).decode(), id)

    def open(self, sealed: Sealed) -> dict[str, Any]:
        self.check(sealed.key_id)
        try:
            text = fernet.Fernet(self._keys[sealed.key_id].encode()).decrypt(sealed.text.encode())
        except fernet.InvalidToken:
            raise HTTPError(500, "The data of a block is damaged: its seal is broken.") from None
        data: dict[str, Any] = json.loads(text)
        return data

    def check(self, key_id: str) -> None:
        """UnusableKey unless this key is there. The file is looked at again: another process may have made it."""
        if key_id in self._keys or key_id in self._load():
            return
        raise UnusableKey(
            f"There are blocks in the database that were encrypted with a key that is not here ({key_id}). "
            f"Set {VARIABLE} to that key (several may stand there, with commas), or put it back into {self._file}."
        )

    def _load(self) -> dict[str, str]:
        if self._file is not None or self._given:
            self._keys = _by_id(self._given + ([] if self._file is None else _kept(self._file)))
        return self._keys

    def _make(self) -> None:
        assert self._file is not None
        try:
            self._keys = _by_id([_keep(self._file)])
        except OSError as error:
            why = f"{VARIABLE} is not set, and no key can be kept in {self._file} ({error.strerror})"
            raise UnusableKey(f"Blocks cannot be kept: {why}.") from None


def check(tx: Tx, cipher: Cipher) -> None:
    """UnusableKey if there are documents that none of the keys opens."""
    for id in {*tx.all(KEYS_IN_USE)} - {None}:
        cipher.check(id)


def key_file(url: str, home: Path) -> Path | None:
    """Where the key of a database is kept: beside its file, or in the home directory; None for one in memory."""
    if url in ("sqlite://", "sqlite:///:memory:"):
        return None
    file = url.removeprefix("sqlite:///")
    return home.expanduser() / "encryption.key" if file == url else Path(file).with_suffix(".key")


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def key_id(key: str) -> str:
    """Tells keys apart; nothing of the key can be learned from it."""
    return hmac.new(key.encode(), b"lictor block documents", hashlib.sha256).hexdigest()[:16]


def _by_id(keys: list[str]) -> dict[str, str]:
    return {key_id(key): key for key in keys}


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
    """A new key in the file; if another thread or process was faster, the key that it put there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, new = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # for its owner alone
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(new_key() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):
            os.link(new, file)  # unlike a rename, it never replaces a key that is there
    finally:
        os.unlink(new)
    return _kept(file)[0]
