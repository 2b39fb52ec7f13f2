"""The page of one run, from its results: what is worked out first (`discover`), and how it is laid out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli import __version__
from ncdcli.data.sources import FeatureInputs, ImageInputs, Inputs, TableInputs
from ncdcli.naming import NOVEL, make_clusters
from ncdcli.pipeline.context import StageContext
from ncdcli.reports import describe, features, overview, suggestions
from ncdcli.reports.confusion import Mistake, mistakes, ordered_confusion
from ncdcli.reports.curves import counting_view, training_charts
from ncdcli.reports.describe import Description
from ncdcli.reports.expected import expected_table, judge
from ncdcli.reports.features import Feature, Rule
from ncdcli.reports.mapdata import cell, hue, map_data, table_rows
from ncdcli.reports.page import render
from ncdcli.reports.projection import FIT_ROWS, Map, choose_rows, make_maps, principal_axes
from ncdcli.reports.results import Results
from ncdcli.reports.scores import STAMP, headline, numbers_by_path
from ncdcli.reports.suggestions import Merge, Split
from ncdcli.reports.texts import as_table
from ncdcli.reports.thumbnails import Album, Thumbnails, make_thumbnails
from ncdcli.words import counted

ROWS_STREAM, MAP_STREAM, DESCRIBE_STREAM, SUGGEST_STREAM, RULE_STREAM = range(5)
SUGGESTED_ROWS = 100_000  # of a run that suggestions look at
CARD_COLUMNS = 6
RULED_CLUSTERS = 400


@dataclass(frozen=True)
class Table:
    """Rows of a table that the report looks at."""

    rows: NDArray[np.int64]  # row numbers of the run, ascending
    inputs: TableInputs
    features: Mapping[int, Sequence[Feature]]
    rules: Mapping[int, Rule]
    hover: Mapping[str, Any]
    texts: frozenset[str]  # columns of free text

    def columns_of(self, cluster: int, most: int) -> list[str]:
        """Columns to show the cluster's rows by: those that set it apart, then the others in their order."""
        apart = [feature.column for feature in self.features.get(cluster, ())]
        return list(dict.fromkeys([*apart, *map(str, self.inputs.frame.columns)]))[:most]

    def cells(self, row: int, columns: Sequence[str]) -> list[str]:
        """A row's cells in a few columns."""
        position = int(np.searchsorted(self.rows, row))
        return [cell(self.inputs.frame[column].iloc[position], wide=column in self.texts) for column in columns]


@dataclass(frozen=True)
class Discovery:
    """What the report has found out about the clusters."""

    descriptions: Sequence[Description]
    merges: Sequence[Merge]
    splits: Sequence[Split]
    maps: Sequence[Map]
    mistakes: tuple[list[Mistake], list[Mistake]]
    references: Mapping[str, Sequence[int]]
    thumbnails: Thumbnails | None
    table: Table | None


def discover(context: StageContext, config: Any, results: Results) -> Discovery:
    """Descriptions of clusters, suggestions, maps, and small images or rows of the samples that are shown."""
    progress = context.progress
    fitted = choose_rows(results.groups, FIT_ROWS, context.rng(ROWS_STREAM))
    axes = principal_axes(results.embeddings, fitted)
    maps = make_maps(
        results.embeddings, results.groups, axes,
        kind=config.report.map, rng=context.rng(MAP_STREAM), progress=progress,
    )  # fmt: skip
    with progress.track("report: clusters", 2) as tick:
        found = describe.describe_clusters(results, context.rng(DESCRIBE_STREAM), samples=config.report.samples)
        references = describe.references(results, describe.own_distances(results))
        tick()
        merges, splits = _suggestions(results, axes.project, context.rng(SUGGEST_STREAM))
        tick()
    wrong = mistakes(results)
    shown = _shown_rows(found, splits, references, wrong)
    thumbnails, table = _contents(context, results, maps, shown)
    return Discovery(found, merges, splits, maps, wrong, references, thumbnails, table)


def cluster_rows(results: Results, discovery: Discovery) -> dict[str, Any]:
    """What `clusters.json` holds."""
    keys, table = results.samples.keys, discovery.table
    rows = []
    for one in discovery.descriptions:
        row = describe.as_json(one, keys)
        if table is not None:
            row |= features.as_json(table.features.get(one.cluster, ()), table.rules.get(one.cluster))
        rows.append(row)
    return {
        "clusters": rows,
        "merges": [suggestions.as_json(merge, keys) for merge in discovery.merges],
        "splits": [suggestions.as_json(split, keys) for split in discovery.splits],
    }


def _suggestions(results: Results, project: Any, rng: np.random.Generator) -> tuple[list[Merge], list[Split]]:
    """From the pool, and of known classes from held-out samples as well: labelled ones are where they are by rule."""
    heads = sorted(set(results.names.into))
    rows = results.samples.rows("unlabelled", "validation")
    rows = rows[choose_rows(results.groups[rows], SUGGESTED_ROWS, rng)]
    values, groups = project(results.embeddings[rows]), results.groups[rows]
    novel = [head for head in heads if results.is_novel(head)]
    known = [head for head in heads if not results.is_novel(head)]
    merges = suggestions.suggest_merges(values, groups, novel=novel, known=known, rng=rng)
    splits = suggestions.suggest_splits(values, groups, clusters=heads, rng=rng)
    return merges, [suggestions.with_rows(split, rows) for split in splits]


