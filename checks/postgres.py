"""Whether a PostgreSQL server answers, how soon, and how many of its connections are taken, by whom.

It asks for the sessions of the whole server over a connection that stays open and is shared. `up` is 0 with `error`
refused, reset, timeout, unreachable, name_not_found, tls, protocol (something else answers), too_many_clients,
not_ready (it starts, stops or recovers), out_of_resources (disk or memory) or server_error. We are blind with a wrong
user or password, no line for us in pg_hba.conf, a database that is not there, a missing right, where the connection's
secret is missing or a file of certificates cannot be used, or where there is no way there from here.

"too many clients" is said only to who connects. While heald's connection is open it has its place, so a server that
turns others away is seen as `connections_percent >= 100%`, not as `up == 0`.

Rights: LOGIN, CONNECT on one database, and `GRANT pg_monitor TO heald`. Without pg_monitor, PostgreSQL does not say
what the sessions of others do: active, idle and idle_in_transaction are missing, and connections counts workers of
parallel queries too.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from daemon.plugin import (
    OWN_SHARE,
    CheckContext,
    ConnectionOf,
    Dimension,
    Field,
    OptionsModel,
    Reading,
    Sample,
    SickError,
    sample,
)

EXAMPLE = """
connections:
  shop_db: {postgres: {dsn: "${env:SHOP_DATABASE_URL}"}}
checks:
  shop_database: {postgres: {connection: shop_db}}
rules:
  database-down: {check: shop_database, when: up == 0, for: 1m, severity: P1}
  sessions-many: {check: shop_database, when: "connections_percent > 90%", for: 1m}
"""
SAMPLES = (
    sample("up", Dimension.NONE, "1 if the server answers, 0 if it does not."),
    sample("error", Dimension.STRING, "Why up is 0, one word of the check's list; empty while up is 1."),
    sample("detail", Dimension.STRING, "The same for people, in a sentence; empty while up is 1."),
    sample("latency_seconds", Dimension.SECONDS, "From the question to the whole answer, on an open connection."),
    sample("connections", Dimension.NONE, "Sessions of clients in all databases, heald's own among them."),
    sample("active", Dimension.NONE, "Sessions that run a statement, without heald's own."),
    sample("idle", Dimension.NONE, "Sessions that wait for their client, outside of a transaction."),
    sample(
        "idle_in_transaction", Dimension.NONE, "Sessions that wait for their client in a transaction, failed or not."
    ),
    sample("max_connections", Dimension.NONE, "The server's setting, the places reserved for some roles included."),
    sample(
        "connections_percent",
        Dimension.PERCENT,
        "connections of the places that every role can have: max_connections without the reserved ones.",
    ),
    sample("in_recovery", Dimension.BOOLEAN, "Whether it is a standby, or still replays its log."),
    sample("version", Dimension.STRING, "The server's version, such as 15.6."),
)

# Of sessions of others, a role without pg_monitor is told neither backend_type nor state; a session of a client has a
# database and a role, where the server's own processes lack one of them.
_STATEMENT = """
WITH clients AS (
    SELECT pid, state, backend_type FROM pg_catalog.pg_stat_activity
    WHERE backend_type = 'client backend'
       OR (backend_type IS NULL AND datid IS NOT NULL AND usesysid IS NOT NULL)
)
SELECT
    count(*) AS connections,
    count(*) FILTER (WHERE state IN ('active', 'fastpath function call') AND pid <> pg_backend_pid()) AS active,
    count(*) FILTER (WHERE state = 'idle') AS idle,
    count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
    coalesce(bool_and(backend_type IS NOT NULL AND state IS DISTINCT FROM 'disabled'), false) AS has_states,
    current_setting('max_connections')::int AS max_connections,
    current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
    pg_is_in_recovery() AS in_recovery,
    current_setting('server_version') AS version
FROM clients
"""


class Options(OptionsModel):
    """Which server."""

    connection: Annotated[str, ConnectionOf("postgres")] = Field(
        description="Name of a postgres connection; one database is enough to see the sessions of all."
    )


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Ask the server for its sessions.

    Raises:
        CheckError: we could not look.
    """
    own_time = context.timeout * OWN_SHARE
    samples: dict[str, Sample] = {"up": 1.0, "error": "", "detail": ""}
    try:
        async with asyncio.timeout(own_time), context.connection("postgres", options.connection) as client:
            await client.open()  # a session that was ended is opened anew, which is no part of the latency
            began = context.clock.steady()
            [row] = await client.fetch(_STATEMENT)
            samples["latency_seconds"] = context.clock.steady() - began
            samples |= _measured(row)
    except TimeoutError:
        samples |= {"up": 0.0, "error": "timeout", "detail": f"no answer within {own_time:.3g}s"}
    except SickError as sick:
        samples |= {"up": 0.0, "error": sick.word, "detail": str(sick)}
    return [Reading(samples=samples)]


def _measured(row: Mapping[str, Any]) -> dict[str, Sample]:
    found: dict[str, Sample] = {
        "connections": float(row["connections"]),
        "max_connections": float(row["max_connections"]),
        "in_recovery": bool(row["in_recovery"]),
        "version": str(row["version"]).split()[0],  # Debian adds its own: 15.6 (Debian 15.6-0+deb12u1)
    }
    if row["has_states"]:
        found |= {name: float(row[name]) for name in ("active", "idle", "idle_in_transaction")}
    places = row["max_connections"] - row["reserved"]
    if places > 0:
        found["connections_percent"] = 100.0 * row["connections"] / places
    return found
