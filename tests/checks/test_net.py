"""What a look measures: stages, their sums, and what is left out."""

import socket

import pytest
from context import LocalContext

from checks._net import OWN_STAGE, Look, connect
from checks._once import look_once
from daemon.errors import CheckError
from daemon.testing.virtual import pass_time, run_virtual
from tests.lab.processes import open_files


def look_of(work):
    """The look after `work` in virtual time, which begins in the middle of a float's digits."""

    async def scenario(clock):
        await pass_time(1234.56789)
        look = Look(LocalContext(clock=clock))
        await work(look)
        return look

    return run_virtual(scenario)


def test_a_stage_is_a_sum_over_connections_in_whole_nanoseconds():
    async def work(look):
        for seconds in (0.1, 0.2):
            with look.measure("connect_seconds"):
                assert look.stage == "connect_seconds"
                await pass_time(seconds)
        assert look.stage == ""
        look.answered()

    assert look_of(work).samples == {"connect_seconds": 0.3, "latency_seconds": 0.3}


def test_a_stage_that_fails_has_no_sample_and_stays_the_stage():
    async def work(look):
        with pytest.raises(ConnectionResetError), look.measure("connect_seconds"):
            raise ConnectionResetError

    look = look_of(work)
    assert (look.samples, look.stage) == ({}, "connect_seconds")


def test_our_own_preparations_are_in_no_latency_and_one_that_fails_says_whose_it_was():
    async def work(look):
        with look.uncounted():
            assert look.stage == OWN_STAGE
            await pass_time(5)
        await pass_time(1)
        look.answered()
        with pytest.raises(ConnectionResetError), look.uncounted():
            raise ConnectionResetError

    look = look_of(work)
    assert (look.samples, look.stage) == ({"latency_seconds": 1.0}, OWN_STAGE)


def test_an_address_adds_nothing_to_what_names_took():
    async def work(look):
        with look.measure("dns_seconds"):
            await pass_time(0.25)
        assert look.literal("db1.example", 80) is None
        assert look.literal("192.0.2.1", 80) is not None

    assert look_of(work).samples == {"dns_seconds": 0.25}


@pytest.mark.parametrize("there", [1, 2], ids=["alone", "in a race"])
async def test_a_connection_that_cannot_even_be_begun_is_closed(there: int):
    before = open_files()
    with pytest.raises(OverflowError) as raised:  # which holds the frames, and what is in them
        await connect([(socket.AF_INET, ("127.0.0.1", 70_000))] * there, "no such port")
    assert open_files() == before
    assert raised.traceback


@pytest.mark.parametrize("stage", ["own", "dns"])
def test_our_own_stage_is_to_blame_for_a_time_out_only_if_the_time_went_there(stage):
    def in_stage(look):
        return look.uncounted() if stage == "own" else look.measure("dns_seconds")

    def ended(before):
        async def work(look):
            await pass_time(before)
            with in_stage(look):
                await pass_time(60)

        async def scenario(clock):
            return await look_once(LocalContext(clock=clock, timeout=10.0), work)

        return run_virtual(scenario)

    with pytest.raises(CheckError, match=r"within 9\.5s"):
        ended(8.0)
    samples = ended(9.0).samples  # redirects, each a little late
    assert (samples["up"], samples["error"]) == (0.0, "timeout")
    assert str(samples["detail"]).startswith("nothing within 9.5s while ")
