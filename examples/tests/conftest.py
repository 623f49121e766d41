"""Has the tests import the examples as their programs import each other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
