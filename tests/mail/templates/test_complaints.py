"""What is said of a template that is wrong."""

from __future__ import annotations

import pytest

from mailworkers.errors import TemplateError
from mailworkers.mail.templates import TemplateSource, compile_template


@pytest.mark.parametrize(
    "html", ["Hi\n{{ name </p>", "Hi\n{{ name </p>{{ city }}", "Hi\n{{ name {% if a %}b{% endif %}"]
)
def test_an_expression_that_is_never_closed_is_said_to_be_so(html: str) -> None:
    with pytest.raises(TemplateError, match=r"html line 2: a }} is missing\. Close the expression"):
        compile_template(TemplateSource("letter", 1, "Hello", html_body=html))
