"""The code that runs is named by its commit, or by the package's version where there is no repository."""

import re

from training.code_version import code_version


def test_the_code_has_a_version():
    assert re.fullmatch(r"[0-9a-f]{12}(\+changes)?|[0-9.]+|unknown", code_version())
