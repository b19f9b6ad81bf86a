"""Standing orders and approvals: kept, given back while something can come of them, and migrated from before."""

import sqlite3
from dataclasses import replace
from pathlib import Path

from store_samples import START, HandClock, incident, later

from daemon.model.approval import Approval, ApprovalState
from daemon.model.order import Order, OrderKind
from daemon.store.opening import MIGRATIONS, connect, scripts
from daemon.store.store import Store

ORDER = Order(
    id="silence-1",
    kind=OrderKind.SILENCE,
    matchers=(("rule", "=", "api-*"), ("label:tier", "!=", "web")),
    holds=True,
    who="ann",
    why="release",
    made=START,
    lasts=3600.0,
)
APPROVAL = Approval(
    id="approval-1",
    rule="api-down",
    ladder="svc:api@n",
    incident=incident().id,
    remediation="restart",
    resource="svc:api@n",
    step="restart {}",
    plan="restart service api",
    facts={"sessions": 9, "names": ["a", "b"]},
    asked=START,
)


async def test_orders_and_approvals_come_back_as_they_were(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, HandClock())
    await store.submit(ORDER, APPROVAL)
    await store.close()
    store = await Store.open(tmp_path, HandClock())
    remembered = await store.remembered()
    assert remembered.orders == (ORDER,)
    assert remembered.approvals == (APPROVAL,)
    await store.close()


async def test_what_is_over_is_told_and_not_remembered(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, HandClock())
    ended = replace(ORDER, ended=later(START, 60), ended_by="bob")
    used = replace(APPROVAL, state=ApprovalState.USED, decided=later(START, 60), who="bob")
    await store.submit(ORDER, APPROVAL)
    await store.submit(ended, used)
    remembered = await store.remembered()
    assert (remembered.orders, remembered.approvals) == ((), ())
    assert await store.orders(limit=9) == [ended]
    assert await store.approvals(limit=9) == [used]
    await store.close()


async def test_what_was_over_long_ago_goes_and_what_stands_stays(tmp_path: Path) -> None:
    clock = HandClock()
    store = await Store.open(tmp_path, clock)
    stands = replace(ORDER, id="pause-1", kind=OrderKind.PAUSE, lasts=None)
    await store.submit(stands, replace(ORDER, ended=START, ended_by="ann"))
    await store.submit(APPROVAL, replace(APPROVAL, id="approval-2", state=ApprovalState.REJECTED))
    clock.pass_by(100 * 86400.0)
    await store.trim()
    assert [it.id for it in await store.orders(limit=9)] == ["pause-1"]
    assert [it.id for it in await store.approvals(limit=9)] == ["approval-1"]
    await store.close()


async def test_a_file_of_the_schema_before_is_migrated_after_a_copy(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "0001_record.sql").write_text(scripts(MIGRATIONS)[1].read_text())
    (tmp_path / "state").mkdir()
    connect(tmp_path / "state" / "heald.db", old).close()
    store = await Store.open(tmp_path / "state", HandClock())
    await store.submit(ORDER)
    assert await store.orders(limit=9) == [ORDER]
    await store.close()
    copy = sqlite3.connect(tmp_path / "state" / "heald.db.before-2")
    assert copy.execute("PRAGMA user_version").fetchone() == (1,)
    copy.close()
