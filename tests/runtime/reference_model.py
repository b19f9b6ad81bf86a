"""A second, naive reading of docs/judgement.md sections 3 to 6, to compare the daemon's own judging with.

Written from the text, without the engine: one file, one loop over instants, everything looked up anew each time. It
knows no subjects, windows, store, threads or scheduler. Times are whole seconds since the world's start.
"""

from dataclasses import dataclass, field, replace
from itertools import count, pairwise

from tests.runtime.model_scene import Reality, Rule, Step

INTERVALS = 3  # "not more than three `every` apart"
JUMP, JUMP_HOLD, BOOT_GRACE = 30, 60, 300
RUNS, FLAPS, FLAPS_NO_MORE = 20, 30, 25  # known verdicts that count, and percent of weighted changes among them
AT_ONCE = ("flapping", "worse", "not_allowed", "limit_rule", "limit_resource", "budget", "approval")
NOT_COUNTED = ("mode", "paused", "upstream")  # holds whose time does not count towards `escalate_after`


@dataclass
class Track:
    """One rule x check."""

    state: str = "inactive"
    counted: int = 0
    last: tuple[int, str] | None = None  # time and verdict of the run before, if it judged and no restart lies between
    incident: int = 0
    since: int = 0  # when it fired
    muted: bool = False
    anew: int = 0  # seconds breached since the upstream became well
    hold: str | None = None
    handed: str | None = None
    told: bool = False  # that it flaps, and that is not over

    @property
    def is_open(self):
        return self.state in ("firing", "recovering")


@dataclass
class Ladder:
    """One rule x resource of its first step."""

    place: tuple | None = None  # the current step's name; None: the first
    tries: dict = field(default_factory=dict)  # spent, by step's name
    streak: int = 0
    flapping: bool = False
    worse: bool = False
    exhausted: bool = False
    closed: int | None = None
    attempt: "Attempt | None" = None  # under way: up to the end of its verification
    waits: int | None = None  # unverified: since when it waits for the first known run
    hold: str | None = None
    held: int = 0  # seconds held that count towards `escalate_after`
    held_at: int | None = None


@dataclass
class Attempt:
    rule: Rule
    resource: str
    ladder: tuple[str, str]
    step: Step
    began: int  # the world's time of its claim
    claimed: int  # the same, as far as the clocks can tell
    cooldown: int
    joined: dict[str, int]  # check: incident
    would: bool
    state: str = "running"
    ended: int | None = None
    settled: int | None = None
    deadline: int | None = None
    verification: str | None = None
    released: int | None = None
    void: bool = False
    permanent: bool = False
    sick: tuple[str, ...] = ()  # services that depend on the resource and were sick at the claim, checks not known then
    is_looked_after: bool = True  # whether what becomes sick is laid at its door
    seen: dict[str, tuple[int, str]] = field(default_factory=dict)
    heard: int = 0
    clear_for: int = 0

    def end_for_limits(self):
        return self.claimed + self.step.timeout if self.state in ("running", "lost") else self.ended

    def is_clear(self):
        return bool(self.joined) and all(self.seen.get(name, (0, "U"))[1] == "C" for name in self.joined)


