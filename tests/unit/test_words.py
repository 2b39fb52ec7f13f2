import pytest

from ncdcli.words import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (1797, "1,797 images"), (-1, "-1 images")]
)
def test_the_noun_agrees_with_the_number(number, text):
    assert counted(number, "image") == text


def test_other_plurals_are_given():
    assert counted(1, "class has", "classes have") == "1 class has"
    assert counted(3, "class has", "classes have") == "3 classes have"
