"""What the engine says of one container, as samples."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from daemon.plugin import Reading, Sample

Info = Mapping[str, Any]
"""A container, as the engine's API has it."""


def name_of(info: Info) -> str:
    """Its name, without the `/` that the API puts before it."""
    return str(info["Name"]).removeprefix("/")


def is_missing(subject: str, detail: str) -> Reading:
    """The reading of what is named in the file and is not there."""
    samples: dict[str, Sample] = {"up": 0.0, "error": "not_found", "detail": detail}
    return Reading(subject=subject, samples=samples | {"state": "not_found", "health": "none"})


def judge(info: Info, now: float) -> dict[str, Sample]:
    """The samples of a container that is there; `now` is the wall clock's, as the engine keeps no other."""
    state = info["State"]
    health = str((state.get("Health") or {}).get("Status") or "none")
    word = _word(state, health)
    samples: dict[str, Sample] = {
        "up": 0.0 if word else 1.0,
        "error": word,
        "detail": _sentence(info, word) if word else "",
        "state": str(state["Status"]),
        "health": health,
        "restarts": float(info["RestartCount"]),
        "oom_killed": bool(state["OOMKilled"]),
    }
    if state["Status"] in ("running", "paused"):
        samples["running_seconds"] = max(0.0, now - datetime.fromisoformat(state["StartedAt"]).timestamp())
    elif state["Status"] != "created" or state["ExitCode"]:
        samples["exit_code"] = float(state["ExitCode"])
    limit = float((info.get("HostConfig") or {}).get("Memory") or 0)
    return samples | ({"memory_limit_bytes": limit} if limit else {})


def _word(state: Info, health: str) -> str:
    """Why it is not up; empty if it is."""
    if state["Status"] == "running":
        return "unhealthy" if health == "unhealthy" else ""
    if state["Status"] == "exited" and state["OOMKilled"]:
        return "oom_killed"
    return str(state["Status"])


def _sentence(info: Info, word: str) -> str:
    state = info["State"]
    subject = f"container {name_of(info)}"
    if word == "unhealthy":
        runs = state["Health"].get("Log") or []
        lines = [line.strip() for line in str(runs[-1]["Output"]).splitlines() if line.strip()] if runs else []
        return f"{subject} is unhealthy" + (f"; its HEALTHCHECK said: {lines[-1][:200]}" if lines else "")
    if word in ("exited", "oom_killed", "dead", "restarting"):
        killed = ", killed for want of memory" if state["OOMKilled"] else ""
        why = f": {state['Error'][:200]}" if state["Error"] else ""
        verb = "is being restarted after it ended" if word == "restarting" else "has ended"
        return f"{subject} {verb} with exit code {state['ExitCode']}{killed}{why}"
    said = {"created": "was made and not started", "paused": "is paused", "removing": "is being removed"}
    return f"{subject} {said.get(word, f'is {word}')}"


def read_usage(seen: Sequence[Info], limit: float) -> dict[str, Sample]:
    """CPU and memory from readings of its counters; none if it ended meanwhile. `limit` is in bytes, 0 if none."""
    if not seen or "usage" not in seen[-1]["memory_stats"]:
        return {}
    first, last = seen[0], seen[-1]
    memory = last["memory_stats"]
    kept = memory.get("stats") or {}
    # As `docker stats` has it: cgroup v1 has total_inactive_file, v2 inactive_file.
    droppable = kept.get("total_inactive_file", kept.get("inactive_file", 0))
    used = max(0.0, float(memory["usage"] - droppable))
    samples: dict[str, Sample] = {"memory_bytes": used, "cpu_seconds": _cpu(last)}
    if limit:
        samples["memory_percent"] = 100.0 * used / limit
    elapsed = _read_at(last) - _read_at(first)
    if elapsed > 0 and _cpu(last) >= _cpu(first):
        samples["cpu_percent"] = 100.0 * (_cpu(last) - _cpu(first)) / elapsed
    return samples


def _cpu(usage: Info) -> float:
    return float(usage["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9  # nanoseconds


def _read_at(usage: Info) -> float:
    return datetime.fromisoformat(usage["read"]).timestamp()
