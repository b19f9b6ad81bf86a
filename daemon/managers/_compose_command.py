"""`docker compose up` for one service of which no container is left: what the engine's API alone cannot do."""

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemon.plugin import CheckContext, Completed, RemediationError

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
FILES = "com.docker.compose.project.config_files"
FOLDER = "com.docker.compose.project.working_dir"
ENVIRONMENT = "com.docker.compose.project.environment_file"

_ASK_WITHIN = 10.0  # seconds for a question to the plug-in; it answers in a tenth of one


class Compose:
    """`docker compose` for one service. `labels` are those of any container of the project, empty if it has none."""

    def __init__(self, context: CheckContext, *, url: str, project: str, service: str) -> None:
        self._context = context
        self._env = {"DOCKER_HOST": url}
        self._project = project
        self._service = service

    async def create(self, files: Sequence[str], labels: Mapping[str, str], deadline: float) -> str:
        """Create and start the service's containers, and nothing else. Returns the command. Raises RemediationError."""
        where = await self._where(files, labels)
        # --no-build: an image that is not there is built by people. Others' containers are left as they are.
        up = ["up", "--detach", "--no-deps", "--no-recreate", "--no-build", self._service]
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise RemediationError(f"no time is left for docker compose up of {self._project}/{self._service}")
        done = await self._run([*where, *up], left)
        if done.exit_code != 0:
            raise await self._failed(done, where)
        return " ".join(done.argv)

    async def _where(self, files: Sequence[str], labels: Mapping[str, str]) -> list[str]:
        """The arguments that say which files make the project."""
        found = list(files) or [name for name in labels.get(FILES, "").split(",") if name]
        if not found:
            raise RemediationError(
                f"no container of {self._project}/{self._service} is left to start, and nothing says which compose "
                "file makes one; set `file`",
                permanent=True,
            )
        for name in found:
            await self._must_be_there(name, is_option=bool(files), labels=labels)
        where = ["--ansi", "never", "-p", self._project, *(part for name in found for part in ("-f", name))]
        if not files and labels.get(FOLDER):
            where += ["--project-directory", labels[FOLDER]]
        if not files and labels.get(ENVIRONMENT):
            where += [part for name in labels[ENVIRONMENT].split(",") for part in ("--env-file", name)]
        return where

    async def _must_be_there(self, name: str, *, is_option: bool, labels: Mapping[str, str]) -> None:
        try:
            await asyncio.to_thread(Path(name).stat)
        except OSError as error:
            made = labels.get(FILES, "")
            if is_option:
                hint = f"; the project's containers were made from {made}" if made else ""
                sentence = f"project {self._project}: its `file` {name} cannot be read: {error.strerror}{hint}"
            else:
                sentence = (
                    f"project {self._project} was made from {name}, which cannot be read: {error.strerror}; "
                    "if it has moved, set `file`"
                )
            raise RemediationError(sentence, permanent=True) from error

    async def _run(self, arguments: Sequence[str], within: float) -> Completed:
        try:
            return await self._context.run(["docker", "compose", *arguments], timeout=within, env=self._env)
        except (FileNotFoundError, PermissionError) as error:
            sentence = (
                f"no container of {self._project}/{self._service} is left, and without the command docker none can be "
                f"created: {error.strerror}"
            )
            raise RemediationError(sentence, permanent=True) from error
        except OSError as error:
            raise RemediationError(f"cannot run docker compose: {error.strerror or error}") from error

    async def _failed(self, done: Completed, where: Sequence[str]) -> RemediationError:
        """Why it failed, and whether that is for good."""
        if (await self._run(["version"], _ASK_WITHIN)).exit_code != 0:
            sentence = (
                f"no container of {self._project}/{self._service} is left, and without docker's plug-in compose none "
                "can be created: docker compose is not installed"
            )
            return RemediationError(sentence, permanent=True, details=done.details)
        if "no such service" in done.stderr:
            listed = await self._run([*where, "config", "--services"], _ASK_WITHIN)
            services = sorted(listed.stdout.split())
            sentence = f"the compose file of project {self._project} has no service {self._service}"
            return RemediationError(sentence + meant(self._service, services), permanent=True, details=done.details)
        sentence = f"docker compose cannot create {self._project}/{self._service}: {done.ending}"
        return RemediationError(f"{sentence}: {done.last_line}" if done.last_line else sentence, details=done.details)


def meant(name: str, known: Sequence[str]) -> str:
    """`; it has a, b; did you mean b?`, for the end of a sentence."""
    if not known:
        return "; it has none"
    near = difflib.get_close_matches(name, known, n=1)
    return f"; it has {', '.join(known[:20])}" + (f"; did you mean {near[0]}?" if near else "")
