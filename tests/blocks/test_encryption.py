"""Where the key is, and what happens when it is not."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from tests.asking import ask
from tests.blocks import making
from tests.conftest import StartServer
from tests.processes import Server, environment
from tests.web.client import TestClient

from lictor.blocks import encryption
from lictor.blocks.encryption import Cipher, Sealed, UnusableKey, key_file, key_id, new_key
from lictor.db import Database
from lictor.kit.errors import HTTPError

DATA = {"password": "é", "n": [1, None]}


def test_a_key_is_made_with_the_first_document_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "made" / "blocks.key"
    cipher = Cipher(None, file)
    assert not file.exists()

    sealed = cipher.seal(DATA)

    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["blocks.key"]
    assert "password" not in sealed.text
    assert Cipher(None, file).open(sealed) == DATA
    assert Fernet(file.read_text().strip()).decrypt(sealed.text)


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    file = tmp_path / "blocks.key"
    ready = threading.Barrier(8)
    sealed: list[Sealed] = []

    def first_document() -> None:
        ready.wait()
        sealed.append(Cipher(None, file).seal(DATA))

    threads = [threading.Thread(target=first_document) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one.key_id for one in sealed}) == 1
    assert [Cipher(None, file).open(one) for one in sealed] == [DATA] * 8


def test_keys_are_changed_by_setting_two(tmp_path: Path) -> None:
    file = tmp_path / "blocks.key"
    old, new = new_key(), new_key()
    first, second = Cipher(None, file).seal(DATA), Cipher(old, None).seal(DATA)

    both = Cipher(f"{new}, {old}", file)

    assert (both.open(first), both.open(second)) == (DATA, DATA)
    assert both.seal(DATA).key_id == key_id(new)
    with pytest.raises(UnusableKey, match=second.key_id):
        Cipher(new, file).open(second)


@pytest.mark.parametrize(
    "key", ["x", "é" * 32, "A" * 44, new_key()[:-4]], ids=["short", "not ASCII", "too long", "cut off"]
)
def test_what_is_no_key(key: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableKey, match="PREFECT_SERVER_ENCRYPTION_KEY"):
        Cipher(key, None)
    file = tmp_path / "blocks.key"
    file.write_text(key)
    with pytest.raises(UnusableKey, match=r"blocks\.key"):
        Cipher(None, file).seal(DATA)


def test_a_key_that_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UnusableKey, match="PREFECT_SERVER_ENCRYPTION_KEY is not set, and no key can be kept in"):
        Cipher(None, tmp_path / "file" / "blocks.key").seal(DATA)


def test_data_that_was_changed_is_noticed(tmp_path: Path) -> None:
    cipher = Cipher(new_key(), None)
    sealed = cipher.seal(DATA)

    with pytest.raises(HTTPError, match="damaged"):
        cipher.open(sealed._replace(text=sealed.text[:-4] + "AAA="))


def test_where_the_key_is_kept(tmp_path: Path) -> None:
    assert key_file("sqlite:////data/lictor.db", tmp_path) == Path("/data/lictor.key")
    assert key_file("postgresql://h/d", tmp_path) == tmp_path / "encryption.key"
    assert key_file("sqlite://", tmp_path) is None
    assert key_file("sqlite:///:memory:", tmp_path) is None


def test_a_lost_key_is_not_replaced_while_there_are_documents(client: TestClient, db: Database, tmp_path: Path) -> None:
    schema = making.a_schema(client, making.a_type(client))
    document = making.a_document(client, schema, data={"host": "h"})
    file = tmp_path / "blocks.key"
    moved = file.rename(tmp_path / "moved")
    lost = Cipher(None, file)

    with pytest.raises(UnusableKey, match="encrypted with a key that is not here"):
        db.read_now(encryption.check, lost)

    assert not file.exists()
    moved.rename(file)
    db.read_now(encryption.check, lost)
    client.delete(f"/block_documents/{document['id']}")
    db.read_now(encryption.check, Cipher(new_key(), None))  # nothing is lost


def a_secret(server: Server) -> str:
    """The path of a new document."""
    type_ = ask.get(f"{server.api_url}/block_types/slug/secret").json()
    asked = {"block_schemas": {"block_type_id": {"any_": [type_["id"]]}}}
    [schema] = ask.post(f"{server.api_url}/block_schemas/filter", json=asked).json()
    body = {"name": "s", "data": {"value": "v"}, "block_schema_id": schema["id"], "block_type_id": type_["id"]}
    answer = ask.post(f"{server.api_url}/block_documents/", json=body)
    assert answer.status_code == 201, answer.text
    return f"/block_documents/{answer.json()['id']}?include_secrets=true"


def test_a_server_without_the_key_says_so_and_does_not_start(
    start_server: StartServer, dialect: str, tmp_path: Path
) -> None:
    first = start_server()
    path = a_secret(first)
    [file] = [*tmp_path.glob("*.key"), *(tmp_path / "home").glob("*.key")]
    assert file.name == ("lictor.key" if dialect == "sqlite" else "encryption.key")
    assert ("PREFECT_SERVER_ENCRYPTION_KEY is not set" in first.log) == (dialect == "postgres")
    first.stop()
    key = file.read_text().strip()
    file.unlink()

    refused = subprocess.run(
        [sys.executable, "-m", "lictor", "start", "--port", "0", "--database", first.database],
        env=environment({"LICTOR_HOME": str(tmp_path / "home")}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode != 0
    assert "encrypted with a key that is not here" in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr
    assert not file.exists()
    second = start_server(environment={"PREFECT_SERVER_ENCRYPTION_KEY": key})
    assert ask.get(f"{second.api_url}{path}").json()["data"] == {"value": "v"}
    assert "PREFECT_SERVER_ENCRYPTION_KEY" not in second.log
