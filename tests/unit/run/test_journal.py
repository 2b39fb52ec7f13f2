from __future__ import annotations

from ncdcli.run.journal import Journal


def test_events_are_read_back_in_order(tmp_path):
    journal = Journal(tmp_path / "events.jsonl")
    assert journal.read() == []
    journal.append("started", "split", reason="not done yet")
    journal.append("failed", "split", error="kaputt: „Übel“\nzweite Zeile")
    first, second = journal.read()
    assert (first["event"], first["stage"], first["reason"]) == ("started", "split", "not done yet")
    assert second["error"] == "kaputt: „Übel“\nzweite Zeile"
    assert first["time"] <= second["time"]


def test_line_that_a_crash_cut_short_costs_that_line_only(tmp_path):
    journal = Journal(tmp_path / "events.jsonl")
    journal.append("started", "split")
    with open(journal.path, "ab") as file:
        file.write(b'{"event": "fini')
    journal.append("started", "train")
    assert [event["stage"] for event in journal.read()] == ["split", "train"]
