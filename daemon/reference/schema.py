"""A JSON Schema (2020-12) of the rules file for editors, from the models that the loader reads it with."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from daemon.config.schema import (
    CheckDefaults,
    CheckKeys,
    ConnectionKeys,
    DefaultsKeys,
    FileKeys,
    MaintenanceKeys,
    RuleDefaults,
    RuleKeys,
    SelectionKeys,
    ServiceKeys,
    SettingsKeys,
    StepKeys,
)
from daemon.config.setup import Types
from daemon.config.shapes import fields_of
from daemon.engine.functions import EXAMPLES
from daemon.engine.syntax import KEYWORDS
from daemon.reference.values import default_of

Schema = dict[str, Any]
Names = Mapping[type[BaseModel], str]
"""What the models are called among the definitions."""
_COMMON: tuple[type[BaseModel], ...] = (
    FileKeys,
    SettingsKeys,
    DefaultsKeys,
    CheckDefaults,
    RuleDefaults,
    ConnectionKeys,
    ServiceKeys,
    CheckKeys,
    MaintenanceKeys,
    RuleKeys,
    SelectionKeys,
    StepKeys,
)
_KINDS = ("connections", "managers", "checks", "remediations")
_NAME: Schema = {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$"}
_CHECK_NAME: Schema = {
    "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,99}$",
    "not": {"enum": sorted({*KEYWORDS, *EXAMPLES})},
}
_TOP: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A rules file of heald",
    "description": "What heald looks at, judges and heals; a file that it includes has the same keys, but fewer.",
}
_REFERENCE = r"\$\{"  # what holds one is judged when it is resolved


class _Generator(GenerateJsonSchema):
    """Without pydantic's titles, and without defaults, which it would write as the code has them."""

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema(types: Types) -> Schema:
    """The schema of a main file or an included one, with the options of all these plug-ins."""
    plugins = {(kind, name): it.options for kind in _KINDS for name, it in getattr(types, kind).items()}
    models = [(model, "validation") for model in dict.fromkeys((*_COMMON, *plugins.values()))]
    refs, generated = models_json_schema(models, by_alias=True, schema_generator=_Generator)  # type: ignore[arg-type]  # a list of pairs is what it takes
    defs: Schema = generated.get("$defs", {})
    names = {model: refs[model, "validation"]["$ref"].removeprefix("#/$defs/") for model, _ in models}
    for model, name in names.items():
        _add_defaults(model, defs[name])
    common = {names[model] for model in _COMMON} | {"HistoryKeys"}
    for name, schema in defs.items():
        _walk(schema, _tidied if name in common else _with_references)
    return _whole(types, defs, names, plugins)


def _whole(types: Types, defs: Schema, names: Names, plugins: Mapping[tuple[str, str], type[BaseModel]]) -> Schema:
    """The parts put together: what the models leave open is what plug-ins and names fill."""

    def options(kind: str) -> Schema:
        return {
            name: {**_ref(names, plugins[kind, name]), "description": summary(it.module)}
            for name, it in getattr(types, kind).items()
        }

    made = {
        "connection": _with_one(defs[names[ConnectionKeys]], options("connections")),
        "check": _with_one(defs[names[CheckKeys]], options("checks")),
        "step": _with_one(defs[names[StepKeys]], options("remediations")),
        "run_by": _with_one({"type": "object", "additionalProperties": False}, options("managers")),
        "service": defs[names[ServiceKeys]],
        "maintenance": defs[names[MaintenanceKeys]],
        "rule": _rule(defs[names[RuleKeys]], _ref(names, SelectionKeys)),
    }
    _put(made["service"], "run_by", {"$ref": "#/$defs/run_by"})
    allowed = {"type": "array", "uniqueItems": True, "items": {"enum": list(types.remediations)}}
    _put(defs[names[SettingsKeys]], "allow", allowed)
    for key, model in (("checks", CheckDefaults), ("rules", RuleDefaults), ("steps", StepKeys)):
        _put(defs[names[DefaultsKeys]], key, _ref(names, model))
    root = {**_TOP, **_root(defs[names[FileKeys]], names)}
    every = {**made, **defs}
    used = _named([root], every)
    return {**root, "$defs": {name: it for name, it in every.items() if name in used}}


