"""Whether a URL answers as it should, and how long every stage of the answer takes.

`up` is 0 with `error` refused, reset, closed, timeout, unreachable, name_not_found, tls, certificate, malformed,
incomplete, redirects, status, body or json. We are blind, and the run is UNKNOWN, where there is no route from here,
the resolver does not answer, we are out of descriptors or ports, or `ca_file` cannot be read. Each run makes new
connections, one more for each redirect, unless `keep_alive` keeps them; the seconds of a stage are added up over them.
A kept connection that the server closed before it answered is replaced, and the request sent again, POST apart, which
has a new connection each time. Cookies are not kept, and the environment's proxy settings are not used.

It needs no rights but to read `ca_file`. Passwords and tokens stay out of the file as references.
"""

import base64
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator
from yarl import URL

from checks._exchange import OWN, fetch
from checks._http_judge import judge_json, judge_pattern, judge_status, judge_text, parse_json, read_sample
from checks._http_message import MOST_REDIRECTS, Answer, Request
from checks._http_values import HeaderHost, JsonPath, StatusRange, Url, check_header
from checks._net import NET_SAMPLES, Look
from checks._once import look_once
from checks._patterns import Pattern
from daemon.plugin import (
    CheckContext,
    ConnectionOf,
    Dimension,
    Field,
    OptionsModel,
    Reading,
    SampleSpec,
    SecretStr,
    SickError,
    Size,
    sample,
)

EXAMPLE = """
checks:
  shop_health:
    http:
      url: https://shop.example/health
      bearer: "${env:SHOP_TOKEN}"
      expect_status: [200]
      expect_json: {status: UP}
      json_samples: {queued: queue.length}
    every: 15s
rules:
  shop-down: {check: shop_health, when: up == 0, for: 1m, severity: P1}
  shop-slow: {check: shop_health, when: "avg(latency_seconds, 5m) > 2s or queued > 100"}
  shop-certificate: {check: shop_health, when: certificate_expires_seconds < 14d, severity: P3}
"""
SAMPLES = (
    *NET_SAMPLES,
    sample("tls_seconds", Dimension.SECONDS, "The TLS handshake; missing without https."),
    sample("first_byte_seconds", Dimension.SECONDS, "From the open connection to the first byte of the answer."),
    sample("status", Dimension.NONE, "The last answer's status, such as 200; missing without an answer."),
    sample("redirects", Dimension.NONE, "How many redirects were followed."),
    sample("body_bytes", Dimension.BYTES, "The length of the body, decompressed, as far as it was read."),
    sample("truncated", Dimension.BOOLEAN, "Whether the body is longer than body_limit; its rest was not read."),
    sample(
        "certificate_expires_seconds",
        Dimension.SECONDS,
        "Until the server's certificate expires, of several the soonest; missing without https or verification.",
    ),
)
_DEFAULT_STATUS = ((200, 399),)
_NOT_YOURS = {"host": "write the option host", "authorization": "write basic or bearer"}
_WRITTEN_BY_HEALD = frozenset({"content-length", "transfer-encoding", "connection"})
_CONDITION_WORDS = frozenset({"and", "or", "not", "in", "contains", "true", "false"})


class Basic(OptionsModel):
    """User and password (RFC 7617)."""

    user: str = Field(pattern=r"^[^:\x00-\x1f\x7f]*$", description="User name, without a colon.")
    password: SecretStr = Field(description="Password, best as ${env:...}, ${file:...} or ${credential:...}.")


class JsonSample(OptionsModel):
    """A value in a JSON answer."""

    path: JsonPath = Field(description=r"Keys with dots between, a place in a list as a number; a dot in a key is \.")
    unit: Literal["none", "seconds", "bytes", "percent", "boolean", "string"] = Field(
        default="none", description="What it is, and so which literals it compares with. Another type is missing."
    )


