"""What a user does with blocks in Python; each line printed is something that holds."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from prefect import flow, task
from prefect.blocks.core import Block
from prefect.blocks.notifications import SlackWebhook
from prefect.blocks.system import Secret
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.filesystems import LocalFileSystem
from pydantic import BaseModel, SecretStr

FOLDER = sys.argv[1]


class Login(BaseModel):
    user: str
    token: SecretStr


class Database(Block):
    """A database to talk to."""

    _block_type_name = "Our Database"

    host: str
    password: SecretStr
    login: Login


class Service(Block):
    """A service on a database."""

    name: str
    database: Database
    other: Database | None = None


class WiderService(Block):
    """The same type, with one more field: a schema of its own."""

    _block_type_name = "Service"
    _block_type_slug = "service"

    name: str
    database: Database
    other: Database | None = None
    ports: list[int] = [1, 2]


def system_blocks() -> None:
    Secret(value="s3cret").save("text")
    Secret(value={"user": "u", "password": "p"}).save("object")
    print("secret text", Secret.load("text").get() == "s3cret")
    print("secret object", Secret.load("object").get() == {"user": "u", "password": "p"})
    try:
        Secret(value="again").save("text")
    except ValueError as error:
        print("taken", "already in use" in str(error))
    Secret(value="again").save("text", overwrite=True)
    print("overwritten", Secret.load("text").get() == "again")
    Webhook(url="http://127.0.0.1:9/x", headers={"Authorization": "Bearer b"}).save("hook")
    hook = Webhook.load("hook")
    print("webhook", hook.headers.get_secret_value() == {"Authorization": "Bearer b"})
    SlackWebhook(url="https://hooks.slack.com/services/a/b/c").save("slack")
    print("slack", SlackWebhook.load("slack").url.get_secret_value().endswith("/a/b/c"))


def own_blocks() -> None:
    database = Database(host="h", password="p", login=Login(user="u", token="t"))
    database.save("main")
    Service(name="one", database=database).save("one")
    loaded = Service.load("one")
    print("nested", loaded.database.password.get_secret_value(), loaded.database.login.token.get_secret_value())
    Service(name="two", database=Database.load("main"), other=Database.load("main")).save("two")
    print("both", Service.load("two").other.host)
    loaded.name = "changed"
    loaded.save("one", overwrite=True)
    print("changed", Service.load("one").name, Service.load("one").database.host)
    WiderService(name="wide", database=Database.load("main"), ports=[3]).save("one", overwrite=True)
    print("migrated", WiderService.load("one").ports)
    Service.delete("two")
    try:
        Service.load("two")
    except ValueError as error:
        print("deleted", "Unable to find block document" in str(error))


async def what_others_see() -> None:
    async with get_client() as client:
        for type_slug, name in (
            ("secret", "text"),
            ("secret", "object"),
            ("our-database", "main"),
            ("webhook", "hook"),
        ):
            seen = await client.read_block_document_by_name(name, type_slug, include_secrets=False)
            print("seen", type_slug, name, {key: str(value) for key, value in sorted(seen.data.items())})


@task(persist_result=True)
def double(number: int) -> int:
    return 2 * number


@flow(persist_result=True, result_storage="local-file-system/results")
def results_in_a_block() -> Any:
    return double(21)


def main() -> None:
    system_blocks()
    own_blocks()
    asyncio.run(what_others_see())
    LocalFileSystem(basepath=FOLDER).save("results")
    state = results_in_a_block(return_state=True)
    print("result", state.result(), state.data.metadata.storage_block_id is not None)
    asyncio.run(default_storage())


async def default_storage() -> None:
    async with get_client() as client:
        document = await client.read_block_document_by_name("results", "local-file-system")
        await client.update_server_default_result_storage(document.id)
        print(
            "default",
            (await client.read_server_default_result_storage()).default_result_storage_block_id == document.id,
        )


if __name__ == "__main__":
    main()