def _ref(names: Names, model: type[BaseModel]) -> Schema:
    return {"$ref": f"#/$defs/{names[model]}"}


def _rule(schema: Schema, selection: Schema) -> Schema:
    _put(schema, "steps", {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}})
    several = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}}
    _put(schema, "checks", {"anyOf": [several, selection]})
    return {**schema, "oneOf": [{"required": ["check"]}, {"required": ["checks"]}]}


def _root(schema: Schema, names: Names) -> Schema:
    del schema["description"]
    _put(schema, "version", {"const": 1})
    _put(schema, "settings", _ref(names, SettingsKeys))
    _put(schema, "defaults", _ref(names, DefaultsKeys))
    for key, what, name in (
        ("connections", "connection", _NAME),
        ("services", "service", _NAME),
        ("checks", "check", _CHECK_NAME),
        ("maintenance", "maintenance", _NAME),
        ("rules", "rule", _NAME),
    ):
        parts = {"$ref": f"#/$defs/{what}"}
        _put(schema, key, {"type": "object", "propertyNames": name, "additionalProperties": parts})
    return schema


def _named(within: list[Schema], defs: Schema) -> set[str]:
    """The definitions that a schema uses, and those that these use."""
    found: set[str] = set()
    while within:
        text = json.dumps(within)
        names = {name for name in defs if f'"#/$defs/{name}"' in text} - found
        found |= names
        within = [defs[name] for name in names]
    return found


def summary(module: Any) -> str:
    """The first paragraph of a plug-in's docstring, on one line."""
    return " ".join((module.__doc__ or "").strip().split("\n\n")[0].split())


def _with_one(common: Schema, options: Schema) -> Schema:
    """The common keys, and exactly one that names a plug-in."""
    both = {**options, **common.get("properties", {})}
    one: Schema = {"oneOf": [{"required": [name]} for name in options]} if options else {"not": {}}
    return {**common, "properties": both, **one}


def _put(schema: Schema, key: str, value: Schema) -> None:
    """Say what a key takes that the model leaves open; its description stays."""
    kept = schema["properties"].get(key, {})
    schema["properties"][key] = {**value, **{it: kept[it] for it in ("description", "default") if it in kept}}


def _add_defaults(model: type[BaseModel], schema: Schema) -> None:
    for key, field in fields_of(model).items():
        default = None if field.is_required() else default_of(field)
        if default not in (None, "", [], {}):
            schema["properties"][key]["default"] = default


def _walk(schema: Schema, change: Callable[[Schema], None]) -> None:
    """Change a schema and all within it."""
    change(schema)
    for inner in _inner(schema):
        _walk(inner, change)


def _inner(schema: Schema) -> Iterator[Schema]:
    for key in ("properties", "patternProperties"):
        yield from (it for it in schema.get(key, {}).values() if isinstance(it, dict))
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(key), dict):
            yield schema[key]
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        yield from (it for it in schema.get(key, ()) if isinstance(it, dict))


def _tidied(schema: Schema) -> None:
    schema.pop("title", None)
    schema.pop("writeOnly", None)  # an editor would warn of it
    if schema.get("format") == "password":
        del schema["format"]


def _with_references(schema: Schema) -> None:
    """In options any text may be what a reference stands for, so that only its kind is known."""
    _tidied(schema)
    if schema.get("type") != "string":
        return
    schema.pop("maxLength", None)
    if "pattern" in schema:
        schema["pattern"] = f"({schema['pattern']})|{_REFERENCE}"
    for key in ("enum", "const"):
        if key in schema:
            alternatives = [{key: schema.pop(key)}, {"pattern": _REFERENCE}]
            schema["anyOf"] = alternatives
