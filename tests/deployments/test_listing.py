"""Lists of deployments."""

from __future__ import annotations

import pytest
from tests import rows
from tests.deployments.http import Api

from lictor.db import Database, Tx

# What forms send that nobody has filled in.
NOTHING = (
    {"flow_or_deployment_name": {"like_": ""}},
    {"operator": "and_", "flow_or_deployment_name": {"like_": ""}, "tags": {"operator": "and_", "all_": []}},
    {"operator": "or_", "flow_or_deployment_name": {"like_": ""}, "tags": {"all_": []}},
)


@pytest.mark.parametrize("asked", NOTHING, ids=("name", "and", "or"))
def test_an_empty_search_finds_all(api: Api, db: Database, asked: dict[str, object]) -> None:
    def fill(tx: Tx) -> None:
        for number in range(60):
            rows.a_deployment(tx, rows.a_flow(tx), f"d{number:02}", tags="[]" if number % 2 else '["a"]')

    db.write_now(fill)
    body = {"sort": "NAME_ASC", "page": 2, "limit": 25}
    all_of_them = api.http.post("/deployments/paginate", json=body).json
    assert (all_of_them["count"], all_of_them["pages"]) == (60, 3)
    found = api.http.post("/deployments/paginate", json=body | {"deployments": asked, "flows": {"name": {"like_": ""}}})
    assert found.json == all_of_them
    assert api.http.post("/deployments/count", json={"deployments": asked}).json == 60
