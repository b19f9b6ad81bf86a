"""What is kept of runs, and what is not."""

from daemon.engine.observations import Needs, Observations, Observed
from daemon.model.check import Reading, Run


def run(at: float, *, error: str | None = None, **subjects: dict[str, float]) -> Run:
    readings = tuple(Reading(subject=name, samples=samples) for name, samples in subjects.items())
    return Run(check="disk", began=at, ended=at, readings=readings, error=error)


def observed(observations: Observations, subject: str) -> Observed:
    found = observations.find("disk", subject, is_exact=True)
    assert isinstance(found, Observed)
    return found


def declared(**keep: float) -> Observations:
    observations = Observations()
    observations.declare("disk", 10.0, keep, frozenset())
    return observations


def test_a_check_that_was_not_declared_leaves_nothing() -> None:
    observations = Observations()
    observations.record(run(0, root={"used": 1}))
    assert observations.subjects("disk") == ()
    assert observations.looked_at("disk") is None
    assert observations.find("disk", "", is_exact=True) == "disk has not looked yet"


def test_only_declared_samples_have_a_series() -> None:
    observations = declared(used=60.0)
    observations.record(run(0, root={"used": 1, "free": 2}))
    assert list(observed(observations, "root").series) == ["used"]


def test_a_series_forgets_what_no_window_reaches() -> None:
    observations = declared(used=60.0)
    for at in range(10_000):
        observations.record(run(at, root={"used": at}))
    series = observed(observations, "root").series["used"]
    assert len(series.times) <= 60 + 65
    assert list(series.between(9940.0, 9999.0)[1]) == list(range(9941, 10_000))


def test_a_run_that_was_overtaken_takes_its_place_in_the_series() -> None:
    observations = declared(used=60.0)
    for at in (0.0, 20.0, 10.0):
        observations.record(run(at, root={"used": at}))
    found = observed(observations, "root")
    assert list(found.series["used"].values) == [0.0, 10.0, 20.0]
    assert (found.at, found.samples) == (20.0, {"used": 20.0})


def test_declaring_again_keeps_what_is_still_asked_for() -> None:
    observations = declared(used=60.0, free=60.0)
    observations.record(run(0, root={"used": 1, "free": 2}))
    observations.declare("disk", 10.0, {"used": 3600.0}, frozenset())
    assert list(observed(observations, "root").series) == ["used"]
    assert observations.kept() == {"disk": 3600.0}
    observations.drop("disk")
    assert observations.subjects("disk") == ()


def test_of_many_declared_at_once_only_those_that_need_something_else_change() -> None:
    observations = declared(used=60.0)
    observations.declare("load", 10.0, {"one": 60.0}, frozenset())
    observations.record(run(0, root={"used": 1, "free": 2}))
    kept = observed(observations, "root").series["used"]
    same, longer = Needs(10.0, {"used": 60.0}, frozenset()), Needs(10.0, {"one": 90.0}, frozenset())
    observations.declare_all({"disk": same, "load": longer, "swap": Needs(10.0, {"free": 30.0}, frozenset())})
    assert observed(observations, "root").series["used"] is kept
    assert observations.kept() == {"disk": 60.0, "load": 90.0, "swap": 30.0}


def test_a_blind_run_changes_no_reading() -> None:
    observations = declared()
    observations.record(run(0, root={"used": 1}))
    observations.record(run(10, error="EMFILE"))
    assert observations.subjects("disk") == ("root",)
    assert observations.looked_at("disk") == 0


def test_subjects_that_are_gone_for_long_are_forgotten() -> None:
    observations = declared(used=100.0)
    observations.record(run(0, root={"used": 1}, var={"used": 1}))
    observations.record(run(50, root={"used": 1}))
    assert observations.subjects("disk") == ("root",)
    observations.record(run(60, root={"used": 1}, var={"used": 2}))
    assert len(observed(observations, "var").series["used"].times) == 2
    observations.record(run(200, root={"used": 1}))
    observations.record(run(210, var={"used": 3}))
    assert len(observed(observations, "var").series["used"].times) == 1


def test_one_run_may_come_back_from_history_in_parts() -> None:
    observations = declared()
    observations.record(run(5, root={"used": 1}))
    observations.record(run(5, var={"used": 1}))
    assert observations.subjects("disk") == ("root", "var")


def test_of_a_check_that_no_window_looks_at_nothing_is_kept() -> None:
    assert declared().kept() == {"disk": 0.0}


def test_a_check_that_is_not_known_may_be_forgotten() -> None:
    observations = declared()
    observations.drop("db")
    assert observations.kept() == {"disk": 0.0}


def test_the_time_for_which_heald_itself_stood_still_is_no_blindness() -> None:
    observations = declared()
    observations.excuse("db", 5.0)  # not declared: nothing to excuse
    observations.record(run(100, root={"used": 1}))
    observations.excuse("disk", 5.0)
    observations.excuse("disk", 7.0)
    assert observations.looked_at("disk") == 112
    observations.record(run(130, root={"used": 1}))
    assert observations.looked_at("disk") == 130


def test_the_present_value_of_each_sample_is_its_own_whatever_is_missing_beside_it() -> None:
    observations = Observations()
    names = ("used", "free", "total", "inodes")
    observations.declare("disk", 10.0, {}, frozenset(names))
    for at, name in enumerate(names):
        observations.record(run(at, root={name: 1.0}))
    assert observed(observations, "root").since == {name: (1.0, at) for at, name in enumerate(names)}


def test_declaring_again_keeps_the_first_runs_that_are_still_asked_for() -> None:
    observations = Observations()
    observations.declare("disk", 10.0, {}, frozenset({"used", "free"}))
    observations.record(run(0, root={"used": 1.0, "free": 2.0}))
    observations.declare("disk", 10.0, {}, frozenset({"used"}))
    assert observed(observations, "root").since == {"used": (1.0, 0)}


def test_a_run_that_was_overtaken_is_not_the_first_of_the_present_value() -> None:
    observations = Observations()
    observations.declare("disk", 10.0, {}, frozenset({"used"}))
    observations.record(run(20, root={"used": 2.0}))
    observations.record(run(10, root={"used": 1.0}))
    assert observed(observations, "root").since == {"used": (2.0, 20)}
