"""The tables that comparisons print, as a page has them: two columns of words, then numbers."""


def as_markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return the table for a page."""
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