class Model:
    def __init__(self, world):
        self.world, self.config, self.reality = world, world.config, Reality(world)
        self.now, self.tracks, self.ladders, self.attempts = 0, {}, {}, []
        self.paused, self.nth, self.incidents, self.log = False, count(), count(1), []
        self.booted, self.offsets = -100_000, [(0, 0)]  # since when the wall clock is off by so much
        self.start()

    def start(self):
        """heald starts, for the first time or again."""
        self.known, self.flaps = {}, set()  # newest verdicts since the first BREACHED, by rule and check
        self.doubts = {key: RUNS for key, track in self.tracks.items() if track.told}  # known verdicts to come
        self.has_grace, self.up, self.well, self.was_sick = self.config.startup_grace > 0, {}, {}, {}
        self.not_clear_yet = {(rule.name, name) for rule in self.config.rules for name in rule.checks}
        self.next = {check.name: self.now for check in self.config.checks}
        self.intervals = {check.name: check.every for check in self.config.checks}
        self.letters, self.chosen = {}, {}  # by check what its newest run saw; by ladder the step that was weighed
        self.looks, self.ends, self.moved, self.jumped_at = [], [], 0, None
        self.grace_until = max(self.now + self.config.startup_grace, self.booted + BOOT_GRACE)
        for track in self.tracks.values():
            track.last = None
        for ladder in self.ladders.values():
            ladder.held_at = None
        self.forget_would(allowed=self.config.allow if self.config.is_act else ())
        for attempt in self.attempts:
            if attempt.state in ("running", "lost"):
                attempt.state, attempt.ended = "lost", attempt.claimed + attempt.step.timeout
            if attempt.released is None:
                attempt.rule = self.rule(attempt.rule.name) or attempt.rule
                attempt.seen, attempt.clear_for = {}, 0
                self.settle(attempt)

    # ---- time -------------------------------------------------------------------------------------------------

    def run(self):
        events = sorted(self.world.events, key=lambda it: it[0])
        while True:
            times = [*self.next.values(), *(it[0] for it in self.looks), *(it[0] for it in self.ends)]
            times += [it.settled for it in self.attempts if it.released is None and (it.settled or 0) > self.now]
            self.now = max(self.now, min(times + [it[0] for it in events[:1]]))
            if self.now > self.world.lasts:
                return self.log
            while events and events[0][0] <= self.now:
                _, kind, arguments = events.pop(0)
                getattr(self, "do_" + kind)(**arguments)
            if abs(self.moved) > JUMP:
                self.jumped_at = self.now
            self.moved = 0
            for end in [it for it in self.ends if it[0] <= self.now]:
                self.ends.remove(end)
                self.end(end[1], end[2])
            self.release_empty()
            proposals = self.runs()
            for proposal in [it for it in proposals if self.weigh(*it)]:
                self.look_again(*proposal)
            self.snapshot()

    def runs(self):
        found = []
        due = {name for at, name in self.looks if at <= self.now}
        self.looks = [it for it in self.looks if it[0] > self.now]
        for check in self.config.checks:
            is_regular = self.next[check.name] <= self.now
            if is_regular or check.name in due:
                found += self.take(check)
                interval = self.interval(check)
                if is_regular or interval != self.intervals[check.name]:
                    self.next[check.name] = self.now + interval
                self.intervals[check.name] = interval
        order = [rule.name for rule in self.config.rules]
        found.sort(key=lambda it: (it[0].severity, self.track(*it).since, order.index(it[0].name)))
        first = sorted(found, key=lambda it: self.is_upstream_sick(it[1]))
        one = {self.key(*it): it for it in reversed(first)}  # of a ladder: the oldest of what is sick for itself
        self.reserved = {}
        return [it for it in found if one[self.key(*it)] is it]

    def interval(self, check):
        is_pending = any(self.track(rule, check).state == "pending" for rule in self.rules_of(check))
        is_verified = any(
            it.released is None and it.settled is not None and it.settled <= self.now and check.name in it.joined
            for it in self.attempts
        )
        return check.retry_every if is_pending or is_verified else check.every

    def snapshot(self):
        for rule in self.config.rules:
            for name in rule.checks:
                track = self.tracks.get((rule.name, name), Track())
                hold = track.hold if track.state == "firing" else None
                self.log.append((self.now, rule.name, name, track.state, hold, track.handed))

    # ---- events -----------------------------------------------------------------------------------------------

    def do_crash(self, down):
        self.now += down
        self.start()

    def do_reboot(self, down, clock, synchronised):
        """The host boots: what was before is as old as the boot, or as the wall clock says if it was and is right."""
        self.now += down
        self.booted = self.now
        off = self.offsets[-1][1] + clock

        def now_at(time):
            """Where on the new boot's axis a row of that time lies."""
            if time is None:
                return None
            if not synchronised:
                return self.now
            then = [offset for since, offset in self.offsets if since <= time][-1]
            return min(self.now, time - (off - then))

        for attempt in self.attempts:
            for name in ("claimed", "ended", "released"):
                setattr(attempt, name, now_at(getattr(attempt, name)))
        for ladder in self.ladders.values():
            ladder.closed, ladder.waits = now_at(ladder.closed), now_at(ladder.waits)
        for track in self.tracks.values():
            track.since = now_at(track.since)
        self.start()

    def do_pause(self):
        self.paused = True

    def do_resume(self):
        self.paused = False

    def do_clock(self, by):
        self.moved += by
        self.offsets.append((self.now, self.offsets[-1][1] + by))

    def do_retry(self, rule):
        for (name, check), track in self.tracks.items():
            if name == rule and track.is_open:
                key = self.key(self.rule(rule), self.check(check))
                self.ladders[key] = Ladder(attempt=self.ladders[key].attempt)
                track.handed, track.hold, track.told = None, None, False
                self.looks.append((self.now, check))

    def do_reload(self, config):
        if config.is_act and not self.config.is_act:
            self.forget_would()
            self.ladders = {key: Ladder(attempt=it.attempt, closed=it.closed) for key, it in self.ladders.items()}
            self.untell(self.ladders)
        before = {key: self.key(self.rule(key[0]), self.check(key[1])) for key, it in self.tracks.items() if it.is_open}
        old, new = (
            {(it.name, name) for it in rules for name in it.checks} for rules in (self.config.rules, config.rules)
        )
        was_waiting, self.not_clear_yet = bool(self.not_clear_yet), (self.not_clear_yet & new) | (new - old)
        self.has_grace = self.has_grace and not (was_waiting and not self.not_clear_yet)
        self.config, self.flaps = config, self.flaps & new
        self.doubts = {key: left for key, left in self.doubts.items() if key in new}
        self.known = {key: verdicts for key, verdicts in self.known.items() if key in new}
        for key, track in list(self.tracks.items()):
            rule = self.rule(key[0])
            if rule is None or key[1] not in rule.checks:
                del self.tracks[key]
                for attempt in self.attempts:
                    if attempt.released is None and attempt.joined.get(key[1]) == track.incident:
                        attempt.joined = {it: number for it, number in attempt.joined.items() if it != key[1]}
            elif track.is_open and self.key(rule, self.check(key[1])) != before[key]:
                track.hold = None
                self.reopen(rule, self.check(key[1]))
        self.close_ladders()
        self.release_empty()

    def forget_would(self, allowed=None):
        for attempt in self.attempts:
            if allowed is not None and any(
                not it.would and it.ladder == attempt.ladder and it.began > attempt.began for it in self.attempts
            ):
                continue  # it was acted since: heald did not observe only
            if attempt.would and not attempt.void and (allowed is None or attempt.step.name in allowed):
                attempt.void, attempt.released = True, self.now if attempt.released is None else attempt.released
                ladder = self.ladders.get(attempt.ladder, Ladder())
                kept = ladder.attempt if ladder.attempt is not attempt else None
                self.ladders[attempt.ladder] = Ladder(attempt=kept, closed=ladder.closed)
                self.untell([attempt.ladder])

    def untell(self, ladders):
        """What was held and told of ladders that begin anew was of what they were before."""
        for (name, check), track in self.tracks.items():
            if track.is_open and self.key(self.rule(name), self.check(check)) in ladders:
                track.handed, track.hold, track.told = None, None, False

    # ---- what belongs to what -----------------------------------------------------------------------------------

    def rule(self, name):
        return next((it for it in self.config.rules if it.name == name), None)

    def check(self, name):
        return next(it for it in self.config.checks if it.name == name)

    def rules_of(self, check):
        return [rule for rule in self.config.rules if check.name in rule.checks]

    def track(self, rule, check):
        return self.tracks.setdefault((rule.name, check.name), Track())

    def resource(self, step, check):
        return step.service or check.service

    def key(self, rule, check):
        return rule.name, self.resource(rule.steps[0], check)

    def ladder(self, rule, check):
        return self.ladders.setdefault(self.key(rule, check), Ladder())

    def tracks_of(self, key):
        """The tracks whose incidents share a ladder, by check."""
        rule = self.rule(key[0])
        checks = [self.check(name) for name in rule.checks] if rule else []
        return {it.name: self.track(rule, it) for it in checks if self.key(rule, it) == key}

    def firing(self, key):
        return [it for it in self.tracks_of(key).values() if it.state == "firing"]

    # ---- a run ------------------------------------------------------------------------------------------------

    def take(self, check, *, is_look=False):
        """One run; returns what it proposes."""
        letter = self.letters[check.name] = self.reality.see(check.name, is_look, self.now)
        if letter != "U":
            self.up[check.name] = 0 if letter == "B" else 1
        proposed = []
        for rule in self.rules_of(check):
            track, verdict, key = self.track(rule, check), self.verdict(rule, letter), self.key(rule, check)
            if self.is_settling(key):
                track.last = None
                continue
            if verdict == "C" or letter == "M":
                self.not_clear_yet.discard((rule.name, check.name))
                self.has_grace = self.has_grace and bool(self.not_clear_yet)
            if verdict != "U" and self.ladder(rule, check).waits is not None:
                self.ladder(rule, check).waits = None
            if not is_look:
                self.count_changes((rule.name, check.name), "C" if verdict == "M" else verdict)
                self.see_calm(rule, check, track, verdict)
            self.judge(rule, check, track, verdict)
            if track.state == "firing" and verdict == "B" and not is_look:
                proposed.append((rule, check))
        for attempt in self.attempts:
            is_verified = attempt.released is None and attempt.settled is not None and attempt.settled <= self.now
            if is_verified and check.name in attempt.joined:
                is_deaf = self.is_settling(attempt.ladder)
                self.verify(attempt, check, "U" if is_deaf else self.verdict(attempt.rule, letter))
        self.see_worse(check, letter)
        is_sick = self.is_sick(check.service)
        if self.was_sick.get(check.service) and not is_sick:
            self.well[check.service] = self.now
        self.was_sick[check.service] = is_sick
        return [it for it in proposed if self.is_proposed(*it)]

    def count_changes(self, key, verdict):
        """Icinga's share of changes: of the last twenty, the newest counts 1.18 times, the oldest 0.8 times."""
        if verdict == "U" or (verdict == "C" and key not in self.known):
            return
        known = self.known.setdefault(key, ["C"] * (RUNS + 1))
        known[:] = [*known[1:], verdict]
        pairs = enumerate(pairwise(known))
        percent = sum(40 + at for at, (one, other) in pairs if one != other) / 10  # 0.8 + 0.02 at, of 20, in percent
        (self.flaps.add if percent > (FLAPS_NO_MORE if key in self.flaps else FLAPS) else self.flaps.discard)(key)
        if set(known) == {"C"}:
            del self.known[key]

    def see_calm(self, rule, check, track, verdict):
        """Whether what people were told of flapping is over; after a restart twenty known verdicts must say so."""
        key, ladder = (rule.name, check.name), self.ladder(rule, check)
        self.doubts[key] = self.doubts.get(key, 0) - (verdict != "U")
        is_held = ladder.flapping and (ladder.closed is None or self.now - ladder.closed < rule.relapse)
        if key not in self.flaps and self.doubts[key] <= 0 and not is_held:
            track.told = False

    @staticmethod
    def verdict(rule, letter):
        letter = {"P": "B", "X": "B", "N": "U"}.get(letter, letter)
        return "C" if letter == "M" and not rule.has_clear_when else letter

    def is_settling(self, key):
        """Whether runs judge nothing for a ladder: something is being done to its resource."""
        return any(
            not it.would and it.released is None and (it.settled is None or self.now < it.settled)
            and (it.resource == key[1] or it.ladder == key)
            for it in self.attempts
        )  # fmt: skip

    def is_proposed(self, rule, check):
        track, ladder = self.track(rule, check), self.ladder(rule, check)
        if ladder.attempt:
            return False
        if track.muted and not self.is_upstream_sick(check):
            if track.anew < max(rule.for_, self.root_settle(check)):
                return False
            track.muted = False
        if not self.left(rule, ladder):
            self.exhaust(self.key(rule, check), is_relapse=True)
            return False
        return True

    def see_worse(self, check, letter):
        """Whether a service that depends on what was acted on is sick since, by this run."""
        for attempt in [it for it in self.attempts if not it.would and it.state != "running"]:
            ladder, ended = self.ladders.get(attempt.ladder, Ladder()), attempt.end_for_limits()
            if not ladder.tries or ladder.worse:
                attempt.is_looked_after = False  # for good: the ladder began anew, or is stopped
            settled = ended + attempt.step.settle
            until = max(settled + attempt.step.verify, attempt.released if attempt.released is not None else 10**9)
            if self.now > until:
                attempt.is_looked_after = False  # whatever its age seems to be after a boot on a clock set back
            known = not {check.service, f"{check.name} unknown"} & set(attempt.sick)
            depends = attempt.resource in self.upstream(check) and known
            pressing = [
                it for it in self.rules_of(check) if it.severity <= 1 and not self.is_settling(self.key(it, check))
            ]
            is_sick = letter == "B" or any(self.verdict(it, letter) == "B" for it in pressing)
            touched = any(not it.would and it.released is None and it.resource == check.service for it in self.attempts)
            if not (attempt.is_looked_after and depends and is_sick):
                continue
            if touched:
                attempt.sick += (check.service,)  # for its own reasons
            elif self.now >= settled:
                ladder.worse = True
                self.stop(attempt.ladder, "worse")

    # ---- lifecycle (3) ----------------------------------------------------------------------------------------

    def judge(self, rule, check, track, verdict):
        if track.state in ("inactive", "pending") and verdict == "M":
            verdict = "C"
        last, track.last = track.last, (self.now, verdict)
        passed = self.now - last[0] if last and last[1] == verdict else 0
        passed = passed if passed <= INTERVALS * check.every else 0
        if track.muted:
            well = self.now - max((self.well[it] for it in self.upstream(check) if it in self.well), default=-(10**6))
            track.anew = 0 if self.is_upstream_sick(check) else min(track.anew + (verdict == "B") * passed, well)
        if track.state == "inactive" and verdict == "B":
            track.state, track.counted = "pending", 0
            if rule.for_ == 0:
                self.fire(rule, check, track)
        elif track.state == "pending" and verdict == "B":
            track.counted += passed
            if track.counted >= rule.for_:
                self.fire(rule, check, track)
        elif track.state == "pending" and verdict == "C":
            track.state = "inactive"
        elif track.state == "firing" and verdict == "C":
            track.state, track.counted, track.anew, track.hold = "recovering", 0, 0, None
            if rule.clear_for == 0:
                self.resolve(rule, check)
            elif not self.firing(self.key(rule, check)):
                self.unhold(self.key(rule, check))
        elif track.state == "recovering" and verdict == "B":
            track.state = "firing"
        elif track.state == "recovering" and verdict == "C":
            track.counted += passed
            if track.counted >= rule.clear_for:
                self.resolve(rule, check)

    def fire(self, rule, check, track):
        track.state, track.incident, track.since = "firing", next(self.incidents), self.now
        track.muted, track.anew = self.is_upstream_sick(check), 0
        self.reopen(rule, check)

    def reopen(self, rule, check):
        """A relapse goes on with its ladder where it was; otherwise it starts anew."""
        ladder = self.ladder(rule, check)
        if ladder.closed is not None and self.now - ladder.closed >= rule.relapse:
            self.ladders[self.key(rule, check)] = Ladder(attempt=ladder.attempt)
        ladder.closed = None

    def resolve(self, rule, check):
        last, told = self.track(rule, check).last, self.track(rule, check).told
        self.tracks[rule.name, check.name] = Track(last=last, told=told)
        self.close_ladders()

    def close_ladders(self):
        """A ladder closes with the last of its incidents."""
        for key, ladder in self.ladders.items():
            if ladder.closed is None and not any(it.is_open for it in self.tracks_of(key).values()):
                ladder.closed, ladder.exhausted, ladder.waits = self.now, False, None
                self.unhold(key)

    # ---- upstream (3, 4) --------------------------------------------------------------------------------------

    def upstream(self, check):
        return self.config.depends_on.get(check.service, ())

    def is_upstream_sick(self, check):
        return any(self.is_sick(service) for service in self.upstream(check))

    def is_sick(self, service):
        mine = [check for check in self.config.checks if check.service == service]
        urgent = [self.track(rule, check) for check in mine for rule in self.rules_of(check) if rule.severity <= 1]
        is_down = any(self.up.get(check.name) == 0 for check in mine)
        return is_down or any(it.state in ("pending", "firing") for it in urgent)

    def root_settle(self, check):
        """Of the one service that a service depends on here."""
        checks = [it for it in self.config.checks if it.service in self.upstream(check)]
        found = [step.settle for it in checks for rule in self.rules_of(it) for step in rule.steps]
        return max(found, default=10 if self.upstream(check) else 0)

    # ---- ladder (4) -------------------------------------------------------------------------------------------

    @staticmethod
    def places(rule):
        """What tells steps apart: their content, and which of the equal ones."""
        names = [(step.name, step.service) for step in rule.steps]
        return [(*name, names[:index].count(name)) for index, name in enumerate(names)]

    def left(self, rule, ladder):
        """The steps that are left, and their places."""
        places = self.places(rule)
        start = places.index(ladder.place) if ladder.place in places else 0
        steps = list(zip(rule.steps, places, strict=True))[start:]
        return [it for it in steps if not ladder.exhausted and ladder.tries.get(it[1], 0) < it[0].tries]

    def position(self, rule, ladder, letter):
        """The step for what a run saw, its place, and whether it is for that; the last one where none is."""
        found = [
            (*it, not it[0].is_for_down or {"X": None, "B": True}.get(letter, False)) for it in self.left(rule, ladder)
        ]
        return next((it for it in found if it[2] is not False), found[-1])

    def weigh(self, rule, check):
        """The guards, before the second look."""
        if self.track(rule, check).state != "firing":
            return False
        step, place, fits = self.position(rule, self.ladder(rule, check), self.letters[check.name])
        if not self.passes(rule, check, step, fits):
            return False
        self.chosen[self.key(rule, check)] = place
        self.reserved.setdefault((self.resource(step, check), self.is_would(step)), self.key(rule, check))
        return True

    def look_again(self, rule, check):
        ladder, key = self.ladder(rule, check), self.key(rule, check)
        for other in self.config.checks:
            if other.service in self.upstream(check):
                self.take(other, is_look=True)
        letter = "U" if self.is_settling(key) else self.reality.see(check.name, True, self.now)
        self.take(check, is_look=True)
        step, place, fits = self.position(rule, ladder, letter)
        self.reserved = {it: who for it, who in self.reserved.items() if who != key}
        if letter in "UN":
            ladder.streak = 0
            self.hold(rule, check, "blind_now")
        elif letter in "CM":
            ladder.streak += 1
            ladder.flapping = ladder.flapping or ladder.streak >= 3
            self.hold(rule, check, "clear_now")
        elif self.chosen[key] != place:
            self.hold(rule, check, "only_if")
        elif self.passes(rule, check, step, fits):
            self.claim(rule, check, step, place)

    def is_would(self, step):
        return not self.config.is_act or step.name not in self.config.allow

    def passes(self, rule, check, step, fits):
        """Whether no guard holds, or none but those that leave a would-be attempt."""
        reasons = list(self.guards(rule, check, step, fits))
        if reasons:
            self.hold(rule, check, reasons[0])
        return not set(reasons) - {"mode", "not_allowed"}

    def claim(self, rule, check, step, place):
        key, ladder, would = self.key(rule, check), self.ladder(rule, check), self.is_would(step)
        tries = ladder.tries.get(place, 0)
        first, most = step.cooldown
        attempt = Attempt(
            rule, self.resource(step, check), key, step, self.now, self.now, min(first * 2**tries, most),
            {name: it.incident for name, it in self.tracks_of(key).items() if it.is_open}, would,
        )  # fmt: skip
        self.attempts.append(attempt)
        ladder.place, ladder.tries[place], ladder.attempt, ladder.streak = place, tries + 1, attempt, 0
        ladder.hold, ladder.held, ladder.held_at = None, 0, None
        dependants = [it for it, needed in self.config.depends_on.items() if attempt.resource in needed]
        around = [it.name for it in self.config.checks if it.service in dependants]
        unknown = [it for it in around if it not in self.up or self.letters[it] == "U"]
        attempt.sick = (*(it for it in dependants if self.is_sick(it)), *(f"{it} unknown" for it in unknown))
        if would:
            attempt.state, attempt.ended = "would", self.now
            self.settle(attempt)
            return
        self.unhold(key)
        effect = self.world.effects[next(self.nth) % len(self.world.effects)]
        if effect.outcome == "hangs" or effect.takes > step.timeout:
            effect = replace(effect, takes=step.timeout, outcome="failed")
        self.ends.append((self.now + effect.takes, attempt, effect))
        self.ends.sort(key=lambda it: it[0])

    def end(self, attempt, effect):
        attempt.permanent = effect.outcome == "permanent"
        attempt.state, attempt.ended = "failed" if attempt.permanent else effect.outcome, self.now
        if attempt.state == "succeeded":
            self.settle(attempt)
        else:
            self.release(attempt, None)
        self.reality.change(effect.then, self.now)

    def settle(self, attempt):
        attempt.settled = attempt.ended + attempt.step.settle
        attempt.deadline = attempt.settled + attempt.step.verify
        for at in [attempt.deadline] if attempt.would else [attempt.settled, attempt.deadline]:
            self.looks += [(max(self.now, at), name) for name in attempt.joined]

    def verify(self, attempt, check, verdict):
        """A run that began after settle."""
        was_clear = attempt.is_clear()
        attempt.seen[check.name] = (self.now, verdict)
        passed, attempt.heard = self.now - attempt.heard, self.now
        if attempt.would:
            if self.now >= attempt.deadline:
                self.release(attempt, "effective" if attempt.is_clear() else "ineffective")
            return
        if was_clear:
            attempt.deadline += passed
        if was_clear and attempt.is_clear():
            every = max(self.check(name).every for name in attempt.joined)
            attempt.clear_for += passed if passed <= INTERVALS * every else 0
        elif verdict in "BM":
            attempt.clear_for = 0
        if attempt.is_clear():
            if attempt.clear_for >= attempt.rule.clear_for:
                self.release(attempt, "effective")
            return
        late = [it for it in map(attempt.seen.get, attempt.joined) if it and it[0] >= attempt.deadline]
        if any(it[1] in "BM" for it in late):
            self.release(attempt, "ineffective")
        elif self.now >= attempt.deadline and len(late) == len(attempt.joined):
            self.release(attempt, "unverified")
        elif was_clear and passed:
            self.looks += [(max(self.now, attempt.deadline), name) for name in attempt.joined]

    def release_empty(self):
        for attempt in self.attempts:
            is_settled = attempt.settled is not None and attempt.settled <= self.now
            if attempt.released is None and is_settled and not attempt.joined:
                self.release(attempt, "unverified")

    def release(self, attempt, verification):
        attempt.verification, attempt.released = verification, self.now
        ladder, rule = self.ladders.get(attempt.ladder), self.rule(attempt.rule.name)
        if ladder is None or ladder.attempt is not attempt:
            return
        ladder.attempt = None
        if attempt.permanent and rule and ladder.place in self.places(rule):
            ladder.tries[ladder.place] = rule.steps[self.places(rule).index(ladder.place)].tries
        if verification == "unverified" and attempt.joined:
            ladder.waits = self.now
        elif rule and verification != "effective" and ladder.closed is None and not self.left(rule, ladder):
            self.exhaust(attempt.ladder, is_relapse=False)

    # ---- guards (5), counting (6) -------------------------------------------------------------------------------

    def guards(self, rule, check, step, fits):
        """Every guard that holds, in their order."""
        would, resource, ladder = self.is_would(step), self.resource(step, check), self.ladder(rule, check)
        counted = [it for it in self.attempts if not it.void and (would or not it.would)]
        mine = [it for it in counted if it.resource == resource]
        busy = [it for it in mine if it.released is None]
        is_settling = any(it.settled is None or self.now < it.settled for it in busy)
        asked = [who for (name, w), who in self.reserved.items() if name == resource and (would or not w)]
        is_reserved = not busy and any(who != self.key(rule, check) for who in asked)
        yield from ["paused"] * self.paused
        yield from ["startup_grace"] * (self.has_grace and self.now < self.grace_until)
        yield from ["clock_jumped"] * (self.jumped_at is not None and self.now < self.jumped_at + JUMP_HOLD)
        yield from ["flapping"] * (ladder.flapping or (rule.name, check.name) in self.flaps)
        yield from ["worse"] * ladder.worse
        yield from ["upstream"] * self.is_upstream_sick(check)
        yield from ["only_if"] * (fits is not True)
        yield from ["resource_busy"] * bool(is_reserved or (busy and not is_settling))
        yield from ["settling"] * is_settling
        yield from ["cooldown"] * any(it.released is not None and self.now < it.released + it.cooldown for it in mine)
        yield from ["limit_rule"] * self.is_spent(rule.limit, [it for it in counted if it.rule.name == rule.name])
        yield from ["limit_resource"] * self.is_spent(self.config.service_limit, mine)
        yield from ["budget"] * self.is_spent(self.config.budget, counted)
        yield from ["mode"] * (not self.config.is_act)
        yield from ["not_allowed"] * (step.name not in self.config.allow)
        yield from ["approval"] * step.approval

    def is_spent(self, limits, attempts):
        return any(sum(self.now < it.end_for_limits() + window for it in attempts) >= n for n, window in limits)

    # ---- holds, handing over (4) --------------------------------------------------------------------------------

    def hold(self, rule, check, reason):
        key = self.key(rule, check)
        ladder, firing = self.ladders[key], self.firing(key)
        counts = ladder.hold is not None and ladder.hold not in NOT_COUNTED and not all(it.muted for it in firing)
        if ladder.held_at is not None and counts:
            ladder.held += self.now - ladder.held_at
        ladder.hold, ladder.held_at = reason, self.now
        for name, track in self.tracks_of(key).items():
            if track.state != "firing":
                continue
            track.hold = reason
            if reason == "upstream" and self.is_upstream_sick(self.check(name)):
                track.muted, track.anew = True, track.anew if track.muted else 0
        if not firing:
            self.unhold(key)
        elif reason != "upstream" and (reason in AT_ONCE or ladder.held >= rule.escalate_after):
            self.hand_over(key, reason, self.track(rule, check))

    def hand_over(self, key, reason, mine=None):
        rule, ladder = self.rule(key[0]), self.ladders[key]  # none: an attempt of it has outlived the rule
        patience = rule.escalate_after if rule else 0
        for track in self.firing(key):
            waits = track.told or not (ladder.flapping or track is mine)
            if reason == "flapping" and waits and min(ladder.held, self.now - track.since) < patience:
                continue
            if not track.muted and track.handed is None:
                track.handed = reason
            track.told = track.told or reason == track.handed == "flapping"

    def exhaust(self, key, *, is_relapse):
        """The end of a ladder is told once while it flaps: not of a relapse, unless that is open for long."""
        ladder, patience = self.ladders[key], self.rule(key[0]).escalate_after
        ladder.exhausted = True
        self.hold_all(key, "exhausted")
        for check, track in self.tracks_of(key).items():
            is_again = is_relapse and track.told and track.handed is None and self.now - track.since < patience
            if track.state == "firing" and not track.muted and not is_again:
                track.handed = "exhausted"
                track.told = track.told or ladder.flapping or (key[0], check) in self.flaps

    def stop(self, key, reason):
        """Nothing is done on a ladder any more, and people are told."""
        self.hold_all(key, reason)
        self.hand_over(key, reason)

    def hold_all(self, key, reason):
        for track in self.firing(key):
            self.ladders[key].hold = track.hold = reason

    def unhold(self, key):
        ladder = self.ladders.get(key, Ladder())
        ladder.hold, ladder.held, ladder.held_at = None, 0, None
        for track in self.tracks_of(key).values():
            track.hold = None
