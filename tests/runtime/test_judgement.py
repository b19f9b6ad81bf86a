"""What a scenario cannot say of the ladder (docs/judgement.md): rows and links, `heald retry`, a change of the mode.

The rest of the page stands in tests/engine/scenarios.
"""

from pathlib import Path

from daemon.config.load import load
from daemon.model.check import Reading, Run
from daemon.model.incident import HoldReason as H
from daemon.model.remediation import AttemptState as A
from daemon.model.remediation import Verification as V
from daemon.testing.simulation import Effect
from tests.runtime.world import DOWN, HEAD, RULE, World, up, worlds_end  # noqa: F401  # a fixture

OTHER = """  api-too:
    check: other
    when: up == 0
    for: 0s
    severity: P3
    limit: [9/1h]
    steps: [{restart: {service: api}, cooldown: 0s}]
"""


def test_retry_ends_flapping(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}, looks={"api": up()}).run(35)
    world.looks.clear()
    world.simulation.at(36, lambda: world.simulation.assembly.retry(world.incident().id))
    assert world.run(40).claims() == [36]


def test_a_ladder_proposes_for_the_oldest_of_its_incidents(tmp_path: Path) -> None:
    head = HEAD.replace("checks:\n", "checks:\n  page: {service: api, tcp: {host: localhost, port: 3}, every: 10s}\n")
    world = World(tmp_path, head + RULE.replace("check: api", "checks: [page, api]"), reality={"api": DOWN})
    world.simulation.at(0, lambda: world.simulation.assembly.circumstances.pause(why="release", who="ann"))
    world.simulation.at(25, lambda: world.simulation.assembly.circumstances.resume())
    world.at(15, page=DOWN).run(30)  # page comes first in the file
    opened = {it.id: it.check for it in world.board.incidents.values()}
    assert [opened[it] for it in world.attempts()[0].incidents] == ["api", "page"]


def test_what_was_done_settles_even_if_no_incident_is_left_to_verify(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE + OTHER.replace("other", "db"), reality={"api": DOWN, "db": up()})
    world.edit(5, HEAD + "rules:\n" + OTHER.replace("other", "db")).at(9, db=DOWN).run(9)
    assert world.story() == [(0, "command:api@node", A.SUCCEEDED, None)]
    assert world.run(30).story()[0] == (0, "command:api@node", A.SUCCEEDED, V.UNVERIFIED)
    (attempt, *_) = world.attempts()
    assert attempt.released.boottime - attempt.claimed.boottime == 11


def test_a_relapse_is_linked_and_goes_on_where_it_was(tmp_path: Path) -> None:
    world = World(tmp_path, HEAD + RULE.replace("tries: 2", "tries: 1") + '      - run: {argv: ["true"]}\n')
    heal = lambda: world.reality.update(api=up())  # noqa: E731  # one line says it
    world.effects = [Effect(then=heal), Effect(then=heal)]
    world.at(5, api=DOWN).at(105, api=DOWN).run(200)
    assert [it.remediation for it in world.attempts()] == ["restart", "run"]
    first, second = sorted(world.stored_incidents(), key=lambda it: it.opened.wall)
    assert (first.linked_to, second.linked_to) == (None, first.id)


def test_an_exhausted_ladder_is_a_hold_like_any_other_with_a_row_and_a_label(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).run(300)
    assert world.holds().count(H.EXHAUSTED) == 1  # not at every run
    page = "".join(world.simulation.assembly.metrics.page().rows())
    assert 'heald_holds_total{reason="exhausted",rule="api-down"} 1.0\n' in page


def test_going_from_observe_to_act_resets_ladders_and_counts(tmp_path: Path) -> None:
    observe = HEAD.replace("mode: act", "mode: observe") + RULE.replace("[50/1h]", "[2/1h]")
    world = World(tmp_path, observe, reality={"api": DOWN}).edit(205, HEAD + RULE.replace("[50/1h]", "[2/1h]")).run(280)
    assert [(at, state) for at, _, state, _ in world.story() if state is not A.WOULD] == [
        (210, A.SUCCEEDED),
        (251, A.SUCCEEDED),
    ]


def test_what_was_exhausted_on_paper_is_told_anew_when_it_is_exhausted_in_fact(tmp_path: Path) -> None:
    observe = HEAD.replace("mode: act", "mode: observe") + RULE
    for name in ("reload", "restart"):
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, observe, reality={"api": DOWN}).run(150)
        assert world.incident().handed_over is H.EXHAUSTED
        if name == "restart":
            world.file.write_text(HEAD + RULE)
            world.simulation.setup = load(world.file, node="node")
            world.simulation.at(155, world.simulation.crash)
        else:
            world.edit(155, HEAD + RULE)
        world.run(165)
        assert (world.incident().handed_over, world.incident().hold) == (None, None)
        world.run(300)
        assert world.incident().handed_over is H.EXHAUSTED
        assert world.incident().handed_over_at.wall - world.incident().opened.wall > 165


def test_going_to_act_begins_a_ladder_anew_that_was_really_climbed_before(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).run(100)
    assert world.incident().handed_over is H.EXHAUSTED
    world.edit(105, HEAD.replace("mode: act", "mode: observe") + RULE).edit(106, HEAD + RULE).run(300)
    assert [at for at in world.claims() if at > 100] == [112, 153]


def test_retry_begins_an_exhausted_ladder_anew_and_people_are_told_anew(tmp_path: Path) -> None:
    world = World(tmp_path, reality={"api": DOWN}).run(90)
    assert world.incident().handed_over is H.EXHAUSTED
    world.simulation.assembly.retry(world.incident().id)
    assert (world.incident().handed_over, world.incident().hold) == (None, None)
    world.run(300)
    assert len(world.claims()) == 4
    assert world.incident().handed_over is H.EXHAUSTED
    assert world.incident().handed_over_at.wall - world.incident().opened.wall > 90


def test_a_run_during_which_heald_stood_still_says_nothing_of_its_target(tmp_path: Path) -> None:
    aged = "  aged: {check: api, when: age() > 32s, for: 0s, steps: [{restart: {}}]}\n"
    world = World(tmp_path, HEAD + RULE + aged).run(10)
    now, take = world.simulation.clock.steady(), world.simulation.assembly.runs.take
    take(Run(check="api", began=now, ended=now + 100, readings=(Reading(samples={"up": 0.0}),)))
    take(Run(check="api", began=now + 100, ended=now + 200, error="it did not end within 10s"))
    take(Run(check="api", began=now + 200, ended=now + 201, error="no route"))
    assert world.board.incidents == {}  # for 21 s of the 201 somebody tried to look
    take(Run(check="api", began=now + 202, ended=now + 213.5, error="it did not end within 10s"))
    assert world.board.incidents == {}  # 33.5 s, but for 1.5 s of the last run heald did not see its end
    take(Run(check="api", began=now + 214, ended=now + 215, error="no route"))
    assert [it.rule for it in world.board.incidents.values()] == ["aged"]
