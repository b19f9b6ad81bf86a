"""From a condition's text to its tree: the grammar, and what to say where the text does not follow it."""

import functools
import re
from pathlib import Path

from daemon.engine.condition_error import ConditionError
from daemon.engine.grammar import Lark, Token, Tree, UnexpectedCharacters, UnexpectedToken
from daemon.engine.values import UNITS, read_literal, unit_meant

MOST_BYTES = 4096
DEEPEST = 64
KEYWORDS = ("and", "or", "not", "in", "contains", "true", "false")
_NESTING = {"paren", "call", "listing", "negate", "minus"}

_WRONG_SYMBOLS = (
    ("&&", "`&&` is not an operator", "write and"),
    ("||", "`||` is not an operator", "write or"),
    ("&", "there is no operator &", "write and"),
    ("|", "there is no operator |", "write or"),
    ("!in", "`!in` is not an operator", "write not in"),
    ("=~", "there are no regular expressions here", "write contains"),
    ("!~", "there are no regular expressions here", "write not (… contains …)"),
    ("~", "there are no regular expressions here", "write contains"),
    ("!", "not is written `not`", "write not, or != to compare"),
    ("=>", "`=>` is not an operator", "write >="),
    ("=<", "`=<` is not an operator", "write <="),
    ("=", "`=` is not an operator", "write == to compare"),
    ("#", "there are no comments in a condition", "leave it out"),
    ("%", "% stands only behind a number", "write 85%, without a space"),
    ("{", "lists are written with [ ]", "write [1, 2]"),
    ("$", "there are no variables in a condition", "name a sample"),
    (";", "a condition is one expression", "join two with and, or"),
    ("?", "there is no operator ?", "join conditions with and, or"),
    ("≥", "`≥` is not an operator", "write >="),
    ("≤", "`≤` is not an operator", "write <="),
    ("≠", "`≠` is not an operator", "write !="),
)
_WRONG_WORDS = {
    "is": "write ==",
    "equals": "write ==",
    "eq": "write ==",
    "ne": "write !=",
    "gt": "write >",
    "ge": "write >=",
    "lt": "write <",
    "le": "write <=",
    "like": "write contains",
    "matches": "write contains",
    "has": "write contains for a part of a text, has(x) for whether there is a value",
    "xor": "write (a and not b) or (b and not a)",
    "between": "write x >= 1 and x <= 5",
    "for": "`for` is a key of the rule and does not stand in its condition",
    "if": "a condition is one expression; join two with and, or",
    "mod": "the operators are + - * /",
    "div": "write /",
}


@functools.cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("condition.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", propagate_positions=True, maybe_placeholders=False)


@functools.lru_cache(maxsize=1024)  # files repeat their conditions, and parsing is half of what loading a rule costs
def parse(text: str) -> Tree[Token]:
    """The tree of a condition, which nobody may change. Raises ConditionError."""
    size = len(text.encode("utf-8", "replace"))
    if size > MOST_BYTES:
        raise ConditionError(
            f"the condition is {size} bytes long; at most {MOST_BYTES} (4 KiB) are allowed",
            text=text,
            position=len(text.encode("utf-8", "replace")[:MOST_BYTES].decode("utf-8", "ignore")),
            hint="split it into several rules",
        )
    try:
        tree = _parser().parse(text)
    except (UnexpectedCharacters, UnexpectedToken) as error:
        raise _explain(error, text) from None
    _limit_depth(tree, text)
    return tree


