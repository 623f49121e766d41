"""The picture of a trace."""

import xml.etree.ElementTree as ET

from integration.zipkin import PICTURE, drawn, placed

SPANS = [
    {"id": "b", "parentId": "a", "name": "wait <here>", "kind": "CLIENT", "timestamp": 1_000_000, "duration": 500_000},
    {"id": "a", "parentId": "elsewhere", "name": "all", "timestamp": 500_000, "duration": 1_500_000},
]


def test_a_trace_is_drawn_from_its_spans() -> None:
    spans = placed(SPANS)
    assert [(span.name, span.depth) for span in spans] == [("all", 0), ("wait <here>", 1)]
    texts = [element.text for element in ET.fromstring(drawn(spans)).iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["all", "1,500.0 ms", "wait <here>", "500.0 ms"]


def test_the_docs_have_one() -> None:
    names = [element.text for element in ET.parse(PICTURE).iter("{http://www.w3.org/2000/svg}text")]
    assert "orchestration:weather" in names
    assert "orchestration:weather:timer" in names
