"""Stored letters: a template and its data in, subject and bodies out. Pure: no I/O, no clock, no randomness.

    source            what is stored of one version, and its limits
    letter            a compiled version, which renders
    row               a row that names a template becomes one that has its bodies
    preview           a letter as a file that a mail client opens
    language          which of Jinja2's language a template may use; what it may not is refused before it runs
    environment       Jinja2's sandbox, narrowed to the values that JSON knows
    code              the code that templates become
    budget            what one mail may cost, in steps
    values            what templates see: what JSON knows
    filters           the filters, each bounded
    tests             what may stand behind `is`
    operators         comparison, arithmetic and joining, each bounded
    missing           variables that the data does not have
    text_from_html    the text part of a template that has none
    empty_lines       those that loops leave behind
    complaints        where in which template something is wrong, in one line

Nothing here runs in a thread or against a clock: whatever costs more than a moment (a turn of a loop, a call of a macro,
characters handled) is paid from a budget before it is done, so that a template ends or is refused at the same point on
every machine. A template sees dicts, lists, texts, numbers, truth values and nothing else: it can call no method and
reach no object of Python's.
"""

from mailworkers.mail.templates.letter import Letter, Rendered, compile_template
from mailworkers.mail.templates.preview import preview
from mailworkers.mail.templates.row import rendered, variables
from mailworkers.mail.templates.source import Missing, TemplateSource

__all__ = ["Letter", "Missing", "Rendered", "TemplateSource", "compile_template", "preview", "rendered", "variables"]
