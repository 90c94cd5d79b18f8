"""Markdown as a reader sees it: GitHub's tables and strikethrough beside CommonMark, in tokens."""

from markdown_it import MarkdownIt

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def rendered(text):
    return READER.parse(text)


def cells(tokens):
    """The texts of all table cells, row by row, heads included."""
    rows = []
    for place, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in {"td_open", "th_open"}:
            children = tokens[place + 1].children
            rows[-1].append("".join(child.content for child in children))
    return rows
