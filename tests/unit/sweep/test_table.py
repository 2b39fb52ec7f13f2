"""The table of a sweep: methods of both settings in one view, each number with what it is."""

from __future__ import annotations

from dataclasses import replace

from ncdcli.cli.output import print_table
from ncdcli.reports.comparison import Entry, Group
from ncdcli.reports.scores import STAMP
from ncdcli.sweep.table import PROTOCOL, Row, explanation, rows_json, summary_table

GCD, NCD = "gcd_v2.unlabelled", "ncd_task_aware.unlabelled"


def row(
    recipe: str, headline: str, *, values: dict[str, list[float]], k: list[float], seconds: list[float], given: bool
) -> Row:
    """A row over as many seeds as there are numbers."""
    how = {"estimate_k.kind": "fixed", "estimate_k.k": 10} if given else {"estimate_k.kind": "max_acc"}
    entries = [
        Entry(
            f"runs/{recipe}-{seed}",
            recipe,
            seed,
            how,
            {f"{headline}.{subset}": of_seed[seed] for subset, of_seed in values.items()}
            | {"k.estimated": k[seed], "cost.seconds": seconds[seed]},
            headline,
            "last",
        )
        for seed in range(len(k))
    ]
    return Row({"recipe": recipe}, Group(tuple(entries)))


def gcd_row() -> Row:
    values = {"all": [0.90, 0.94], "known": [0.99, 0.99], "novel": [0.80, 0.90]}
    return row("digits-gcd", GCD, values=values, k=[10, 11], seconds=[30, 34], given=False)


def ncd_row(k: tuple[float, float] = (10, 10)) -> Row:
    values = {"all": [0.90, 0.92], "novel": [0.90, 0.92]}
    return row("digits-uno", NCD, values=values, k=list(k), seconds=[20, 20], given=True)


def test_methods_of_both_settings_stand_in_one_table_with_their_protocol() -> None:
    columns, lines = summary_table([gcd_row(), ncd_row()], ["recipe"])
    assert columns == ["recipe", "seeds", "protocol.split", "all %", "known %", "novel %", "k̂", "seconds"]
    assert lines == [
        ["digits-gcd", "2", GCD, "92.0 ± 2.8", "99.0 ± 0.0", "85.0 ± 7.1", "10.5 ± 0.7", "32.0 ± 2.8"],
        ["digits-uno", "2", NCD, "91.0 ± 1.4", "–", "91.0 ± 1.4", "10 (given)", "20.0 ± 0.0"],
    ]
    assert explanation([gcd_row(), ncd_row()]).startswith("scores of different protocols do not compare; mean ± sd")


def test_one_protocol_is_told_below_the_table() -> None:
    columns, _ = summary_table([gcd_row()], ["recipe"])
    assert "protocol.split" not in columns
    assert explanation([gcd_row()]).startswith(f"scores: {GCD}; mean ± sd over seeds")


def test_an_oracle_among_the_runs_is_told_below_the_table_and_to_programs() -> None:
    (entry, *others) = gcd_row().group.entries
    touched = Row({"recipe": "digits-gcd"}, Group((replace(entry, selection="oracle"), *others)))
    assert explanation([gcd_row(), touched]).startswith(f"selection rule oracle ({STAMP}); scores: {GCD}")
    assert "oracle" in str(rows_json([touched])[0]["selection"])


def test_a_number_of_classes_that_a_method_changed_is_not_called_given() -> None:
    _, ((*_, k, _),) = summary_table([ncd_row(k=(10, 12))], ["recipe"])
    assert k == "11.0 ± 1.4"
    assert [line["k_is_given"] for line in rows_json([ncd_row(), ncd_row(k=(10, 12)), gcd_row()])] == [
        True,
        False,
        False,
    ]


def test_the_table_is_aligned_where_nobody_folds_it(capsys) -> None:
    columns, lines = summary_table([gcd_row(), ncd_row()], ["recipe"])
    print_table(columns, lines, right=[column for column in columns[1:] if column != PROTOCOL])
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.replace("\u0302", "").endswith("seconds")
    assert len({len(line) for line in rows} | {len(head.replace("\u0302", ""))}) == 1
