"""What the record need not keep for ever: which rows are old enough to go. Synchronous, as `sqlite.py`."""

from daemon.model.moment import Stamp
from daemon.store.sqlite import Database

AT_ONCE = 500  # rows of a table in one transaction: a few milliseconds

_OLD = {
    "transitions": """DELETE FROM transitions WHERE place IN (SELECT place FROM (SELECT * FROM transitions
        WHERE incident IS NULL OR incident NOT IN (SELECT id FROM incidents WHERE closed_origin IS NULL)
        ORDER BY place LIMIT :most) WHERE age(at_wall, at_boottime, at_origin) > :record)""",
    "holds": """DELETE FROM holds WHERE place IN (SELECT place FROM (SELECT * FROM holds
        WHERE incident NOT IN (SELECT id FROM incidents WHERE closed_origin IS NULL)
        ORDER BY place LIMIT :most) WHERE age(at_wall, at_boottime, at_origin) > :record)""",
    "incidents": """DELETE FROM incidents WHERE place IN (SELECT place FROM (SELECT * FROM incidents
        WHERE closed_origin IS NOT NULL ORDER BY place LIMIT :most)
        WHERE age(closed_wall, closed_boottime, closed_origin) > :record)""",
    "attempts": """DELETE FROM attempts WHERE place IN (SELECT place FROM (SELECT * FROM attempts
        WHERE released_origin IS NOT NULL ORDER BY place LIMIT :most)
        WHERE age(released_wall, released_boottime, released_origin) > max(:attempts, cooldown) + timeout)""",
    "orders": """DELETE FROM orders WHERE place IN (SELECT place FROM orders
        WHERE ended_origin IS NOT NULL AND age(ended_wall, ended_boottime, ended_origin) > :record LIMIT :most)""",
    "approvals": """DELETE FROM approvals WHERE place IN (SELECT place FROM approvals
        WHERE state NOT IN ('asked', 'approved') AND age(asked_wall, asked_boottime, asked_origin) > :record
        LIMIT :most)""",
    "ladders": """DELETE FROM ladders WHERE attempt IS NULL AND closed_origin IS NOT NULL
        AND age(closed_wall, closed_boottime, closed_origin) > :record""",
}


def trim(database: Database, now: Stamp, *, record_for: float, attempts_for: float) -> int:
    """Delete rows of closed incidents older than `record_for` seconds, and attempts older than `attempts_for`.

    Returns how many rows went; with `AT_ONCE` or more there may be others.
    """
    bounds = {"most": AT_ONCE, "record": record_for, "attempts": max(attempts_for, record_for)}
    with database.transaction(durable=False):
        database.forget_attempts()
        return sum(database.execute(query, bounds, now=now).rowcount for query in _OLD.values())