def _shown_rows(
    found: Sequence[Description],
    splits: Sequence[Split],
    references: Mapping[str, Sequence[int]],
    wrong: tuple[list[Mistake], list[Mistake]],
) -> list[int]:
    """Rows outside the map, the most telling first."""
    rows: list[int] = []
    for one in found:
        rows += [*one.exemplars.central, *one.exemplars.random, *one.exemplars.borderline]
    rows += [row for split in splits for side in split.examples for row in side]
    rows += [row for shown in references.values() for row in shown]
    rows += [row for side in wrong for mistake in side for row in mistake.examples]
    return list(dict.fromkeys(rows))


def _contents(
    context: StageContext, results: Results, maps: Sequence[Map], shown: Sequence[int]
) -> tuple[Thumbnails | None, Table | None]:
    """Small images of the rows that are shown, or their cells or texts; nothing for embeddings of who knows what."""
    from ncdcli.data.resolve import open_source

    assert context.data is not None
    on_map = np.unique(np.concatenate([one.rows for one in maps]))
    rows = np.unique(np.concatenate([on_map, np.asarray(shown, np.int64)]))
    inputs: Inputs = open_source(context.data).inputs([results.samples.keys[row] for row in rows.tolist()])
    if isinstance(inputs, ImageInputs):
        album = Album(inputs, rows.tolist())
        order = context.rng(ROWS_STREAM, 1).permutation(on_map).tolist()
        return make_thumbnails(album, cards=shown, others=order, progress=context.progress), None
    if isinstance(inputs, FeatureInputs) and inputs.texts is not None:
        inputs = as_table(inputs.texts)
    if isinstance(inputs, TableInputs):
        return None, _table(context, results, inputs, rows, on_map)
    return None, None


def _table(
    context: StageContext, results: Results, inputs: TableInputs, rows: NDArray[np.int64], on_map: NDArray[np.int64]
) -> Table:
    columns = features.as_columns(inputs)
    groups = results.groups[rows]
    heads = sorted(set(results.names.into))
    apart = features.distinguishing(columns, groups, heads)
    ruled = heads if len(heads) <= RULED_CLUSTERS else []
    with context.progress.track("report: rules", 1) as tick:
        rules = features.find_rules(columns, groups, ruled, context.rng(RULE_STREAM))
        tick()
    kept = np.isin(rows, on_map)
    frame = TableInputs(inputs.frame[kept], inputs.categorical)
    here = replace(columns, values=columns.values[kept])
    return Table(rows, inputs, apart, rules, table_rows(frame, here, groups[kept], heads), columns.texts)


def render_report(context: StageContext, config: Any, results: Results, discovery: Discovery) -> str:
    """The page."""
    last = next(iter(list(context.manifests.values())[::-1]), None)
    source = json.loads(context.inputs["split/source.json"].read_text("utf-8"))
    return render(
        "report.html",
        scripts=("page.js", "map.js", "naming.js"),
        title=config.name,
        description=config.description.strip(),
        setting=results.samples.setting,
        seed=context.stream.entropy,
        data=_data_name(config.data),
        results=results,
        discovery=discovery,
        tiles=overview.tiles(results),
        headline=headline(results.metrics),
        protocol_text=_protocol_text(results),
        selection=results.metrics.get("selection", "last"),
        stamp=STAMP,
        scores=overview.score_rows(results.metrics),
        published=expected_table(judge(config.expected, numbers_by_path(results.metrics))),
        not_available=results.metrics.get("not_available", ()),
        map_data=map_data(
            results, discovery.maps, discovery.thumbnails, discovery.table.hover if discovery.table else {}
        ),
        counting=counting_view(results),
        confusion=ordered_confusion(results),
        class_rows=overview.class_rows(results.per_class),
        training=training_charts(results),
        stages=overview.stages(context.manifests),
        provenance=[] if last is None else overview.provenance(results, source, last),
        command="" if last is None else last.command,
        recipe=_recipe_text(config, int(context.stream.entropy or 0)),  # type: ignore[arg-type]
        made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        hue=hue,
        novel_word=NOVEL,
        counted=counted,
        card_columns=CARD_COLUMNS,
        clusters_csv=_clusters_csv(results),
        sprite=_sprites(discovery.thumbnails),
    )


def _data_name(data: Any) -> str:
    return str(data.card if data.card is not None else data.source.kind.replace("_", " "))


def _protocol_text(results: Results) -> str:
    scores = headline(results.metrics)
    if not scores:
        return ""
    protocol, _, split = scores["name"].partition(".")
    return f"{overview.PROTOCOLS.get(protocol, protocol)}; scored on {overview.SPLITS.get(split, split)}"


def _clusters_csv(results: Results) -> list[dict[str, Any]]:
    """The cells of `clusters.csv` for the page to fill in."""
    names = results.names
    return [
        {
            "number": one.number,
            "size": one.size,
            "match": one.match,
            "suggested_name": one.suggested_name,
            "merge_into": None if names.into[one.number] == one.number else names.into[one.number],
            "note": names.notes[one.number],
        }
        for one in make_clusters(results.clustering, results.samples.known)
    ]


def _recipe_text(config: Any, seed: int) -> str:
    """The recipe, every default filled in."""
    from ncdcli.recipe.dump import to_yaml
    from ncdcli.recipe.schema import Recipe

    return to_yaml(Recipe.model_construct(**{"version": 1, **vars(config), "seed": seed}))


def _sprites(thumbnails: Thumbnails | None) -> list[tuple[int, int, str]]:
    """(number, side, address) of the sheets."""
    sheets = [] if thumbnails is None else thumbnails.sheets
    return [(number, sheet.side, sheet.uri) for number, sheet in enumerate(sheets)]
