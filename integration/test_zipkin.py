"""The tracing sample against a real Zipkin, whose API gives its trace back. By `nox -s zipkin` only."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.languages import BUILT_WITHIN, LanguageUnavailableError
from integration.zipkin import drawn, fetch, run_sample, zipkin

TREE = """\
INTERNAL look at the weather
  PRODUCER create_orchestration:weather
    SERVER orchestration:weather
      CLIENT activity:choose_city
        SERVER activity:choose_city
      INTERNAL orchestration:weather:timer
      CLIENT activity:ask
        SERVER activity:ask
          CLIENT get
            SERVER get /tokyo
"""


@pytest.mark.timeout(BUILT_WITHIN)
def test_its_trace_comes_back(tmp_path: Path) -> None:
    try:
        with zipkin(tmp_path) as address:
            spans = fetch(address, run_sample(address), 10)
    except LanguageUnavailableError as missing:
        pytest.skip(str(missing))

    # Zipkin writes names in lower case.
    assert "".join(f"{'  ' * span.depth}{span.kind} {span.name}\n" for span in spans) == TREE
    (timer,) = (span for span in spans if span.name.endswith(":timer"))
    # Two seconds from the beginning of the turn that started it, which took a moment.
    assert 1_500_000 < timer.duration < 10_000_000
    assert drawn(spans).count("<text") == 2 * len(spans)