def _limit_depth(tree: Tree[Token], text: str) -> None:
    """Refuse what is nested too deep, without recursion, so before anything that recurses walks the tree."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        depth += node.data in _NESTING
        if depth > DEEPEST:
            raise ConditionError(
                f"the condition is nested deeper than {DEEPEST}",
                text=text,
                position=node.meta.start_pos,
                hint="split it into several rules",
            )
        waiting += [(child, depth) for child in reversed(node.children) if isinstance(child, Tree)]


def _explain(error: UnexpectedCharacters | UnexpectedToken, text: str) -> ConditionError:
    if isinstance(error, UnexpectedCharacters):
        return _wrong_character(text, error.pos_in_stream or 0)
    token = error.token
    if token.type == "$END":
        return _ends_early(text)
    return _wrong_token(text, token, token.start_pos or 0)


def _wrong_character(text: str, position: int) -> ConditionError:
    rest = text[position:]
    if rest[0] in "\"'":
        return ConditionError(
            "the text is not closed on its line", text=text, position=position, hint=f"end it with {rest[0]}"
        )
    for symbol, message, hint in _WRONG_SYMBOLS:
        if rest.startswith(symbol):
            return ConditionError(message, text=text, position=position, hint=hint)
    return ConditionError(
        f"unexpected character {rest[0]!r}",
        text=text,
        position=position,
        hint="texts stand in quotes; other words are names of letters, digits and _",
    )


def _ends_early(text: str) -> ConditionError:
    if not text.strip():
        message, hint = "the condition is empty", "write one such as up == 0"
    elif _is_open(text):
        message, hint = "the condition ends too early: a bracket is open", "close it"
    else:
        message, hint = "the condition ends too early", "a value, a sample or a comparison belongs here"
    wrong = _word_before(text, len(text))
    if wrong and wrong[0] not in KEYWORDS and wrong[0].lower() in KEYWORDS:
        return _upper_case(text, *wrong)
    return ConditionError(message, text=text, position=len(text), hint=hint)


def _is_open(text: str) -> bool:
    bare = re.sub(r"\"[^\"\n]*\"|'[^'\n]*'", "", text)
    return bare.count("(") > bare.count(")") or bare.count("[") > bare.count("]")


def _word_before(text: str, position: int) -> tuple[str, int] | None:
    found = re.search(r"([A-Za-z_][A-Za-z0-9_]*)\s*$", text[:position])
    return (found[1], found.start(1)) if found else None


def _upper_case(text: str, word: str, position: int) -> ConditionError:
    return ConditionError(
        f"{word} is not a keyword, as keywords are lower case",
        text=text,
        position=position,
        hint=f"did you mean {word.lower()}?",
    )


def _wrong_token(text: str, token: Token, position: int) -> ConditionError:
    word = str(token)
    before = _word_before(text, position)
    if token.type == "NAME" and word.lower() in KEYWORDS:
        return _upper_case(text, word, position)
    if before and before[0] not in KEYWORDS and before[0].lower() in KEYWORDS:
        return _upper_case(text, *before)
    if token.type == "NAME" and word.lower() in _WRONG_WORDS:
        hint = _WRONG_WORDS[word.lower()]
        hint = "write !=" if word.lower() == "is" and re.match(r"is\s+not\b", text[position:], re.IGNORECASE) else hint
        return ConditionError(f"`{word}` is not an operator", text=text, position=position, hint=hint)
    special = _after_number(text, token, position) or _after_symbol(text, token, position)
    if special:
        return special
    if token.type in ("NAME", "LITERAL", "STRING", "TRUE", "FALSE"):
        message, hint = f"unexpected {word}", "an operator belongs before it, such as and, or, ==, >"
    elif token.type in ("RPAR", "RSQB"):
        message, hint = f"unexpected {word}", "a value belongs before it, or it closes nothing"
    elif token.type == "NOT":
        message, hint = "`not` binds looser than a comparison", "write not in, or set brackets: x == (not y)"
    else:
        message, hint = f"unexpected {word}", "a value, a sample or a function belongs here"
    return ConditionError(message, text=text, position=position, hint=hint)


def _after_number(text: str, token: Token, position: int) -> ConditionError | None:
    """A wrong number before it, a unit with a space before it, or a duration in parts."""
    number = re.search(r"(?<![\w.])([0-9][0-9A-Za-z_.%]*)\s+$", text[:position])
    if not number:
        return None
    try:
        read_literal(number[1])
    except ValueError as error:
        return ConditionError(str(error), text=text, position=number.start(1))
    word = str(token)
    unit = unit_meant(word) if token.type == "NAME" else None
    if unit and number[1].replace(".", "").isdigit():
        return ConditionError(
            f"{number[1]} and {word} stand apart; a unit belongs to its number without a space",
            text=text,
            position=position,
            hint=f"write {number[1]}{unit}",
        )
    if token.type == "LITERAL" and number[1].endswith(UNITS) and word.endswith(UNITS):
        return ConditionError(
            "the parts of a duration stand together", text=text, position=position, hint=f"write {number[1]}{word}"
        )
    return None


def _after_symbol(text: str, token: Token, position: int) -> ConditionError | None:
    """Two operators in a row that mean something elsewhere."""
    before, word = text[:position].rstrip()[-1:], str(token)
    known = {
        ("<", ">"): ("`<>` is not an operator", "write !="),
        ("*", "*"): ("there is no power", "the operators are + - * /"),
        ("/", "/"): ("there is no `//`", "write /"),
        ("+", "+"): ("there is no `++`", "the operators are + - * /"),
    }.get((before, word))
    if known:
        return ConditionError(known[0], text=text, position=position, hint=known[1])
    if word == "+":
        return ConditionError("a number has no + before it", text=text, position=position, hint="leave the + out")
    if word in (",", "]") and before in (",", "["):
        return ConditionError("a value is missing here", text=text, position=position, hint="write [1, 2]")
    if word == ".":
        return ConditionError(
            "a `.` stands only between a check and its sample", text=text, position=position, hint="write check.sample"
        )
    return None
