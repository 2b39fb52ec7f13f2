"""Where samples come from: read from tables and files, checked, and carried to the clustering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ncdcli.clustering.inputs import clustering_problem
from ncdcli.data.features import EmbeddingFile
from ncdcli.data.kinds import Embeddings, Table
from ncdcli.data.samples import Samples
from ncdcli.data.tables import TableFile
from ncdcli.errors import DataError
from ncdcli.recipe.base import fields_that_matter

ROWS = "site,a,b,kind\nLyon,1,2,x\nBern,3,4,y\nLyon,5,6,\n2,7,8,x\n"


def table(folder: Path, text: str = ROWS, **fields) -> TableFile:
    (folder / "t.csv").write_text(text)
    return TableFile(Table(train="t.csv", label="kind", **fields), folder)


def embeddings(folder: Path, domains: str | np.ndarray, **fields) -> EmbeddingFile:
    np.save(folder / "x.npy", np.arange(8, dtype=np.float32).reshape(4, 2))
    path = folder / ("d.csv" if isinstance(domains, str) else "d.npy")
    path.write_text(domains) if isinstance(domains, str) else np.save(path, domains)
    return EmbeddingFile(Embeddings(train="x.npy", domains=path.name, **fields), folder)


def test_a_column_of_a_table_names_the_domain_and_is_no_feature(tmp_path):
    reader = table(tmp_path, domain="site")
    assert reader.listing().domains == ("Lyon", "Bern", "Lyon", "2")
    assert list(reader.inputs(["train/0"]).frame.columns) == ["a", "b"]
    assert table(tmp_path, ROWS, domain=0).listing().domains == ("Lyon", "Bern", "Lyon", "2")


def test_new_rows_of_a_table_need_no_domain_and_have_no_such_feature(tmp_path):
    reader = table(tmp_path, domain="site")
    for text in ("a,b\n1,2\n", "site,a,b\nOslo,1,2\n"):
        (tmp_path / "new.csv").write_text(text)
        _, inputs = reader.new_inputs(tmp_path / "new.csv")
        assert list(inputs.frame.columns) == ["a", "b"]


@pytest.mark.parametrize("domains", ["Lyon\nBern\nLyon\nOslo\n", "name,domain\nk,Lyon\nl,Bern\nm,Lyon\nn,Oslo\n"])
def test_a_file_beside_embeddings_names_the_domains(tmp_path, domains):
    assert embeddings(tmp_path, domains).listing().domains == ("Lyon", "Bern", "Lyon", "Oslo")


def test_numbers_name_domains_as_well(tmp_path):
    assert embeddings(tmp_path, np.array([0, 1, 0, 10])).listing().domains == ("0", "1", "0", "10")


def test_test_rows_may_be_without_a_domain(tmp_path):
    np.save(tmp_path / "v.npy", np.ones((2, 2), np.float32))
    listing = embeddings(tmp_path, np.array([0, 1, 0, 1]), test="v.npy").listing()
    assert listing.domains == ("0", "1", "0", "1", "", "")
    listing = table(tmp_path, ROWS.replace("2,7", ",7"), domain="site", test_rows=(3, 4)).listing()
    assert listing.domains == ("Lyon", "Bern", "Lyon", "")


def test_other_rows_may_not(tmp_path):
    with pytest.raises(DataError, match=r"1 sample has no domain: row 3 \(from 0\)"):
        table(tmp_path, ROWS.replace("2,7", ",7"), domain="site").listing()
    with pytest.raises(DataError, match=r"2 samples have no domain: row 1, 2 \(from 0\)"):
        embeddings(tmp_path, np.array([0, -1, -1, 1])).listing()


def test_the_labels_cannot_be_the_domains(tmp_path):
    with pytest.raises(DataError, match="column `kind` cannot be the domain as well as the label, truth or id"):
        table(tmp_path, domain=-1).listing()


def test_other_domains_are_other_data(tmp_path):
    same = [embeddings(tmp_path, np.array([0, 1, 0, 1])).identity(content=False) for _ in range(2)]
    other = embeddings(tmp_path, np.array([0, 1, 1, 1])).identity(content=False)
    assert same[0] == same[1] != other


def test_fingerprints_of_data_without_domains_are_those_from_before_there_were_any():
    assert "domain" not in fields_that_matter(Table(train="t.csv"))
    assert fields_that_matter(Table(train="t.csv", domain="site"))["domain"] == "site"
    assert "domains" not in fields_that_matter(Embeddings(train="x.npy"))


@pytest.mark.parametrize("domains", [None, ("b", "a, or so", "", "b")])
def test_samples_carry_domains_where_there_are_any(tmp_path, domains):
    roles = np.array(["labelled", "unlabelled", "test", "unlabelled"])
    labels = np.array([0, -1, -1, -1])
    samples = Samples(("k", "l", "m", "n"), roles, labels, ("x",), "gcd", domains)
    samples.write(tmp_path)
    header = (tmp_path / "samples.csv").read_text().splitlines()[0]
    assert header == "row,key,role,class" + (",domain" if domains else "")
    read = Samples.read(tmp_path / "samples.csv", tmp_path / "classes.json")
    assert read.domains == domains
    problem = clustering_problem(read, np.zeros((4, 2), np.float32), 2)
    if domains is None:
        assert read.domain_ids is None
        assert problem.domains is None
        assert problem.at(np.array([1])).domains is None
    else:
        assert read.domain_ids.tolist() == [1, 0, -1, 1]
        assert problem.domains.tolist() == [1, 0, 1]
        assert problem.at(np.array([2, 1])).domains.tolist() == [1, 0]
