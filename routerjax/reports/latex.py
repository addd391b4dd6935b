"""Sheets as LaTeX tables in the style of booktabs."""

from __future__ import annotations

from routerjax.reports.tables import Cell, Sheet

SYMBOLS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "λ": r"$\lambda$",
    "π": r"$\pi$",
    "–": "--",
    "…": r"\ldots{}",
}


def escape(text: str) -> str:
    """The text as LaTeX prints it: special characters escaped, the symbols of our tables set."""
    return "".join(SYMBOLS.get(character, character) for character in text)


def to_latex(sheet: Sheet, *, label: str, wide: bool | None = None) -> str:
    """A float with caption and label, a rule above the references.

    It needs \\usepackage{booktabs}; a minus before a number is set as one.

    Args:
      sheet: the table.
      label: what \\ref takes.
      wide: over both columns of a page (table*); by default from five columns on.
    """
    wide = len(sheet.header) >= 5 if wide is None else wide
    kind = "table*" if wide else "table"
    head = " & ".join(escape(name) for name in sheet.header)
    body = [" & ".join(map(_cell, row)) + r" \\" for row in sheet.rows]
    if 0 < sheet.candidates < len(body):
        body.insert(sheet.candidates, r"\midrule")
    return "\n".join(
        [
            rf"\begin{{{kind}}}[t]",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{escape(sheet.caption)}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(sheet.header) - 1)}}}",
            r"\toprule",
            head + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\end{{{kind}}}",
            "",
        ]
    )


def _cell(cell: Cell) -> str:
    text = cell.text
    if text[:1] == "-" and text[1:2].isdigit():
        text = "−" + text[1:]
    text = escape(text)
    return rf"\textbf{{{text}}}" if cell.bold and text else text