def _short_json_sample(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class Options(OptionsModel):
    """What is asked, and what is expected."""

    url: Url = Field(description="http or https URL, without credentials.")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field(
        default="GET", description="Request method."
    )
    headers: dict[str, SecretStr] = Field(
        default={}, description="Request headers. They are not sent to another origin that a redirect leads to."
    )
    host: HeaderHost | None = Field(
        default=None, description="Host header, and the name in TLS and in the certificate, instead of the URL's host."
    )
    body: SecretStr | None = Field(default=None, description="Request body, sent as UTF-8.")
    basic: Basic | None = Field(default=None, description="Basic authentication; not together with bearer.")
    bearer: SecretStr | None = Field(default=None, description="Bearer token; not together with basic.")
    expect_status: list[StatusRange] = Field(
        default=[], description="Allowed statuses: numbers, or ranges such as 200-299. Empty: 200-399."
    )
    expect_body: str | None = Field(default=None, min_length=1, description="Text that the body has to contain.")
    expect_regex: Pattern | None = Field(
        default=None,
        min_length=1,
        description="Regular expression (Python's re) to be found in the body. A run that searches for 0.5s is blind.",
    )
    expect_json: dict[JsonPath, str | int | float | bool | None] = Field(
        default={}, description="Values that a JSON body has to have, by path, such as {status: UP, disk.free: true}."
    )
    json_samples: dict[
        str, Annotated[JsonSample, BeforeValidator(_short_json_sample, json_schema_input_type=str | JsonSample)]
    ] = Field(
        default={},
        description="Further samples by name, each a path in a JSON body or {path: , unit: }. Missing if not there.",
    )
    verify_tls: bool = Field(default=True, description="Whether the certificate has to be valid.")
    ca_file: str | None = Field(
        default=None, min_length=1, description="PEM file of the authorities to trust instead of the system's."
    )
    follow_redirects: bool = Field(
        default=True, description=f"Whether to go where a redirect leads, at most {MOST_REDIRECTS} times."
    )
    keep_alive: bool = Field(
        default=False,
        description="Whether the connection stays open for the next run: cheaper, and what a new connection would meet "
        "is seen only when one is made. Its stages are then missing.",
    )
    connection: Annotated[str | None, ConnectionOf("http")] = Field(
        default=None, description="Name of an http connection that says how many are kept; with keep_alive only."
    )
    body_limit: Size = Field(
        default=2.0**20, ge=0, le=2.0**26, description="Bytes of the body that are read, at most 64MiB; 0B reads none."
    )

    @model_validator(mode="after")
    def _has_good_headers(self) -> Self:
        for name, value in self.headers.items():
            check_header(name, value.get_secret_value())
            if name.lower() in _WRITTEN_BY_HEALD:
                raise ValueError(f"the header {name} is written by heald; leave it out")
            if name.lower() == "host" or (name.lower() == "authorization" and (self.basic or self.bearer)):
                raise ValueError(f"the header {name} is given by an option of its own; {_NOT_YOURS[name.lower()]}")
        if self.basic and self.bearer:
            raise ValueError("basic and bearer are both given; write one of them")
        if self.bearer:
            check_header("Authorization", f"Bearer {self.bearer.get_secret_value()}")
        return self

    @model_validator(mode="after")
    def _has_effect(self) -> Self:
        if self.ca_file and not self.verify_tls:
            raise ValueError("ca_file has no effect with verify_tls: false; leave one of them out")
        if self.ca_file and not self.follow_redirects and self.url.lower().startswith("http://"):
            raise ValueError("ca_file has no effect on a URL without https; leave it out")
        if self.connection is not None and not self.keep_alive:
            raise ValueError("connection has no effect without keep_alive: true; leave it out")
        if self.keep_alive and self.method not in OWN:
            raise ValueError(f"keep_alive is for {', '.join(sorted(OWN))}; leave it out")
        if self.method not in OWN:  # imported with the file: the first run would stall the loop, and its own time-out
            import checks._http_aiohttp  # noqa: F401  # as heavy as all the rest, and hardly ever needed
        wants_body = self.expect_body or self.expect_regex or self.expect_json or self.json_samples
        if wants_body and (self.method == "HEAD" or self.body_limit == 0):
            raise ValueError("nothing can be expected of a body that is not read; use GET and a body_limit above 0B")
        return self

    @model_validator(mode="after")
    def _names_new_samples(self) -> Self:
        own = {spec.name for spec in SAMPLES}
        for name in self.json_samples:
            if not (name.isascii() and name.isidentifier()) or name in _CONDITION_WORDS:
                raise ValueError(f"{name!r} in json_samples cannot be a sample's name; write it like queue_length")
            if name in own:
                raise ValueError(f"{name} in json_samples is a sample of every http check; choose another name")
        return self

    @cached_property
    def request(self) -> Request:
        """What is asked, made once: the same for every run."""
        headers = [(name, value.get_secret_value()) for name, value in self.headers.items()]
        if self.basic:
            pair = f"{self.basic.user}:{self.basic.password.get_secret_value()}"
            headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        if self.bearer:
            headers.append(("Authorization", f"Bearer {self.bearer.get_secret_value()}"))
        return Request(
            method=self.method,
            url=URL(self.url),
            headers=tuple(headers),
            host=self.host,
            body=self.body.get_secret_value().encode() if self.body else None,
            body_limit=int(self.body_limit),
            follow_redirects=self.follow_redirects,
            verify_tls=self.verify_tls,
            ca_file=self.ca_file,
        )


def samples(options: Options) -> tuple[SampleSpec, ...]:
    """The samples that these options add to `SAMPLES`."""
    return tuple(
        sample(name, Dimension(wanted.unit), f"{wanted.path} in the JSON answer; missing if it is not there.")
        for name, wanted in options.json_samples.items()
    )


async def check(options: Options, context: CheckContext) -> Sequence[Reading]:
    """Ask once and judge the answer.

    Raises:
        CheckError: we could not look.
    """

    async def work(look: Look) -> None:
        kept = None
        if options.keep_alive:
            async with context.connection("http", options.connection) as kept:
                pass  # held only for a moment, as a run's fault is none of theirs
        await _judge(options, await fetch(options.request, look, kept), look)

    return [await look_once(context, work)]


async def _judge(options: Options, answer: Answer, look: Look) -> None:
    """Take the samples out of the answer, then raise SickError for the first thing that is not as expected."""
    document, not_json = None, None
    if options.expect_json or options.json_samples:
        try:
            document = parse_json(answer)
        except SickError as error:
            not_json = error
        for name, wanted in options.json_samples.items():
            value = read_sample(document, wanted.path, wanted.unit)
            if value is not None:
                look.samples[name] = value
    judge_status(answer, options.expect_status or _DEFAULT_STATUS)
    judge_text(answer, options.expect_body)
    if options.expect_regex is not None:
        await judge_pattern(answer, options.expect_regex, look)
    if options.expect_json:
        if not_json is not None:
            raise not_json
        judge_json(document, options.expect_json)
