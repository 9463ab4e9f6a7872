"""Basic authentication switched on."""

from __future__ import annotations

import base64

from ..scenario import Session, scenario

ENV = {"PREFECT_SERVER_API_AUTH_STRING": "admin:pass:word"}


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@scenario
def who_may(s: Session) -> None:
    for path in ("/health", "/ready", "/version", "/hello", "/admin/version", "/csrf-token?client=a", "/no-such-route"):
        s.get(path)
        s.get(path, headers=basic("admin:pass:word"))


@scenario
def wrong_credentials(s: Session) -> None:
    s.get("/hello", headers=basic("admin:wrong"))
    s.get("/hello", headers=basic("admin"))
    s.get("/hello", headers={"Authorization": "Basic"})
    s.get("/hello", headers={"Authorization": "Basic !!!"})
    s.get("/hello", headers={"Authorization": "Bearer admin:pass:word"})
    s.get("/hello", headers={"Authorization": "basic " + basic("admin:pass:word")["Authorization"].split()[1]})
    s.get("/hello", headers={"Authorization": ""})
    s.post("/flows/", {"name": 1})
    s.post("/flows/", {"name": "$uniq"}, headers=basic("admin:pass:word"))
    s.get("/hello", headers={"X-PREFECT-API-VERSION": "0.1.0"})
    s.send("OPTIONS", "/hello")


@scenario
def what_needs_no_input_needs_credentials(s: Session) -> None:
    """No body and no path can be wrong here, so this is how these routes refuse."""
    s.get("/admin/settings")
    s.delete("/admin/storage")
    s.get("/block_capabilities/")
    s.post("/block_types/install_system_block_types")
    s.get("/automations/related-to/$uniq")
    s.delete("/automations/owned-by/$uniq")
