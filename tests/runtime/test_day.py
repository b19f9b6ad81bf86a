"""24 hours of operation in virtual time, by the daemon's own code."""

from pathlib import Path

from daemon.model.incident import IncidentState
from daemon.model.remediation import Verification
from daemon.testing.virtual import VirtualClock, run_virtual
from tests.runtime.day import DAY, a_day


def test_a_day_of_fifty_checks_misses_no_run_and_heals_the_one_fault(tmp_path: Path) -> None:
    async def scenario(clock: VirtualClock) -> None:
        words, assembly, store = await a_day(clock, tmp_path)
        regular = 50 * DAY / 30
        assert regular <= words.runs <= regular + 50 + 20  # the first of each, and those of pending and verifying
        assert words.restarted == 1
        incidents = await store.incidents(limit=10, closed=True)
        assert [(it.rule, it.state) for it in incidents] == [("c7-down", IncidentState.RESOLVED)]
        attempts = (await store.attempts_of([incidents[0].id]))[incidents[0].id]
        assert [it.verification for it in attempts] == [Verification.EFFECTIVE]
        assert 60 <= attempts[0].claimed.boottime - words.down_at <= 60 + 2 * 30  # `for` is twice `every`
        counts = [assembly.metrics.check(f"c{number}") for number in range(50)]
        assert sum(sum(count.runs.values()) for count in counts) == words.runs
        assert await store.close() == 0

    run_virtual(scenario)
