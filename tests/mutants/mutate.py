# SPDX-License-Identifier: MIT
"""Makes one-line mutants of a C file: each is the file with one operator, constant or statement changed."""

import re
from collections import namedtuple

Mutant = namedtuple("Mutant", "path line kind before after")  # line: number from 1; before, after: the whole line

RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="}
LOGIC = {"&&": "||", "||": "&&"}
RETURNS = {"return 0;": "return -1;", "return -1;": "return 0;", "return 1;": "return 0;", "return true;": "return false;",
           "return false;": "return true;"}
# clang-format puts a space on both sides of a binary operator, and on neither of a pointer's star or an arrow's two.
BINARY = re.compile(r"(?<= )(<=|>=|==|!=|\+=|-=|\*=|/=|&&|\|\||<|>|\+|-|\*|/|%)(?= |$)")
NUMBER = re.compile(r"(?<![\w.\"])(\d+\.?\d*(?:e-?\d+)?)(?![\w.\"])")
NEGATION = re.compile(r"!(?=[A-Za-z_(])")
STATEMENT = re.compile(r"^ +(?!return|break|continue|goto|case|default|else|typedef|static|const|struct|enum|assert|\}|\*|//|/\*)"
                       r"[A-Za-z_*(][^;{}]*;$")
DECLARATION = re.compile(r"^ +(?:const |unsigned |struct |enum |static )*[A-Za-z_]\w* +\**[A-Za-z_]\w*(?:\[[^\]]*\])?(?: =|,|;)")


def code_lines(text):
    """(number, line, line with comments and strings blanked) of lines inside functions."""
    blanked = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\])\'',
                     lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)
    inside = False
    for number, (line, bare) in enumerate(zip(text.split("\n"), blanked.split("\n")), 1):
        if bare.startswith("{"):
            inside = True
        elif bare.startswith("}"):
            inside = False
        elif inside and bare.strip() and not bare.startswith("#"):
            yield number, line, bare


def replaced(line, start, end, text):
    return line[:start] + text + line[end:]


def operators(line, bare):
    for match in BINARY.finditer(bare):
        word = match[1]
        for kind, table in (("relational", RELATIONS), ("logical", LOGIC), ("arithmetic", ARITHMETIC)):
            if word in table:
                yield kind, replaced(line, match.start(1), match.end(1), table[word])
    for match in NEGATION.finditer(bare):
        yield "negation", replaced(line, match.start(), match.end(), "")


def constants(line, bare):
    for match in NUMBER.finditer(bare):
        word = match[1]
        if "." in word or "e" in word:
            yield "constant", replaced(line, *match.span(1), f"({word} * 2)")
            continue
        value = int(word)
        for other in {value + 1, value - 1 if value else 1, value * 2 if value > 2 else value + 1}:
            yield "constant", replaced(line, *match.span(1), str(other))


def statements(line, bare):
    for word, other in RETURNS.items():
        if bare.strip() == word:
            yield "return", line.replace(word, other)
    if STATEMENT.match(bare) and not DECLARATION.match(bare):
        yield "deleted", re.match(" *", line)[0] + ";"


def mutants(path, text):
    """All mutants of a file, in the order of its lines."""
    for number, line, bare in code_lines(text):
        for make in (operators, constants, statements):
            for kind, after in make(line, bare):
                yield Mutant(path, number, kind, line, after)


def apply(text, mutant):
    lines = text.split("\n")
    assert lines[mutant.line - 1] == mutant.before
    lines[mutant.line - 1] = mutant.after
    return "\n".join(lines)
