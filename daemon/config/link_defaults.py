"""`defaults`: keys of checks, rules and steps that do not say them themselves."""

from daemon.config.document import Node, join
from daemon.config.linking import Linking
from daemon.config.schema import CheckDefaults, DefaultsKeys, RuleDefaults, StepKeys
from daemon.plugin import OptionsModel

_MODELS: dict[str, type[OptionsModel]] = {"checks": CheckDefaults, "rules": RuleDefaults, "steps": StepKeys}


def link_defaults(linking: Linking, root: Node) -> None:
    """Read the defaults of the main file; what is wrong is reported, and is nobody's default."""
    node = root.entries.get("defaults")
    if node is None or not linking.reader.is_mapping(node, "defaults"):
        return
    linking.reader.keys(DefaultsKeys, node, "defaults", omit=tuple(_MODELS))
    for name, model in _MODELS.items():
        part = node.entries.get(name)
        path = join("defaults", name)
        if part is None or not linking.reader.is_mapping(part, path):
            continue
        wrong = linking.reader.keys(model, part, path).wrong
        linking.defaults[name] = {key: it for key, it in part.entries.items() if key not in wrong}
