"""Lists of deployments."""

from __future__ import annotations

from lictor.db import Tx, Where
from lictor.deployments import store
from lictor.deployments.store import Deployment
from lictor.deployments.types import (
    DeploymentCount,
    DeploymentNumberedPage,
    DeploymentPage,
    DeploymentResponse,
    DeploymentSort,
)
from lictor.filters import DeploymentFilter, where_for
from lictor.web import Page, page_offset, paginate

ORDER = {
    DeploymentSort.CREATED_DESC: "d.created desc, d.id desc",
    DeploymentSort.UPDATED_DESC: "d.updated desc, d.id desc",
    DeploymentSort.NAME_ASC: "d.name, d.id",
    DeploymentSort.NAME_DESC: "d.name desc, d.id desc",
}


def page(tx: Tx, asked: DeploymentPage) -> list[DeploymentResponse]:
    return _page(tx, asked.where_for("deployment"), asked.sort, asked.limit, asked.offset)


def numbered_page(tx: Tx, asked: DeploymentNumberedPage) -> Page[DeploymentResponse]:
    where = asked.where_for("deployment")
    found = _page(tx, where, asked.sort, asked.limit, page_offset(asked.page, asked.limit))
    return paginate(found, asked.page, asked.limit, tx.count("from deployment d", where))


def count(tx: Tx, asked: DeploymentCount) -> int:
    return tx.count("from deployment d", asked.where_for("deployment"))


def matching(tx: Tx, deployments: DeploymentFilter | None, limit: int) -> list[str]:
    """The ids of deployments that match, by name; without a filter all do."""
    where = where_for("deployment", deployments=deployments)
    order = ORDER[DeploymentSort.NAME_ASC]
    return tx.page(str, "select d.id from deployment d", where, order=order, limit=limit)


def _page(tx: Tx, where: Where, sort: DeploymentSort, limit: int, offset: int) -> list[DeploymentResponse]:
    found = tx.page(Deployment, store.SELECT, where, order=ORDER[sort], limit=limit, offset=offset)
    return store.responses(tx, found)
