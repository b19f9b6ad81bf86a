"""Secrets in what plug-ins say."""

from daemon.model.masks import Masks


def test_every_secret_becomes_stars_the_longer_one_first() -> None:
    masks = Masks(["open sesame", "open", "pin", ""])
    assert masks.text("they say open sesame, or open") == "they say **********, or **********"
    assert masks.text("my pin") == "my pin"  # three characters are in half of all words


def test_values_are_masked_wherever_they_stand() -> None:
    masks = Masks(["hunter2"])
    told = {"argv": ["login", "hunter2"], "hunter2": {"code": 3, "ok": None}, "out": ("hunter2!",)}
    assert masks.values(told) == {
        "argv": ["login", "**********"],
        "**********": {"code": 3, "ok": None},
        "out": ["**********!"],
    }


def test_without_secrets_nothing_is_touched() -> None:
    masks = Masks()
    told = {"argv": ["login"]}
    assert not masks
    assert masks.values(told) is told
    assert masks.text("anything") == "anything"


def test_it_does_not_show_what_it_knows() -> None:
    assert "hunter2" not in repr(Masks(["hunter2"]))
