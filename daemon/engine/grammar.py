"""What is used of lark, imported without the package regex, which lark would load only to know that it is there.

That is there for a check's patterns, and takes memory that most daemons need for nothing.
"""

import sys

_REGEX = "regex"
_is_hidden = _REGEX not in sys.modules
if _is_hidden:
    sys.modules[_REGEX] = None  # type: ignore[assignment]  # so Python marks what cannot be imported

from lark import Lark, Token, Tree  # noqa: E402  # once regex is hidden
from lark.exceptions import UnexpectedCharacters, UnexpectedToken  # noqa: E402  # as above

if _is_hidden:
    del sys.modules[_REGEX]

__all__ = ["Lark", "Token", "Tree", "UnexpectedCharacters", "UnexpectedToken"]
