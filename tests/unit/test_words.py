import pytest

from ncdcli.words import close_names, counted, did_you_mean, either


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (1797, "1,797 images"), (-1, "-1 images")]
)
def test_the_noun_agrees_with_the_number(number, text):
    assert counted(number, "image") == text


def test_other_plurals_are_given():
    assert counted(1, "class has", "classes have") == "1 class has"
    assert counted(3, "class has", "classes have") == "3 classes have"


def test_suggestions_name_what_is_near_and_nothing_else():
    assert did_you_mean("digits-gdc", ["digits-gcd", "letter"]) == "did you mean `digits-gcd`?"
    assert did_you_mean("cifar", ["letter", "cifar100", "cifar10"]) == "did you mean `cifar10` or `cifar100`?"
    assert did_you_mean("xyz", ["digits-gcd"], "`ncd recipes list`") == "`ncd recipes list`"


def test_case_and_dashes_are_no_misspellings():
    assert close_names("DIGITS_GCD", ["digits-gcd-raw", "digits-gcd"], most=1) == ["digits-gcd"]


@pytest.mark.parametrize(("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a or b"), ("abc", "a, b or c")])
def test_alternatives(words, text):
    assert either(words) == text
